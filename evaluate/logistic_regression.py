"""The paper's default probe: multinomial logistic regression by L-BFGS (section 3.3, supplement).

Minimises mean cross-entropy + l2 · ‖W‖² with SciPy's L-BFGS-B at its default settings and at most
800 updates; the bias is not penalised. scikit-learn's `LogisticRegression` minimises the same for
C = 1 / (2 · l2 · N).

The optimiser works on W and c = b + W·m, m the mean of the features, in place of W and b. As b is
free, this changes neither the objective nor its minimum, but the features count as if they were
centred: representations after a ReLU then take a half to a third of the updates.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.optimize
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from evaluate.features import check_features, check_labels, feature_means
from evaluate.low_data import held_out_fifth
from evaluate.objective import CrossEntropy, classify, full_float32
from training import between_workers
from training.between_workers import Workers

MAX_UPDATES = 800
L2_CANDIDATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# The held-out accuracy is settled long before the ninth digit of the loss: with ten classes and
# 512 features the candidates took 341 passes in place of 1220, their accuracies within 0.3 points.
CANDIDATES_FTOL = 1e-5

# Called after every update with its number, from 1, and the objective.
Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Probe:
    """A fitted linear classifier: logits = features · weights + bias.

    Attributes:
        weights: (D, C), float32.
        bias: (C,), float32.
        l2: the penalty's factor.
        loss: mean cross-entropy over the training examples, without the penalty.
        objective: the same with the penalty.
        updates: updates of L-BFGS.
        evaluations: passes over the features that these took.
        converged: whether it ended before the limit of updates did: by one of SciPy's criteria,
            or because float32 resolves no lower objective, which SciPy calls ABNORMAL.
        seconds: the time of the fit.
        message: how SciPy says that it ended.
    """

    weights: np.ndarray = field(repr=False)
    bias: np.ndarray = field(repr=False)
    l2: float
    loss: float
    objective: float
    updates: int
    evaluations: int
    converged: bool
    seconds: float
    message: str


@dataclass(frozen=True)
class L2Choice:
    """The chosen penalty, the held-out accuracy (in [0, 1]) of every candidate, the final probe."""

    l2: float
    accuracies: dict[float, float]
    probe: Probe


def paper_l2(num_features: int, num_classes: int) -> float:
    """The paper's penalty, 100 / (M · C) for M features and C classes (supplement).

    It suits a thousand classes; with ten it is far too large.
    """
    return 100 / (num_features * num_classes)


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int,
    l2: float,
    max_updates: int = MAX_UPDATES,
    ftol: float = 2.2e-9,
    gtol: float = 1e-5,
    initial: Probe | None = None,
    strategy: tf.distribute.Strategy | None = None,
    workers: Workers = between_workers.ALONE,
    progress: Progress | None = None,
) -> Probe:
    """Fits the probe.

    A class without examples is not an error, nor are constant features or fewer examples than
    classes. Every evaluation reads the features once and never copies them.

    Args:
        features: (N, D), float16 or float32, any finite values; an array or a memory map.
        labels: (N,), integers in [0, num_classes).
        num_classes: number of classes C, at least 2.
        l2: the penalty's factor, at least 0.
        max_updates: the limit of updates, at least 1. A warning is logged when it ends the fit.
        ftol: stops when an update lowers the objective by less than this part of it.
        gtol: stops when no entry of the gradient is larger.
        initial: where to start, a probe of the same shape; by default at zero.
        strategy: shares every evaluation among its replicas when it has more than one.
        workers: each has its own examples, and all fit the same probe to all of them.
        progress: called after every update.

    Raises:
        ValueError: features that are not finite, not a matrix or empty; labels that do not fit.
    """
    labels = _check(features, labels, num_classes, l2, max_updates, workers)
    problem = _Problem(features, labels, num_classes, strategy, workers)
    return problem.minimise(l2, max_updates, ftol, gtol, initial, progress)


def choose_l2(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int,
    candidates: Sequence[float] = L2_CANDIDATES,
    max_updates: int = MAX_UPDATES,
    seed: int = 0,
    strategy: tf.distribute.Strategy | None = None,
    workers: Workers = between_workers.ALONE,
    progress: Progress | None = None,
) -> L2Choice:
    """Fits with the candidate that classifies a held-out fifth of the examples best.

    A fifth of every class, drawn by the seed, is held out; the candidates are fitted to the rest
    (to `CANDIDATES_FTOL`), each starting from the next larger one's weights. The best, of equal
    ones the largest, is fitted again to all examples. Held-out examples stay where they are and
    count with weight zero, so that all fits read the same features.

    Args:
        features, labels, num_classes, max_updates, strategy, workers: as for `fit`; at least 5
            examples.
        candidates: the penalties to try.
        seed: draws the held-out fifth.
        progress: called after every update of every fit; the number of the update starts again.

    Raises:
        ValueError: as `fit`, and with fewer than 5 examples.
    """
    for l2 in candidates:
        labels = _check(features, labels, num_classes, l2, max_updates, workers)
    every_label = workers.concatenate(labels.astype(np.int64))
    held_out = workers.own(held_out_fifth(every_label, seed), len(labels))
    training = 1 - held_out
    problem = _Problem(features, labels, num_classes, strategy, workers)
    accuracies, best, probe = {}, None, None
    for l2 in sorted(candidates, reverse=True):
        probe = problem.minimise(
            l2, max_updates, CANDIDATES_FTOL, initial=probe, progress=progress, used=training
        )
        accuracies[l2] = problem.accuracy(probe, held_out)
        if best is None or accuracies[l2] > accuracies[best.l2]:
            best = probe
    probe = problem.minimise(best.l2, max_updates, initial=best, progress=progress)
    return L2Choice(best.l2, accuracies, probe)


def evaluate(
    probe: Probe,
    features: np.ndarray,
    labels: np.ndarray,
    workers: Workers = between_workers.ALONE,
) -> tuple[float, float, float]:
    """Top-1 and top-5 accuracy in [0, 1] and mean cross-entropy on all workers' (N, D) features.

    With five classes or fewer the top-5 accuracy is 1.

    Raises:
        ValueError: as `fit`, or another number of features than the probe was fitted to.
    """
    feature_means(features, workers)  # Raises if they are not finite.
    if features.shape[1] != len(probe.weights):
        raise ValueError(
            f"The probe was fitted to {len(probe.weights)} features, these are {features.shape[1]}."
        )
    labels = check_labels(labels, len(features), len(probe.bias))
    weights = np.ascontiguousarray(probe.weights.T)
    return classify(features, labels, weights, probe.bias, workers=workers)


class _Problem:
    """One data set: what its fits with different penalties have in common."""

    def __init__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        strategy: tf.distribute.Strategy | None,
        workers: Workers,
    ) -> None:
        self._features, self._labels, self._workers = features, labels, workers
        self._shape = num_classes, features.shape[1]
        self._mean = feature_means(features, workers)
        self._cross_entropy = CrossEntropy(features, labels, strategy, workers)

    def minimise(
        self,
        l2: float,
        max_updates: int,
        ftol: float = 2.2e-9,
        gtol: float = 1e-5,
        initial: Probe | None = None,
        progress: Progress | None = None,
        used: np.ndarray | None = None,
    ) -> Probe:
        """Fits to the examples with used = 1."""
        started = time.perf_counter()

        def objective(point: np.ndarray) -> tuple[float, np.ndarray]:
            weights, bias = self._split(point)
            loss, gradient = self._cross_entropy(
                weights.astype(np.float32), bias.astype(np.float32), used
            )
            by_weights = gradient[: weights.size].reshape(self._shape)
            for row, by_bias in zip(by_weights, gradient[weights.size :], strict=True):
                row -= by_bias * self._mean
            by_weights += 2 * l2 * weights
            return loss + l2 * float(np.vdot(weights, weights)), gradient

        def report(intermediate_result: scipy.optimize.OptimizeResult) -> None:
            progress(next(update), float(intermediate_result.fun))

        update = itertools.count(1)
        with full_float32():
            result = scipy.optimize.minimize(
                objective,
                self._start(initial),
                jac=True,
                method="L-BFGS-B",
                callback=report if progress else None,
                # The line search takes at most 20 evaluations: the limit of updates decides.
                options={
                    "maxiter": max_updates,
                    "maxfun": 21 * max_updates + 21,
                    "ftol": ftol,
                    "gtol": gtol,
                },
            )
        if result.status == 1:
            with tqdm.external_write_mode():  # On a line of its own, not behind a bar.
                logging.warning(
                    "L-BFGS was ended by the limit of %d updates before it converged (l2 = %g).",
                    max_updates,
                    l2,
                )
        weights, bias = self._split(result.x)
        return Probe(
            weights=np.ascontiguousarray(weights.T, dtype=np.float32),
            bias=bias.astype(np.float32),
            l2=l2,
            loss=float(result.fun - l2 * np.vdot(weights, weights)),
            objective=float(result.fun),
            updates=int(result.nit),
            evaluations=int(result.nfev),
            converged=result.status != 1,
            seconds=time.perf_counter() - started,
            message=str(result.message).strip(),
        )

    def accuracy(self, probe: Probe, used: np.ndarray) -> float:
        """Top-1 accuracy on the examples with used = 1."""
        weights = np.ascontiguousarray(probe.weights.T)
        return classify(self._features, self._labels, weights, probe.bias, used, self._workers)[0]

    def _split(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights (C, D) and bias (C,) of the optimiser's vector."""
        weights = point[: -self._shape[0]].reshape(self._shape)
        return weights, point[-self._shape[0] :] - weights @ self._mean

    def _start(self, initial: Probe | None) -> np.ndarray:
        if initial is None:
            return np.zeros(self._shape[0] * self._shape[1] + self._shape[0])
        if initial.weights.shape != self._shape[::-1]:
            raise ValueError(
                f"The initial probe's weights must be {self._shape[::-1]}, "
                f"these are {initial.weights.shape}."
            )
        centred_bias = initial.bias + self._mean @ initial.weights
        return np.concatenate([initial.weights.T.ravel(), centred_bias])


def _check(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    l2: float,
    max_updates: int,
    workers: Workers,
) -> np.ndarray:
    """The labels as int32, if all arguments fit together."""
    check_features(features, workers)
    if num_classes < 2:
        raise ValueError(f"A probe needs at least 2 classes, not {num_classes}.")
    if not (np.isfinite(l2) and l2 >= 0):
        raise ValueError(f"The penalty l2 must be a number of at least 0, not {l2}.")
    if max_updates < 1:
        raise ValueError(f"There must be at least 1 update, not {max_updates}.")
    return check_labels(labels, len(features), num_classes)
