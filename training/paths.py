"""Paths from users: local, `file://…`, or in a store that TensorFlow can open, such as gs://."""

import os
import re
import urllib.parse

from etils import epath

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def from_flag(path: str, flag: str) -> str:
    """A path that `etils.epath` and `tf.io.gfile` both open.

    Args:
        path: the flag's value; `~` stands for the user's own directory.
        flag: its name, without dashes.

    Returns:
        A local path, also for `file:///…`, or the address of a store, unchanged.

    Raises:
        ValueError: the installed TensorFlow does not know the scheme, or the path contains bytes
            that are not UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"--{flag}={printable(path)} is not UTF-8, which TensorFlow requires of every "
            "path: rename it"
        ) from error
    match = _SCHEME.match(path)
    if match is None:
        # Inside a path, :// means the same as :/, but epath would take it for a scheme.
        return os.path.expanduser(re.sub(r"(?<=:)//+", "/", path))
    scheme = match[1].lower()
    if scheme == "file":
        host, slash, rest = path[match.end() :].partition("/")
        if host not in ("", "localhost") or not slash:
            raise ValueError(f"--{flag}={path} names a host, not a path: use file:///PATH")
        return "/" + urllib.parse.unquote(rest)
    if not _is_known(scheme):
        raise ValueError(
            f"--{flag}={path}: the installed TensorFlow opens no {scheme}:// addresses; use a "
            "local path, file:///PATH or gs://BUCKET/PATH"
        )
    return path


def printable(name: str | bytes) -> str:
    """A file's name for a message, with � for every byte that is not UTF-8."""
    return os.fsencode(name).decode(errors="replace")


def _is_known(scheme: str) -> bool:
    import tensorflow as tf  # Here, because study.py does not need it.

    try:
        epath.Path(f"{scheme}://")
    except KeyError:
        return False
    return scheme in map(tf.compat.as_str, tf.io.gfile.get_registered_schemes())
