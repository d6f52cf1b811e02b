"""Sections 4.1 and 4.6: width, representation size, few labels."""

import itertools
import math
from collections.abc import Iterator

from studies import scale_figures
from studies.exhibits import words
from studies.figures import network_key
from studies.findings.judge import Comparison, Finding, Judge, judged
from studies.measurements import SUPERVISED, UNTRAINED, Study
from studies.statistics import Spread, spreads

# By images, task and architecture the accuracies of the widening factors.
Widths = dict[tuple[str, str, str], dict[int, Spread]]
# By widening factor and size of pre_logits.
Sizes = dict[tuple[int, int], Spread]


def findings(study: Study, judge: Judge) -> Iterator[Finding]:
    """The findings of these sections."""
    widths = _by_width(study, 1.0)
    two = "two widening factors of one task and architecture"
    yield judged("A wider network is better", "4.1, 4.6", _wider(judge, widths), two)
    shares = sorted({score.train_fraction for score in study.scores} - {1.0}, reverse=True)
    for share in shares:
        yield judged(
            f"A wider network is better with {100 * share:g} % of the labels too",
            "4.6",
            _wider(judge, _by_width(study, share)),
            two,
        )
    if not shares:
        yield judged("A wider network is better with few labels too", "4.6", [], "few labels")
    yield judged(
        "Self-supervision gains more from width than supervision",
        "4.1",
        _width_gain_over_supervision(judge, widths),
        "two widening factors of the supervised network and of a pretext task",
    )
    _, by_size = scale_figures.width_by_size(study)
    sized = "several widths and representation sizes of one task and architecture"
    yield judged(
        "A larger representation alone improves a thin network",
        "4.6",
        _larger_representation(judge, by_size),
        sized,
    )
    yield judged(
        "More width alone, at one representation size, improves a network",
        "4.6",
        _wider_at_one_size(judge, by_size),
        sized,
    )
    yield judged(
        "Width and representation size together help most",
        "4.6",
        _both_help_most(judge, by_size),
        sized,
    )


def _by_width(study: Study, fraction: float) -> Widths:
    """By images, task and architecture the accuracies of the widening factors."""
    cells = spreads(
        (
            score
            for score in study.scores
            if (score.probe, score.layer, score.train_fraction) == ("lbfgs", "pre_logits", fraction)
            and not score.network.representation_size
            and score.network.task != UNTRAINED
        ),
        lambda score: (*network_key(score)[:3], score.network.widening_factor),
        lambda score: score.top1,
    )
    widths: Widths = {}
    for (*network, k), value in sorted(cells.items(), key=lambda item: item[0]):
        widths.setdefault(tuple(network), {})[k] = value
    return widths


def _wider(judge: Judge, widths: Widths) -> Iterator[Comparison]:
    for (place, task, architecture), values in widths.items():
        if task != SUPERVISED:
            for less, more in itertools.pairwise(values):
                label = f"{words(task)}, {architecture}, k {less} to {more}, {place}"
                yield judge.compare(label, values[more], values[less])


def _width_gain_over_supervision(judge: Judge, widths: Widths) -> Iterator[Comparison]:
    for (place, task, architecture), values in widths.items():
        supervised = widths.get((place, SUPERVISED, architecture), {})
        common = [k for k in values if k in supervised]
        if task != SUPERVISED and len(common) > 1:
            gains = [
                judge.compare("", these[common[-1]], these[common[0]])
                for these in (values, supervised)
            ]
            known = all(gain.error is not None for gain in gains)
            span = f"k {common[0]} to {common[-1]}"
            yield Comparison(
                f"{words(task)} over supervised, {architecture}, {span}, {place}",
                gains[0].difference - gains[1].difference,
                math.hypot(*(gain.error for gain in gains)) if known else None,
            )


def _larger_representation(judge: Judge, by_size: Sizes) -> Iterator[Comparison]:
    """The thinnest network that has several sizes: its largest over its smallest."""
    for k in sorted({k for k, _ in by_size}):
        sizes = sorted(size for width, size in by_size if width == k)
        if len(sizes) > 1:
            label = f"k {k}, size {sizes[0]} to {sizes[-1]}"
            yield judge.compare(label, by_size[k, sizes[-1]], by_size[k, sizes[0]])
            return


def _wider_at_one_size(judge: Judge, by_size: Sizes) -> Iterator[Comparison]:
    for size in sorted({size for _, size in by_size}):
        widths = sorted(k for k, other in by_size if other == size)
        if len(widths) > 1:
            label = f"size {size}, k {widths[0]} to {widths[-1]}"
            yield judge.compare(label, by_size[widths[-1], size], by_size[widths[0], size])


def _both_help_most(judge: Judge, by_size: Sizes) -> Iterator[Comparison]:
    """The widest network at the largest size over the widest, and over the largest, alone."""
    sizes: dict[int, set[int]] = {}
    for k, size in by_size:
        sizes.setdefault(size, set()).add(k)
    # The sizes that several widths have: a width's own size may be nobody else's.
    shared = sorted(size for size, widths in sizes.items() if len(widths) > 1)
    if len(shared) < 2:
        return
    low, high = shared[0], shared[-1]
    widths = sorted(sizes[low] & sizes[high])
    if len(widths) > 1:
        both = by_size[widths[-1], high]
        alone = {
            f"k {widths[-1]} and size {high} over k {widths[-1]} and size {low}": (widths[-1], low),
            f"k {widths[-1]} and size {high} over k {widths[0]} and size {high}": (widths[0], high),
        }
        for label, key in alone.items():
            yield judge.compare(label, both, by_size[key])
