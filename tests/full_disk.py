"""A disk that has no room, without one: the system's limit on the size of files."""

import contextlib
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def no_files_larger_than(limit: int) -> Iterator[None]:
    """Writes that make a file larger than `limit` bytes fail inside, in all of the process.

    Nothing may be printed inside, because pytest captures it in a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
