"""Whether a path is a file that can be read to an end: opening a named pipe waits for ever."""

import os

import tensorflow as tf


def is_regular(path: os.PathLike | str) -> bool:
    """Whether a regular file, or a link to one, is there; a remote one is if it is no directory."""
    path = os.fspath(path)
    if "://" in path:
        return tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path)
    return os.path.isfile(path)
