"""One run at a time in a directory.

A lock is the operating system's (flock) on the empty file DIRECTORY/lock. It is not the file's
presence that counts: the lock ends with the process that holds it, however that ends, so that none
is ever left behind by a kill.

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


def hold(directory: epath.Path) -> None:
    """Locks a directory for this process, which may do so again.

    Args:
        directory: an existing directory.

    Raises:
        ValueError: another process holds it.
    """
    key = os.path.realpath(directory)
    if "://" in str(directory) or key in _held:
        return
    file = open(directory / "lock", "a")  # noqa: SIM115 (kept open)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
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
