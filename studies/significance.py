"""Tests of significance with few seeds: differences, Holm's correction, three-valued verdicts.

A difference of means is tested by Welch's t with a floor: the variance of a cell (the seeds of one
network) is never taken smaller than the variance pooled over all cells of its kind, because that of
two or three seeds is often small by chance. The pooled variance counts with its degrees of freedom,
what a cell has beyond it with the cell's own (Welch, 1947; Satterthwaite, 1946), so that a network
that varies more than the others is judged by itself. A cell of one seed is in no test. (Simulated
with 20 cells of two seeds and no differences, 3 % of p were below 0.05; where one of the two
compared varies twice as much as all others, 8 %.) p is corrected for the number of tests that a
finding looks at (Holm, 1979), whatever networks the tests have in common.

A test says 1 (for the finding), -1 (against it) or 0 (cannot be seen), and findings are put
together from tests in Kleene's logic: "and" is the minimum, "or" the maximum, "not" the sign. So
"in each" holds only if it holds in each, and falls with one counterexample.
"""

import dataclasses
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy import stats

from studies.statistics import RESAMPLES, Spread, coefficients_of_rows, spread

LEVEL = 0.05
# Of top-1: what "little", "marginally" and "similar" allow. The paper gives no number; two points
# separate VGG19-BN (74.2 %) from ResNet50 (76.1 %), which it calls similar, in torchvision.
MARGIN = 0.02
# Rankings are alike from this Spearman's ρ.
ALIKE = 0.8
# Below this, a difference or a deviation is rounding.
ROUNDING = 1e-9

Key = TypeVar("Key", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A difference that a finding predicts to be positive.

    Attributes:
        label: what is compared.
        difference: in accuracy, from -1 to 1.
        error: its standard error; None with fewer than two seeds on a side.
        p: two-sided, of no difference, corrected once `holm` has seen it; None without an error.
        seeds: of every side.
        cells: the cells that it is made of.
        bound: None, or what a difference is predicted to be below; `difference` is what is left.
    """

    label: str
    difference: float
    error: float | None
    p: float | None
    seeds: tuple[int, ...]
    cells: tuple[Hashable, ...]
    bound: float | None = None

    @property
    def sign(self) -> int:
        """1 for the finding, -1 against it, 0 within the noise or untested."""
        if self.p is None or self.p > LEVEL:
            return 0
        return 1 if self.difference > 0 else -1

    def __str__(self) -> str:
        seeds = f"{' + '.join(map(str, self.seeds))} seed{'s' * (self.seeds != (1,))}"
        tested = "" if self.p is None else f", p {p_text(self.p)}"
        error = "" if self.error is None else f" ± {100 * self.error:.1f}"
        measured, predicted = self.difference, ""
        if self.bound is not None:
            measured = self.bound - self.difference
            predicted = f"predicted below {100 * self.bound:+g}; "
        return f"{self.label}: {100 * measured:+.1f}{error} ({predicted}{seeds}{tested})"


def p_text(p: float) -> str:
    """A probability in words."""
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"


class Cells(Mapping[Key, Spread]):
    """Values of one kind, by cell and seed, and the spread that is typical of them.

    Args:
        values: by cell and seed the value.
        alike: cells for which this is equal share a typical spread; by default all do. Cells that
            are not independent of each other, such as the layers of one network, must not share.
    """

    def __init__(
        self,
        values: Mapping[Key, Mapping[int, float]],
        alike: Callable[[Key], Hashable] = lambda key: None,
    ) -> None:
        self.values_by_seed = values
        self._spreads = {key: spread(list(seeds.values())) for key, seeds in values.items()}
        self._alike = alike
        pools: dict[Hashable, list[Spread]] = {}
        for key, cell in self._spreads.items():
            if cell.count > 1:
                pools.setdefault(alike(key), []).append(cell)
        self._pooled = {kind: _pooled(cells) for kind, cells in pools.items()}

    def __getitem__(self, key: Key) -> Spread:
        return self._spreads[key]

    def __iter__(self):
        return iter(self._spreads)

    def __len__(self) -> int:
        return len(self._spreads)

    def error(self, key: Key) -> float | None:
        """The standard error of a cell's mean; None of one seed."""
        return self.above("", key).error

    def compare(self, label: str, more: Key, less: Key, below: float | None = None) -> Comparison:
        """The comparison that predicts `more` to be above `less`, or less than `below` above it."""
        return self._predicted(label, [(1.0, more), (-1.0, less)], below)

    def above(self, label: str, key: Key, below: float | None = None) -> Comparison:
        """The comparison that predicts a cell to be above zero, or below something."""
        return self._predicted(label, [(1.0, key)], below)

    def _predicted(
        self, label: str, terms: list[tuple[float, Key]], below: float | None
    ) -> Comparison:
        if below is None:
            return self.contrast(label, terms)
        left = self.contrast(label, [(-weight, key) for weight, key in terms], below)
        return dataclasses.replace(left, bound=below)

    def contrast(
        self, label: str, terms: Sequence[tuple[float, Key]], constant: float = 0.0
    ) -> Comparison:
        """The comparison that predicts a weighted sum of means, and a constant, to be positive."""
        keys = tuple(key for _, key in terms)
        cells = [self._spreads[key] for key in keys]
        difference = constant + sum(
            weight * cell.mean for (weight, _), cell in zip(terms, cells, strict=True)
        )
        seeds = tuple(cell.count for cell in cells)
        if min(seeds) < 2:
            return Comparison(label, difference, None, None, seeds, keys)
        # Independent mean squares with their degrees of freedom: the pooled one of every kind, and
        # what a cell's own has beyond it.
        shared: dict[Hashable, float] = {}
        squares: list[tuple[float, float]] = []
        for (weight, key), cell in zip(terms, cells, strict=True):
            kind = self._alike(key)
            pooled, _ = self._pooled[kind]
            share = weight**2 / cell.count
            shared[kind] = shared.get(kind, 0.0) + share * pooled
            squares.append((share * max(0.0, cell.deviation**2 - pooled), cell.count - 1))
        squares += [(square, self._pooled[kind][1]) for kind, square in shared.items()]
        variance = sum(square for square, _ in squares)
        error = math.sqrt(variance)
        if abs(difference) < ROUNDING:
            p = 1.0
        elif error < ROUNDING:
            p = 0.0
        else:
            degrees = variance**2 / sum(square**2 / degrees for square, degrees in squares)
            p = 2 * float(stats.t.sf(abs(difference) / error, degrees))
        return Comparison(label, difference, error, p, seeds, keys)


def _pooled(cells: Sequence[Spread]) -> tuple[float, int]:
    """The variance within cells of several seeds, and its degrees of freedom."""
    degrees = sum(cell.count - 1 for cell in cells)
    return sum((cell.count - 1) * cell.deviation**2 for cell in cells) / degrees, degrees


def holm(comparisons: Mapping[Key, Comparison]) -> dict[Key, Comparison]:
    """The comparisons with p corrected for how many were tested (S. Holm, 1979)."""
    tested = sorted(
        (key for key, each in comparisons.items() if each.p is not None),
        key=lambda key: comparisons[key].p,
    )
    corrected, largest = dict(comparisons), 0.0
    for rank, key in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * comparisons[key].p))
        corrected[key] = dataclasses.replace(comparisons[key], p=largest)
    return corrected


def all_of(signs: Iterable[int]) -> int:
    """1 if each is 1, -1 if one is -1, 0 otherwise and of none."""
    return min(signs, default=0)


def any_of(signs: Iterable[int]) -> int:
    """1 if one is 1, -1 if each is -1, 0 otherwise and of none."""
    return max(signs, default=0)


def opposite(first: int, second: int) -> int:
    """Whether two signs are opposite: 1 if so, -1 if they are the same, 0 if one is 0."""
    return -first * second


@dataclasses.dataclass(frozen=True)
class RankAgreement:
    """Whether two measures put the same things into one order.

    Attributes:
        sign: 1 if Spearman's ρ is at least ALIKE over its 95 % interval and Kendall's τ is beyond
            chance; -1 if ρ is below ALIKE over the interval and two things are turned round beyond
            the noise.
        text: the numbers.
    """

    sign: int
    text: str


def rank_agreement(
    first: Cells, second: Cells, pairs: Sequence[tuple[Hashable, Hashable]], any_turned: bool
) -> RankAgreement:
    """Compares the orders of at least three things.

    Args:
        first, second: the measures.
        pairs: the cell of every thing in `first` and in `second`.
        any_turned: whether two of the things are turned round beyond the noise.
    """
    sides = [(cells, [pair[side] for pair in pairs]) for side, cells in enumerate((first, second))]
    means = [np.array([cells[key].mean for key in keys]) for cells, keys in sides]
    errors = [[cells.error(key) for key in keys] for cells, keys in sides]
    if any(np.ptp(values) < ROUNDING for values in means):
        return RankAgreement(0, f"{len(pairs)} networks, of equal accuracy")
    rho = float(stats.spearmanr(*means).statistic)
    # Exact for few things, where Spearman's is not: four in one order may be so by chance.
    p = float(stats.kendalltau(*means).pvalue)
    text = f"Spearman's ρ of {len(pairs)} networks {rho:.2f}"
    single = sum(None in each for each in zip(*errors, strict=True))
    if single:
        return RankAgreement(0, f"{text}, {single} of them with one seed")
    random = np.random.default_rng(0)
    drawn = coefficients_of_rows(
        *(
            mean + np.array(error) * random.standard_normal((RESAMPLES, len(pairs)))
            for mean, error in zip(means, errors, strict=True)
        )
    )
    low, high = np.percentile(drawn[:, 0], [2.5, 97.5])
    # The means themselves are noisy, and drawn noise comes on top: the interval is on the low side.
    high = max(high, rho)
    sign = 0
    if low >= ALIKE and p <= LEVEL:
        sign = 1
    elif high < ALIKE and any_turned:
        sign = -1
    return RankAgreement(sign, f"{text} [{low:.2f}, {high:.2f}], p of Kendall's τ {p_text(p)}")


def cells_of(
    frame: pd.DataFrame,
    by: list[str],
    value: str = "top1",
    alike: Callable[[tuple], Hashable] = lambda key: key[0],
) -> Cells[tuple]:
    """A value of networks by these columns and seed; a seed that ran twice counts once."""
    found: dict[tuple, dict[int, float]] = {}
    finite = frame[np.isfinite(frame[value])]
    for *key, seed, number in finite[[*by, "seed", value]].itertuples(index=False, name=None):
        found.setdefault(tuple(key), {}).setdefault(seed, number)
    return Cells(found, alike)


def gains(
    first: Cells,
    second: Cells,
    pairs: Mapping[Key, tuple[Hashable, Hashable]],
    alike: Callable[[Key], Hashable] = lambda key: key[0],
) -> Cells[Key]:
    """What a cell of `first` has over one of `second`, seed by seed of the networks in both."""
    found = {}
    for key, (more, less) in pairs.items():
        values, others = first.values_by_seed[more], second.values_by_seed[less]
        found[key] = {seed: values[seed] - others[seed] for seed in values if seed in others}
    return Cells({key: seeds for key, seeds in found.items() if seeds}, alike)
