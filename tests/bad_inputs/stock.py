"""What trials begin with: images, a network, a finished run, an evaluation; made once and copied.

All command lines name their files relative to the trial's directory, so that what one left means
the same in a copy.
"""

import fcntl
import pathlib
import shutil
from collections.abc import Callable

import numpy as np
from PIL import Image

from tests.bad_inputs.forks import Conditions, run

SMALL = (
    "--architecture=vgg19_bn",
    "--widening_factor=1",
    "--resize_size=36",
    "--crop_size=32",
    "--batch_size=8",
    "--warmup_epochs=0",
    "--data_dir=images",
)
TRAIN = (*SMALL, "--epochs=1", "--workdir=run")
EVAL = (
    "--saved_model=network/saved_model",
    "--train_split=trainval",
    "--val_split=test",
    "--batch_size=8",
    "--probe=knn",
    "--layers=pre_logits",
    "--data_dir=images",
    "--workdir=probe",
)

_directory = pathlib.Path()


def keep_in(directory: pathlib.Path) -> None:
    """Sets the directory in which what is made is kept, for this process and its forks."""
    global _directory
    _directory = directory


def images(root: pathlib.Path, count: int = 40, classes: tuple[str, ...] = ("a", "b")) -> None:
    """JPEGs of 40×48 below `images`, round robin over the classes; `.` for none."""
    random = np.random.default_rng(0)
    for number in range(count):
        folder = root / "images" / classes[number % len(classes)]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.jpg")


def network(root: pathlib.Path) -> None:
    """Images, and an untrained network's run directory, `network`."""
    _copy(_make_network, root)


def trained(root: pathlib.Path) -> None:
    """Images, and a finished run of one epoch, `run`."""
    _copy(_make_trained, root)


def evaluated(root: pathlib.Path) -> None:
    """Images, a network and its evaluation, `probe`."""
    _copy(_make_evaluated, root)


def _make_network(root: pathlib.Path) -> None:
    images(root)
    _run("train", (*SMALL, "--epochs=0", "--workdir=network"), root)


def _make_trained(root: pathlib.Path) -> None:
    images(root)
    _run("train", TRAIN, root)


def _make_evaluated(root: pathlib.Path) -> None:
    network(root)
    _run("eval", EVAL, root)


def _run(program: str, arguments: tuple[str, ...], root: pathlib.Path) -> None:
    outcome = run(program, arguments, root, Conditions(seconds=300))
    if outcome.status:
        raise RuntimeError(f"{program} failed before the trial: {outcome.errors[-500:]}")


def _copy(make: Callable[[pathlib.Path], None], root: pathlib.Path) -> None:
    """Copies what `make` makes, which happens once in all processes."""
    made = _directory / make.__name__
    with open(_directory / f"{make.__name__}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            unfinished = _directory / f"{make.__name__}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(made)
    shutil.copytree(made, root, dirs_exist_ok=True)
