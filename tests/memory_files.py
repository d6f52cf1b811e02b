"""A stand-in for gs://: TensorFlow's file system in memory, which `etils.epath` does not know.

After `register_scheme()`, `epath.Path("ram://…")` goes the way of `gs://…`: through TensorFlow's
file systems, so that whatever opens a path past `tf.io.gfile` and `etils.epath` fails. Only this
process sees the files.
"""

import posixpath

import tensorflow as tf
from etils.epath import backend, gpath, register

SCHEME = "ram"


class MemoryBackend(backend._TfBackend):
    """What `epath` does with gs://, and directories behave as they do there.

    In TensorFlow's own memory file system a path exists if another one begins with it, and a
    directory that is renamed loses its files. gs:// renames its files one after the other.
    """

    def exists(self, path: str) -> bool:
        parent, name = posixpath.split(str(path).rstrip("/"))
        if not name or parent.endswith(":/"):
            return True  # a bucket
        try:
            return name in [entry.rstrip("/") for entry in tf.io.gfile.listdir(parent)]
        except tf.errors.OpError:
            return False

    def isdir(self, path: str) -> bool:
        return self.exists(path) and tf.io.gfile.isdir(path)

    def rename(self, path: str, dst: str) -> None:
        if self.exists(dst):
            raise FileExistsError(dst)
        self.replace(path, dst)

    def replace(self, path: str, dst: str) -> None:
        if not self.isdir(path):
            tf.io.gfile.rename(path, dst, overwrite=True)
            return
        for folder, _, files in list(tf.io.gfile.walk(path)):
            below = str(dst) + folder.removeprefix(str(path))
            tf.io.gfile.makedirs(below)
            for file in files:
                tf.io.gfile.rename(f"{folder}/{file}", f"{below}/{file}")
        self.rmtree(path)


def register_scheme() -> None:
    """Lets `etils.epath` take paths that begin with ram://."""
    prefix = f"{SCHEME}://"
    if SCHEME in gpath._URI_SCHEMES:
        return
    gpath._URI_PREFIXES = (*gpath._URI_PREFIXES, prefix)
    gpath._URI_SCHEMES = gpath._URI_SCHEMES | {SCHEME}
    gpath._URI_MAP_ROOT[prefix] = f"/{SCHEME}/"
    register._URI_PREFIXES_TO_CLS[prefix] = MemoryPath


class MemoryPath(gpath.PosixGPath):
    """A path of the memory file system, or a local one that was made from it."""

    @property
    def _backend(self) -> backend.Backend:
        return MemoryBackend() if self._uri_scheme == SCHEME else super()._backend
