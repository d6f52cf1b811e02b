"""One run at a time in a directory.

A lock is the operating system's (flock) on the empty file DIRECTORY/lock. It is not the file's
presence that counts: the lock ends with the process that holds it, however that ends, so that none
is ever left behind by a kill. Many processes may hold a directory shared, to read it, or one alone.

Buckets (gs://…) and file systems without flock have no such lock; there the runs are not kept
apart. See docs/failures.md.
"""

import errno
import fcntl
import functools
import os
from collections.abc import Callable
from typing import IO

from absl import logging
from etils import epath

# The locks of this process by real path. They end with `main`, see `released_at_the_end`.
_held: dict[str, IO[str]] = {}

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


def hold(directory: epath.Path, *, alone: bool = True) -> None:
    """Locks a directory for this process, or turns its lock from shared to alone or back.

    Args:
        directory: an existing directory.
        alone: whether nobody else may hold it, as is right for whoever writes.

    Raises:
        ValueError: another process holds it.
    """
    if "://" in str(directory):
        return
    key = os.path.realpath(directory)
    try:
        file = _held.get(key) or open(directory / "lock", "a")  # noqa: SIM115 (kept open)
    except OSError as error:
        if alone or error.errno not in (errno.EROFS, errno.EACCES):
            raise
        return  # Only read, and read-only: nobody here can change it.
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        if key not in _held:
            file.close()
        raise ValueError(
            f"{directory} is in use by another run: wait for it to end or name another directory"
        ) from None
    except OSError as error:
        file.close()
        if error.errno not in _UNSUPPORTED:
            raise
        logging.warning(
            "%s is on a file system without locks (%s): start no second run in it",
            directory,
            error.strerror,
        )
        return
    _held[key] = file


def released_at_the_end(main: Callable[[list[str]], None]) -> Callable[[list[str]], None]:
    """Wraps a program's `main`: the locks taken in it end when it does, if the process goes on."""

    @functools.wraps(main)
    def wrapped(argv: list[str]) -> None:
        try:
            main(argv)
        finally:
            while _held:
                _held.popitem()[1].close()

    return wrapped
