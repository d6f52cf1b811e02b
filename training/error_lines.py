"""The message of an error, in one line."""

import contextlib
import os
import re
from collections.abc import Iterator

import tensorflow as tf


def reason(error: BaseException) -> str:
    """The first line of an error's message, without TensorFlow's names of nodes and operations.

    Args:
        error: any error; one without a message is named by its type.
    """
    if isinstance(error, tf.errors.OpError):
        message = error.message
    elif isinstance(error, OSError) and error.strerror:
        message = error.strerror
    else:
        message = str(error)
    lines = (message or "").strip().splitlines() or [""]
    first = re.sub(r"^\{\{.*\}\} |\s*\[Op:.*$| used by \{\{.*$", "", _informative_line(lines))
    return first.strip().rstrip(".") or type(error).__name__


def _informative_line(lines: list[str]) -> str:
    """The line that says what is wrong, of a message that may begin with where it happened."""
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
    """Within it, errors of writing a file, such as a full disk, name the file.

    The code inside must leave an existing file unchanged if it fails.

    Raises:
        OSError: the file could not be written; says why, and that the same command resumes.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise OSError(
            f"{path} could not be written: {reason(error)}; what was written before is intact, "
            "and the same command resumes from it once this is fixed"
        ) from error
