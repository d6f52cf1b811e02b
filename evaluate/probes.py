"""Measures layers: from features and labels of two splits to every layer's row of results."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging
from etils import epath

from evaluate import logistic_regression, neighbours, protocols
from evaluate.label_free import label_free_scores
from evaluate.low_data import ChosenRows, choose
from evaluate.progress import FitProgress
from evaluate.representations import Representations
from evaluate.results_file import read_json, row_problem
from training import between_workers
from training.between_workers import Workers
from training.options import option
from training.run_directory import write_whole

NAMES = ("lbfgs", "knn")


def read_l2(text: str) -> float | str:
    """A penalty, or the name of a rule that sets it.

    Raises:
        ValueError: it is neither.
    """
    if text in ("auto", "paper"):
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"--l2={text}: use auto, paper or a number of at least 0")
    return value


@dataclasses.dataclass(frozen=True)
class ProbeOptions:
    """How a layer is probed.

    Attributes:
        seed: of the examples that `auto` holds out and that label-free scores draw.
    """

    probe: str = option(
        "lbfgs",
        "lbfgs: logistic regression by L-BFGS; knn: the nearest neighbours by cosine, without "
        "training; sgd: logistic regression by SGD with momentum; mlp: one hidden layer of 1000, "
        "by SGD.",
        choices=(*NAMES, *protocols.PAPER),
    )
    l2: float | str = option(
        "auto",
        "The penalty λ: a number, paper (100 / (features · classes)), or auto (lbfgs: the best of "
        "1e-6 … 1e-1 on a held-out fifth of the training split; sgd: 0; mlp: paper).",
        check=read_l2,
        only_for=("lbfgs", *protocols.PAPER),
    )
    max_updates: int = option(
        logistic_regression.MAX_UPDATES,
        "The largest number of L-BFGS updates.",
        minimum=1,
        maximum=10**9,
        only_for=("lbfgs",),
    )
    neighbours: int = option(
        neighbours.NEIGHBOURS,
        "For knn: how many neighbours vote.",
        minimum=1,
        maximum=10**9,
        only_for=("knn",),
    )
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_updates < 1:
            raise ValueError(f"--max_updates={self.max_updates}: use at least 1")
        if self.neighbours < 1:
            raise ValueError(f"--neighbours={self.neighbours}: use at least 1")


class Examples(NamedTuple):
    """Features (N, D), float16 or float32, and labels (N,), integers in [0, classes)."""

    features: np.ndarray | ChosenRows
    labels: np.ndarray


def measure_all(
    train: Representations,
    val: Representations,
    labelled: np.ndarray,
    *,
    num_classes: int,
    options: ProbeOptions,
    source: dict[str, Any],
    partial: epath.Path,
    strategy: tf.distribute.Strategy | None = None,
    workers: Workers = between_workers.ALONE,
) -> dict[str, dict[str, Any]]:
    """Measures every layer, one after the other; keeps those that an earlier start measured.

    Args:
        train, val, labelled, num_classes, options, strategy, workers: as for `measure`, of all
            layers.
        source: describes the representations, fit for JSON.
        partial: the file that holds the finished layers; ignored if it is of another source. The
            first worker alone reads and writes it.

    Returns:
        By layer its row of `results.json`; for other workers than the first {}.

    Raises:
        ValueError: features that are not finite, or too few examples; names the layer.
    """
    done = _finished(partial, source, train.layers) if workers.is_first else {}
    finished = workers.sum(np.array([layer in done for layer in train.layers], np.int64))
    for layer, is_done in zip(train.layers, finished, strict=True):
        if not is_done:
            row = measure(
                layer,
                Examples(train.layers[layer], train.labels),
                Examples(val.layers[layer], val.labels),
                labelled,
                num_classes=num_classes,
                options=options,
                strategy=strategy,
                workers=workers,
            )
            if workers.is_first:
                done[layer] = row
                write_whole(partial, json.dumps({"source": source, "layers": done}))
    return {layer: done[layer] for layer in train.layers} if workers.is_first else {}


def _finished(
    partial: epath.Path, source: dict[str, Any], layers: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """The layers that an earlier start measured on the same representations."""
    if not partial.exists():
        return {}
    try:
        earlier = read_json(partial)
        if earlier["source"] != source:
            return {}
        rows = {layer: earlier["layers"][layer] for layer in layers if layer in earlier["layers"]}
    except (ValueError, KeyError, TypeError) as error:
        logging.warning("%s is damaged (%s): all layers are measured again", partial, error)
        return {}
    problems = {layer: row_problem(row) for layer, row in rows.items()}
    for layer, problem in problems.items():
        if problem:
            logging.warning(
                "%s is damaged (of layer %s, %s): it is measured again", partial, layer, problem
            )
    return {layer: row for layer, row in rows.items() if not problems[layer]}


def measure(
    layer: str,
    train: Examples,
    val: Examples,
    labelled: np.ndarray,
    *,
    num_classes: int,
    options: ProbeOptions,
    strategy: tf.distribute.Strategy | None = None,
    workers: Workers = between_workers.ALONE,
) -> dict[str, Any]:
    """Fits the probe and measures it, and scores the layer without labels.

    Args:
        layer: the layer's name, for the progress bar and for errors.
        train: the training split.
        val: what the probe is measured on.
        labelled: the rows of `train` that the probe is fitted to, sorted; the label-free scores
            are those of all rows.
        num_classes: number of classes, at least 2.
        options: see `ProbeOptions`.
        strategy: shares the fit among its replicas.
        workers: each has its own part of `train` and `val`, and its own of `labelled`.

    Returns:
        The layer's row of `results.json`; `docs/evaluation.md` explains its keys.

    Raises:
        ValueError: features that are not finite, or too few examples; names the layer.
    """
    fit_to = Examples(choose(train.features, labelled), train.labels[labelled])
    fit_and_score = nearest_neighbours if options.probe == "knn" else linear
    try:
        with FitProgress(layer, shown=workers.is_first) as progress:
            scores = fit_and_score(
                fit_to,
                val,
                num_classes=num_classes,
                options=options,
                strategy=strategy,
                workers=workers,
                progress=progress,
            )
            seconds = progress.seconds()
        label_free = label_free_scores(train.features, options.seed, workers)
    except ValueError as error:
        raise ValueError(f"layer {layer}: {error}") from error
    return {
        "features": train.features.shape[1],
        **scores,
        **dataclasses.asdict(label_free),
        "seconds": seconds,
    }


def nearest_neighbours(
    train: Examples,
    val: Examples,
    *,
    num_classes: int,
    options: ProbeOptions,
    workers: Workers,
    **_: Any,
) -> dict[str, Any]:
    """Accuracies of the k-nearest-neighbours probe."""
    top1, top5 = neighbours.evaluate(
        *train, *val, num_classes=num_classes, k=options.neighbours, workers=workers
    )
    return {"top1": top1, "top5": top5}


def linear(
    train: Examples,
    val: Examples,
    *,
    num_classes: int,
    options: ProbeOptions,
    strategy: tf.distribute.Strategy | None,
    workers: Workers,
    progress: FitProgress,
) -> dict[str, Any]:
    """Accuracies of logistic regression by L-BFGS, and how the fit went."""
    common = {
        "num_classes": num_classes,
        "max_updates": options.max_updates,
        "strategy": strategy,
        "workers": workers,
        "progress": progress,
    }
    candidates = {}
    if options.l2 == "auto":
        choice = logistic_regression.choose_l2(*train, seed=options.seed, **common)
        probe, candidates = choice.probe, choice.accuracies
    else:
        l2 = options.l2
        if l2 == "paper":
            l2 = logistic_regression.paper_l2(train.features.shape[1], num_classes)
        probe = logistic_regression.fit(*train, l2=l2, **common)
    top1, top5, loss = logistic_regression.evaluate(probe, *val, workers)
    return {
        "top1": top1,
        "top5": top5,
        "loss": loss,
        "l2": probe.l2,
        "held_out_top1_by_l2": {f"{l2:g}": accuracy for l2, accuracy in candidates.items()},
        "train_loss": probe.loss,
        "updates": probe.updates,
        "converged": probe.converged,
    }
