"""From a command line to `main`, and from an error or a signal to one line and a status."""

import os
import sys
from collections.abc import Callable

from absl import app, flags, logging

from programs import interruption


def flag_texts(names: list[str]) -> dict[str, str]:
    """The values of absl flags as a flag file would have them."""

    def text(value: object) -> str:
        return ",".join(value) if isinstance(value, list) else "" if value is None else str(value)

    return {name: text(flags.FLAGS[name].value) for name in names}


def run(program: str, main: Callable[[list[str]], None]) -> None:
    """Runs a program's `main`; what a user or a machine can cause ends with one line.

    The exit status is 0 when all is done, 1 for an error, 130 after Ctrl-C
    and 143 after SIGTERM; docs/failures.md says what each leaves behind. The environment variable
    TRACEBACK shows where an error came from instead.
    """
    logging.set_verbosity(logging.WARNING)
    interruption.install(program)
    try:
        app.run(main)
    except interruption.Interrupted as interrupted:
        interruption.leave(str(interrupted))
    except (ValueError, FloatingPointError, OSError, MemoryError, *_tensorflow_errors()) as error:
        if os.environ.get("TRACEBACK"):
            raise
        interruption.end_with(f"{program}: {_line(error)}\n", 1)


def _tensorflow_errors() -> tuple[type[Exception], ...]:
    """TensorFlow's own errors, in a program that has imported it: study.py does without."""
    tensorflow = sys.modules.get("tensorflow")
    return (tensorflow.errors.OpError,) if tensorflow else ()


def _line(error: Exception) -> str:
    if isinstance(error, _tensorflow_errors()):
        from programs.error_lines import reason  # Imports TensorFlow.

        return reason(error)
    return str(error) or type(error).__name__
