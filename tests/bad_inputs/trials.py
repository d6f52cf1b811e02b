"""All trials, and how they are carried out: in forks of a process that has imported TensorFlow."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.pop("TF_CONFIG", None)

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import importlib
import pathlib
import pkgutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.bad_inputs import (
    archives,
    combinations,
    evaluation,
    examples,
    exploration,
    flags,
    folders,
    machines,
    networks,
    places,
    runs,
    stock,
    studies,
)
from tests.bad_inputs.forks import die_with_parent
from tests.bad_inputs.trial import Trial, carry_out

ROOMS = ("data", "evaluate", "exploration", "models", "pretext", "studies", "training")
_trials: list[Trial] = []


def every_trial() -> list[Trial]:
    """All trials, by kind.

    Raises:
        ValueError: two have the same name.
    """
    kinds = (
        flags,
        combinations,
        studies,
        machines,
        folders,
        archives,
        runs,
        networks,
        evaluation,
        exploration,
        examples,
        places,
    )
    trials = [trial for kind in kinds for trial in kind.trials()]
    names = [trial.name for trial in trials]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two trials are called {', '.join(twice)}")
    return trials


def carry_out_all(
    trials: list[Trial], processes: int = 2
) -> Iterator[tuple[Trial, str | None, float]]:
    """Carries trials out, some at a time: each, as it ends, with its fault and its seconds."""
    _import_the_rooms()
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="bad_inputs") as directory:
        tempfile.tempdir = directory
        stock.keep_in(pathlib.Path(directory))
        # Preparations are functions made on the way, which only a fork can take over.
        _trials[:] = trials
        context = get_context("fork")
        try:
            with ProcessPoolExecutor(processes, context, initializer=die_with_parent) as pool:
                numbers = {pool.submit(_carry_out, n): n for n in range(len(trials))}
                for future in as_completed(numbers):
                    yield trials[numbers[future]], *future.result()
        finally:
            tempfile.tempdir = before


def _carry_out(number: int) -> tuple[str | None, float]:
    try:
        return carry_out(_trials[number])
    except RuntimeError as error:
        return f"could not be tried: {error}", 0.0


def _import_the_rooms() -> None:
    """Imports here once what every fork would import again; only the programs define flags."""
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if module.name not in ("data.prepare", "pretext.preview"):
                importlib.import_module(module.name)
