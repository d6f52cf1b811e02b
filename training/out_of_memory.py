"""Running out of memory, in one line that says what takes less of it."""

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

# As TensorFlow, XLA, CUDA's libraries and C++ call it. A full disk is TensorFlow's
# ResourceExhaustedError too.
_MESSAGE = re.compile(
    r"\bOOM\b|out of memory|RESOURCE_EXHAUSTED|OUT_OF_MEMORY|ALLOC_FAILED|bad_alloc"
    r"|failed to allocate|unable to allocate",
    re.IGNORECASE,
)
_FULL_DISK = re.compile("no space left|quota exceeded|file too large", re.IGNORECASE)


def is_meant(error: BaseException) -> bool:
    """Whether an error says that memory, of the host or of a device, is short."""
    text = str(error)
    if isinstance(error, OSError) or _FULL_DISK.search(text):
        return False
    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return True
    return isinstance(error, tf.errors.OpError | RuntimeError) and bool(_MESSAGE.search(text))


@contextlib.contextmanager
def explained(advice: str) -> Iterator[None]:
    """Inside, an error for lack of memory is a MemoryError of one line; decorates functions, too.

    Args:
        advice: what takes less memory, naming the flags.

    Raises:
        MemoryError: memory is short.
    """
    try:
        yield
    except Exception as error:
        if not is_meant(error) or isinstance(error, Explained):
            raise
        raise Explained(f"out of memory{_wanted(error)}: {advice}") from error


class Explained(MemoryError):
    """A MemoryError that says what takes less."""


def _wanted(error: Exception) -> str:
    """What there was no room for, where the error says it."""
    shape = re.search(r"allocating tensor with shape(\[[\d,]*\]) and type (\w+)", str(error))
    size = re.search(r"(?:allocate|allocating) ([\d.]+ ?[KMGT]?i?B(?:ytes)?)", str(error))
    if shape:
        return f" for a tensor of {shape[1]} {shape[2]}"
    return f" for {size[1]}" if size else ""
