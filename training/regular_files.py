"""Reading the files of a run's directory: only regular files are opened.

A fifo or a socket that has a file's name would be waited for, and a device may have no end.
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
    """Whether a regular file, or a link to one, is there; epath counts named pipes and devices.

    In a store such as gs:// everything that is no directory is one.
    """
    return epath.Path(path).is_file() if "://" in os.fspath(path) else os.path.isfile(path)


def check(path: os.PathLike | str) -> None:
    """Raises a ValueError, which names it, for a local path to something else than a file.

    Links are followed. What is not there, or in a store such as gs://, passes.
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
        ValueError: it is no file.
        OSError: it cannot be read.
    """
    check(path)
    return path.read_bytes()
