"""Ways to damage files, and things that are no files: each a preparation of a trial."""

import os
import pathlib
import shutil
import socket

from tests.bad_inputs.trial import Prepare


def then(*steps: Prepare) -> Prepare:
    """One preparation after the other."""

    def prepare(root: pathlib.Path) -> None:
        for step in steps:
            step(root)

    return prepare


def write(name: str, content: bytes | str) -> Prepare:
    """Writes a file below the trial's directory; `*` in the name stands for what is there."""

    def prepare(root: pathlib.Path) -> None:
        for path in list(root.glob(name)) or [root / name]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    return prepare


def cut(name: str, share: float = 0.5) -> Prepare:
    """Leaves only the first part of the files of that name."""

    def prepare(root: pathlib.Path) -> None:
        for path in _there(root, name):
            os.truncate(path, int(path.stat().st_size * share))

    return prepare


def flip(name: str, share: float = 0.5) -> Prepare:
    """Flips a bit of the files of that name."""

    def prepare(root: pathlib.Path) -> None:
        for path in _there(root, name):
            content = bytearray(path.read_bytes())
            content[int((len(content) - 1) * share)] ^= 0x20
            path.write_bytes(content)

    return prepare


def remove(name: str) -> Prepare:
    """Removes the files or directories of that name."""

    def prepare(root: pathlib.Path) -> None:
        for path in _there(root, name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return prepare


def fifo(name: str) -> Prepare:
    """A pipe, in the place of what is there."""

    def prepare(root: pathlib.Path) -> None:
        _make_room(root / name)
        os.mkfifo(root / name)

    return prepare


def unix_socket(name: str) -> Prepare:
    """A socket's file, in the place of what is there."""

    def prepare(root: pathlib.Path) -> None:
        _make_room(root / name)
        before = os.getcwd()
        os.chdir((root / name).parent)  # A socket's path may have a hundred characters.
        with socket.socket(socket.AF_UNIX) as made:
            made.bind((root / name).name)
        os.chdir(before)

    return prepare


def directory(name: str) -> Prepare:
    """An empty directory, in the place of what is there."""

    def prepare(root: pathlib.Path) -> None:
        _make_room(root / name)
        (root / name).mkdir()

    return prepare


def link(name: str, target: str) -> Prepare:
    """A symbolic link, in the place of what is there."""

    def prepare(root: pathlib.Path) -> None:
        _make_room(root / name)
        (root / name).symlink_to(target.replace("{tmp}", str(root)))

    return prepare


def _make_room(path: pathlib.Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _there(root: pathlib.Path, name: str) -> list[pathlib.Path]:
    found = sorted(root.glob(name))
    if not found:
        raise RuntimeError(f"there is no {name} to damage")
    return found
