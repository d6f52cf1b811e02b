"""All trials, and how they are carried out: in forks of a process that has imported TensorFlow."""

from programs import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import os
import pathlib
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

# Imported here once, and not in every fork again.
import evaluate.representations  # noqa: F401
import pretext.loop  # noqa: F401
from tests.bad_inputs import evaluation, flags, folders, inputs, machines, networks, runs, studies
from tests.bad_inputs.trial import Trial, carry_out

_trials: list[Trial] = []


def every_trial() -> list[Trial]:
    """All trials, by kind."""
    kinds = (flags, folders, runs, networks, evaluation, machines, studies)
    return [trial for kind in kinds for trial in kind.trials()]


def carry_out_all(trials: list[Trial]) -> Iterator[tuple[Trial, str | None, float]]:
    """Carries trials out, two at a time: each with its fault, if any, and its seconds."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.pop("TF_CONFIG", None)
    with tempfile.TemporaryDirectory() as directory:
        inputs.make_network(pathlib.Path(directory))
        # Preparations are functions made on the way, which only a fork can take over.
        _trials[:] = trials
        with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
            outcomes = pool.map(_carry_out, range(len(trials)))
            for trial, (fault, seconds) in zip(trials, outcomes, strict=True):
                yield trial, fault, seconds


def _carry_out(number: int) -> tuple[str | None, float]:
    try:
        return carry_out(_trials[number])
    except RuntimeError as error:
        return f"could not be tried: {error}", 0.0
