"""Means with their spread over seeds, and rank correlations with their uncertainty."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

RESAMPLES = 2000


class Spread(NamedTuple):
    """Mean, sample standard deviation (None of one value) and number of values."""

    mean: float
    deviation: float | None
    count: int


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), deviation, len(values))


@dataclasses.dataclass(frozen=True)
class RankCorrelation:
    """How alike two orders of the same things are.

    Attributes:
        spearman, kendall: ρ and τ-b, in [-1, 1]; None where one side does not vary or there are
            fewer than three things.
        p: of Kendall's τ under no relation, two-sided.
        spearman_interval, kendall_interval: 95 % of the coefficients when seeds are drawn again;
            None unless something was measured with several seeds. It says nothing of how few
            things there are: `p` does.
        count: how many things are ordered.
    """

    spearman: float | None
    kendall: float | None
    p: float | None
    spearman_interval: tuple[float, float] | None
    kendall_interval: tuple[float, float] | None
    count: int


def rank_correlation(
    first: Sequence[Sequence[float]],
    second: Sequence[Sequence[float]],
    *,
    paired: bool,
    seed: int = 0,
) -> RankCorrelation:
    """The rank correlation of two measures of the same things, by their means over seeds.

    Args:
        first, second: by thing the values of its seeds.
        paired: whether `first` and `second` were measured on the same runs, in the same order: then
            seeds are drawn for both together.
        seed: of the bootstrap.
    """
    spearman, kendall, p = _coefficients(
        [float(np.mean(values)) for values in first], [float(np.mean(values)) for values in second]
    )
    intervals: tuple = (None, None)
    if spearman is not None and any(len(values) > 1 for values in (*first, *second)):
        drawn = coefficients_of_rows(*_resampled_means(first, second, paired, seed))
        if len(drawn):
            low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
            intervals = tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))
    return RankCorrelation(spearman, kendall, p, *intervals, count=len(first))


def _coefficients(
    first: list[float], second: list[float]
) -> tuple[float | None, float | None, float | None]:
    if len(first) < 3 or len(set(first)) < 2 or len(set(second)) < 2:
        return None, None, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rho = stats.spearmanr(first, second).statistic
        tau = stats.kendalltau(first, second)
    return float(rho), float(tau.statistic), float(tau.pvalue)


def _resampled_means(
    first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], paired: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means over seeds that are drawn again with repetition: twice (RESAMPLES, things)."""
    random = np.random.default_rng(seed)
    means = np.empty((2, RESAMPLES, len(first)))
    for thing, (one, other) in enumerate(zip(first, second, strict=True)):
        picks = random.integers(len(one), size=(RESAMPLES, len(one)))
        means[0, :, thing] = np.take(one, picks).mean(axis=1)
        if not paired:
            picks = random.integers(len(other), size=(RESAMPLES, len(other)))
        means[1, :, thing] = np.take(other, picks).mean(axis=1)
    return means[0], means[1]


def coefficients_of_rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's and Kendall's coefficient of every row in which both sides vary: (rows, 2)."""
    ranks = [stats.rankdata(values, axis=1) for values in (first, second)]
    pairs = np.triu_indices(first.shape[1], 1)
    signs = [np.sign(rank[:, pairs[0]] - rank[:, pairs[1]]) for rank in ranks]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    coefficients = []
    for a, b in (centred, signs):
        scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
        with np.errstate(invalid="ignore"):
            coefficients.append((a * b).sum(axis=1) / scale)
    table = np.stack(coefficients, axis=1)
    return table[np.isfinite(table).all(axis=1)]
