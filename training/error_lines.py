"""What an error says, in one line."""

import contextlib
import os
import re
from collections.abc import Iterator

import tensorflow as tf


def reason(error: BaseException) -> str:
    """The first line of an error's message, without TensorFlow's names of nodes and operations.

    Args:
        error: any; of one without a message it is the type's name.
    """
    if isinstance(error, tf.errors.OpError):
        message = error.message
    elif isinstance(error, OSError) and error.strerror:
        message = error.strerror
    else:
        message = str(error)
    lines = (message or "").strip().splitlines() or [""]
    first = re.sub(r"^\{\{.*\}\} |\s*\[Op:.*$| used by \{\{.*$", "", _telling(lines))
    return first.strip().rstrip(".") or type(error).__name__


def _telling(lines: list[str]) -> str:
    """The line that says what is wrong, of a message that may begin with where."""
    if lines[0].startswith("in user code"):  # While a function is traced.
        raised = re.compile(r" {4}(?:\w+\.)*(\w+): (.+)")
        found = [match for match in map(raised.fullmatch, lines) if match]
        return found[-1][2] if found else lines[-1]
    if lines[0].startswith("Graph execution error"):
        where = re.compile(r"\s|Detected |<stack traces|File |$")
        return next((line for line in lines[1:] if not where.match(line)), lines[0])
    return lines[0]


@contextlib.contextmanager
def writing(path: os.PathLike | str) -> Iterator[None]:
    """Around what writes a file: its errors, a full disk above all, name the file.

    Whoever writes inside must leave what was there before as it is.

    Raises:
        OSError: something was wrong; says what, and that the same command resumes.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise OSError(
            f"{path} could not be written: {reason(error)}; what was written before is whole, and "
            "the same command resumes from it when this is mended"
        ) from error
