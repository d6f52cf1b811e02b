"""Temporary files of a process, its libraries' and its children's too, in one directory that goes.

TensorFlow and Keras remove theirs when Python takes itself apart, which a program that ends by a
signal or with an error does not wait for.
"""

import atexit
import os
import shutil
import tempfile

PREFIX = "pretraining-"


class _Directory:
    """The directory of this process; one, as the environment is."""

    path: str | None = None
    owner: int | None = None


def keep_together() -> None:
    """From now on all temporary files go into one directory, until `remove` or Python's end.

    Where none can be made, nothing changes: most runs do without.
    """
    if _Directory.owner == os.getpid():
        return
    try:
        _Directory.path = tempfile.mkdtemp(prefix=PREFIX)
    except OSError:
        return
    _Directory.owner = os.getpid()
    # For Python's tempfile, and for TensorFlow's own and programs that are started.
    tempfile.tempdir = os.environ["TMPDIR"] = _Directory.path
    atexit.register(remove)


def remove() -> None:
    """Removes the directory, if this process, and not the one it was forked from, made it."""
    if _Directory.path is not None and _Directory.owner == os.getpid():
        shutil.rmtree(_Directory.path, ignore_errors=True)
