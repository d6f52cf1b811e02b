"""Reads the files of a run's directory, and only regular files.

Reading a fifo or a socket with a file's name would block, and a device may have no end.
"""

import os
import stat

from etils import epath

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a fifo",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def is_regular(path: os.PathLike | str) -> bool:
    """Whether a path is a regular file or a link to one; epath counts named pipes and devices too.

    In a store such as gs:// everything that is not a directory is one.
    """
    return epath.Path(path).is_file() if "://" in os.fspath(path) else os.path.isfile(path)


def check(path: os.PathLike | str) -> None:
    """Raises a ValueError, which names it, for a local path to something other than a file.

    Links are followed. What does not exist, or is in a store such as gs://, passes.
    """
    if "://" in os.fspath(path):
        return
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise ValueError(f"{path} is {kind} where a file should be: move it away")


def read_bytes(path: epath.Path) -> bytes:
    """A file's content.

    Raises:
        ValueError: it is not a file.
        OSError: it cannot be read.
    """
    check(path)
    return path.read_bytes()
