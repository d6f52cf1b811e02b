"""What the trials are made of: small folders of images, a network, and ways to damage files."""

import os
import pathlib
import shutil
import socket
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests.bad_inputs.trial import Prepare, Trial, run

TRAIN = (
    "--architecture=vgg19_bn",
    "--widening_factor=1",
    "--resize_size=36",
    "--crop_size=32",
    "--batch_size=8",
    "--epochs=1",
    "--warmup_epochs=0",
    "--data_dir={tmp}/images",
    "--workdir={tmp}/run",
)
EVAL = (
    "--saved_model={tmp}/network/saved_model",
    "--train_split=trainval",
    "--val_split=test",
    "--batch_size=8",
    "--probe=knn",
    "--layers=pre_logits",
    "--data_dir={tmp}/images",
    "--workdir={tmp}/probe",
)

_network = pathlib.Path()


def images(root: pathlib.Path, count: int = 40, classes: tuple[str, ...] = ("a", "b")) -> None:
    """JPEGs of 40×48 below `images`, round robin over the classes; `.` for none."""
    random = np.random.default_rng(0)
    for number in range(count):
        folder = root / "images" / classes[number % len(classes)]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.jpg")


def make_network(directory: pathlib.Path) -> None:
    """Exports an untrained network once, for `network` to copy.

    Raises:
        RuntimeError: train.py could not.
    """
    global _network
    images(directory)
    made = Trial("network", "train", ())
    outcome = run(made, (*TRAIN, "--epochs=0"), directory)
    if outcome.status:
        raise RuntimeError(f"no network to try: {outcome.errors}")
    _network = directory / "run"


def network(root: pathlib.Path) -> None:
    """An untrained network's run directory, `network`, and images."""
    images(root)
    shutil.copytree(_network, root / "network")


def then(*steps: Callable[[pathlib.Path], object]) -> Prepare:
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


def earlier(program: str, *arguments: str) -> Prepare:
    """A run of a program that has to succeed.

    Raises:
        RuntimeError: it did not.
    """

    def prepare(root: pathlib.Path) -> None:
        outcome = run(Trial("earlier", program, ()), arguments, root)
        if outcome.status:
            raise RuntimeError(f"{program} failed before the trial: {outcome.errors[-500:]}")

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
