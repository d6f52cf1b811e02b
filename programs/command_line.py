"""From a command line to `main`, and from an error to one line."""

import os
import sys
from collections.abc import Callable

from absl import app, flags, logging


def flag_texts(names: list[str]) -> dict[str, str]:
    """The values of absl flags as a flag file would have them."""

    def text(value: object) -> str:
        return ",".join(value) if isinstance(value, list) else "" if value is None else str(value)

    return {name: text(flags.FLAGS[name].value) for name in names}


def run(program: str, main: Callable[[list[str]], None]) -> None:
    """Runs a program's `main`; what a user can cause ends with one line and status 1.

    The environment variable TRACEBACK shows where it came from instead.
    """
    logging.set_verbosity(logging.WARNING)
    try:
        app.run(main)
    except (ValueError, FloatingPointError, OSError) as error:
        if os.environ.get("TRACEBACK"):
            raise
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(1)
