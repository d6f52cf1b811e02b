"""Runs `main` from a command line; turns an error or a signal into one line and an exit status."""

import os
import re
import sys
import traceback
from collections.abc import Callable

from absl import app, flags, logging

from training import interruption


def run(program: str, main: Callable[[list[str]], None]) -> None:
    """Runs a program's `main`; an error that a user or a machine can cause ends with one line.

    The exit status is 0 when all is done, 1 for an error, 130 after Ctrl-C
    and 143 after SIGTERM; docs/failures.md says what each leaves behind. With --verbosity=0 or
    more an error shows its traceback instead of its line.
    """
    logging.set_verbosity(logging.WARNING)
    interruption.install(program)
    try:
        app.run(main, flags_parser=parse)
    except interruption.Interrupted as interrupted:
        interruption.leave(str(interrupted))
    except Exception as error:
        if flags.FLAGS.is_parsed() and logging.get_verbosity() >= logging.INFO:
            raise
        interruption.end_with(f"{program}: {_line(error)}\n", 1)


def parse(arguments: list[str]) -> list[str]:
    """Parses the flags.

    Raises:
        ValueError: a flag is unknown or its value wrong.
    """
    _check_flag_files(arguments)
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        text = " ".join(str(error).removeprefix("flag ").split())
        # The message of a check that names its flag need not name it again.
        raise ValueError(re.sub(r"^--(\w+)=.*?: (?=--\1=)", "", text)) from error


def _check_flag_files(lines: list[str], inside: tuple[str, ...] = ()) -> None:
    """Raises a ValueError for a flag file, or one that it includes, that absl could not read.

    It would never reach the end of a pipe or a device.
    """
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        name, equals, path = line.strip().lstrip("-").partition("=")
        if not line.strip().startswith("-") or name != "flagfile":
            continue
        path = os.path.expanduser((path if equals else following).strip().strip("'\""))
        if path in inside:
            raise ValueError(f"--flagfile={path} includes itself")
        if not path or not os.path.exists(path):
            continue  # absl says so.
        if not os.path.isfile(path):
            raise ValueError(f"--flagfile={path} is not a file of flags")
        try:
            with open(path, encoding="utf-8") as file:
                _check_flag_files(file.read().splitlines(), (*inside, path))
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"--flagfile={path} is not a text file: {error}") from error


def _tensorflow_errors() -> tuple[type[Exception], ...]:
    """TensorFlow's own errors, in a program that has imported it: study.py has not."""
    tensorflow = sys.modules.get("tensorflow")
    return (tensorflow.errors.OpError,) if tensorflow else ()


# Errors whose messages are written for the user, here or by the system.
_FOR_USERS = (ValueError, FloatingPointError, OSError, MemoryError)


def _line(error: Exception) -> str:
    """The message of an error, in one line."""
    if isinstance(error, _tensorflow_errors()):
        from training.error_lines import reason  # Imports TensorFlow.

        return reason(error)
    text = " ".join(str(error).split())
    if isinstance(error, _FOR_USERS):
        return text or type(error).__name__
    # A bug in the program: say where, because no flag or file is named.
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{type(error).__name__}: {text[:300]} (line {last.lineno} of "
        f"{os.path.basename(last.filename)}; --verbosity=0 shows the traceback)"
    )
