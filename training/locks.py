"""One run at a time in a directory, or one writer after the other.

A lock is the operating system's (flock) on the empty file DIRECTORY/lock. The presence of the file
means nothing: the lock ends with the process that holds it, however that ends, so a kill never
leaves one behind.

Not `filelock`: it has no shared locks, unlinks its file on release and fails without flock.

Buckets (gs://…) and file systems without flock have no such lock; there runs are not kept apart.
See docs/failures.md.
"""

import contextlib
import errno
import fcntl
import functools
import os
from collections.abc import Callable, Iterator
from typing import IO

from absl import logging
from etils import epath

from training import regular_files

# The locks of this process by real path. They end with `main`, see `released_at_the_end`.
_held: dict[str, IO[str]] = {}

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


def hold(directory: epath.Path, *, shared: bool = False) -> None:
    """Locks a directory for this process, which may call this again.

    Args:
        directory: an existing directory.
        shared: whether other processes may hold a shared lock at the same time.

    Raises:
        ValueError: another process holds it, or `lock` in it is not a file.
    """
    key = os.path.realpath(directory)
    if "://" in str(directory) or key in _held:
        return
    with contextlib.ExitStack() as on_failure:
        file = on_failure.enter_context(_file(directory))
        if not _lock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB):
            raise ValueError(
                f"{directory} is in use by another run: wait for it to end or name another "
                "directory"
            )
        on_failure.pop_all()
    _held[key] = file


@contextlib.contextmanager
def waited_for(directory: epath.Path) -> Iterator[None]:
    """Locks an existing directory within the context; waits while another process holds it."""
    with _file(directory) as file:
        if not _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
            logging.warning("waiting for the process that writes to %s", directory)
            _lock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def locked(path: epath.Path, *, wait: bool) -> Iterator[IO[str] | None]:
    """Locks a file within the context, and for as long as a process that inherits it runs.

    Args:
        path: the file, which is created if need be.
        wait: whether to wait while another process holds it.

    Yields:
        The open file; None if another process holds it and `wait` is false.
    """
    with open(path, "a") as file:
        if _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield file
        elif wait:
            logging.warning("waiting for the process that holds %s", path)
            _lock(file, fcntl.LOCK_EX)
            yield file
        else:
            yield None


def _file(directory: epath.Path) -> IO[str]:
    regular_files.check(directory / "lock")
    return open(directory / "lock", "a")


def _lock(file: IO[str], operation: int) -> bool:
    """False if another process holds the lock; True if it was taken, or locks are unsupported."""
    try:
        fcntl.flock(file, operation)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        logging.warning(
            "%s is on a file system without locks (%s): do not start a second run in its directory",
            file.name,
            error.strerror,
        )
    return True


def released_at_the_end(main: Callable[[list[str]], None]) -> Callable[[list[str]], None]:
    """Wraps a program's `main`: the locks taken in it are released at its end, in any process."""

    @functools.wraps(main)
    def wrapped(argv: list[str]) -> None:
        try:
            main(argv)
        finally:
            while _held:
                _held.popitem()[1].close()

    return wrapped
