"""One directory, removed at the end, for the temporary files of a process and its children.

TensorFlow and Keras remove theirs when Python shuts down, which a program that ends by a signal or
with an error does not wait for.
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

    Where it cannot be created, nothing changes: most runs do not need it.
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
