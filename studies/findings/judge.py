"""How a finding is judged.

A finding is put as comparisons whose sign it predicts. A comparison counts when it is larger than
two standard errors, for or against. The error comes from the spread over seeds: of the two at hand
or, where that is larger or there is one seed, the typical one of the study, because the spread of
three seeds is often small by chance. A finding

- holds where at least half of its comparisons count for it, and at most a tenth against,
- does not hold where more than a tenth count against it,
- cannot be seen otherwise: nothing to compare, or differences within the noise.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from studies.statistics import Spread

HOLDS, DOES_NOT, UNSEEN = "holds", "does not hold", "cannot be seen"
ERRORS = 2.0
SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A difference that a finding predicts to be positive.

    Attributes:
        label: what is compared.
        difference: in accuracy, from -1 to 1.
        error: its standard error; None where no network of the study has several seeds.
    """

    label: str
    difference: float
    error: float | None

    @property
    def sign(self) -> int:
        """1 for the finding, -1 against it, 0 within the noise."""
        if self.error is None or abs(self.difference) <= ERRORS * self.error:
            return 0
        return 1 if self.difference > 0 else -1

    def __str__(self) -> str:
        error = "" if self.error is None else f" ± {100 * self.error:.1f}"
        return f"{self.label}: {100 * self.difference:+.1f}{error}"


@dataclasses.dataclass(frozen=True)
class Finding:
    """A claim of the paper, the section it is from, the verdict and its numbers."""

    claim: str
    section: str
    verdict: str
    evidence: str


class Judge:
    """Compares values of one kind, such as accuracies, of one study.

    Args:
        cells: the spreads whose typical deviation is the least that is reckoned with.
    """

    def __init__(self, cells: Iterable[Spread]) -> None:
        known = [cell.deviation**2 for cell in cells if cell.deviation is not None]
        self._typical = sum(known) / len(known) if known else None

    def compare(self, label: str, more: Spread, less: Spread) -> Comparison:
        """The comparison that predicts `more` to be above `less`."""
        if self._typical is None:
            return Comparison(label, more.mean - less.mean, None)
        variance = sum(
            max(self._typical, (value.deviation or 0.0) ** 2) / value.count
            for value in (more, less)
        )
        return Comparison(label, more.mean - less.mean, math.sqrt(variance))


def judged(claim: str, section: str, comparisons: Iterable[Comparison], missing: str) -> Finding:
    """The finding that these comparisons make.

    Args:
        claim: the paper's.
        section: where it stands.
        comparisons: see this module's first lines.
        missing: what a study needs for there to be any.
    """
    made = list(comparisons)
    if not made:
        return unmeasured(claim, section, missing)
    return Finding(claim, section, verdict(made), evidence(made))


def unmeasured(claim: str, section: str, missing: str) -> Finding:
    """A finding that nothing was measured for."""
    return Finding(claim, section, UNSEEN, f"Not measured: needs {missing}.")


def verdict(comparisons: Sequence[Comparison]) -> str:
    """The rule that this module's first lines state, of at least one comparison."""
    signs = [comparison.sign for comparison in comparisons]
    if 10 * signs.count(-1) > len(signs):
        return DOES_NOT
    return HOLDS if 2 * signs.count(1) >= len(signs) else UNSEEN


def evidence(comparisons: Sequence[Comparison]) -> str:
    """The comparisons in words, those against first, then the largest."""
    signs = [comparison.sign for comparison in comparisons]
    ordered = sorted(comparisons, key=lambda each: (each.sign != -1, -abs(each.difference)))
    listed = "; ".join(str(comparison) for comparison in ordered[:SHOWN])
    rest = f"; and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    unknown = "" if ordered[0].error is not None else " One seed each, so the noise is unknown."
    return (
        f"For {signs.count(1)}, against {signs.count(-1)}, within the noise {signs.count(0)}. "
        f"{listed}{rest}.{unknown}"
    )
