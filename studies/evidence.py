"""The measurements that findings rest on: of networks that learnt, by cell and seed."""

import dataclasses
import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

from studies import chance, rankings, scale_figures
from studies.exhibits import TASKS, words
from studies.figures import network_key
from studies.judgements import Cells
from studies.measurements import SUPERVISED, UNTRAINED, Network, Score, Study

Key = TypeVar("Key", bound=Hashable)


@dataclasses.dataclass
class Evidence:
    """The scores of a study that findings may rest on."""

    study: Study

    def __post_init__(self) -> None:
        self.not_learnt: Mapping[Network, float] = chance.not_learnt(self.study)

    def scores(
        self, probe: str = "lbfgs", layer: str | None = "pre_logits", own_size: bool = True
    ) -> list[Score]:
        """Of pretext tasks' networks that learnt, with all labels."""
        return [
            score
            for score in self.study.probed(probe, layer)
            if self.counts(score) and not (own_size and score.network.representation_size)
        ]

    def counts(self, score: Score) -> bool:
        """Whether the score's network learnt a pretext task."""
        return is_pretext(score) and score.network not in self.not_learnt

    def of_one_width(self) -> list[Score]:
        """Linear probes at the width that architectures are compared at."""
        return [score for score in rankings.of_one_width(self.study) if self.counts(score)]

    def tasks(self) -> list[tuple[str, str]]:
        """Images and pretext tasks at that width, those that no network learnt included."""
        found = {
            (score.place, score.network.task)
            for score in rankings.of_one_width(self.study)
            if is_pretext(score)
        }
        return sorted(found, key=lambda pair: (pair[0], _rank(pair[1])))

    def lost(self, task: str, architecture: str) -> str:
        """Why an architecture has no vote on a task."""
        failed = any((n.task, n.architecture) == (task, architecture) for n in self.not_learnt)
        why = "did not learn it" if failed else "was not measured"
        return f"{words(task)}: {architecture} {why}"


def _rank(task: str) -> int:
    return TASKS.index(task) if task in TASKS else len(TASKS)


def is_pretext(score: Score) -> bool:
    """Whether the network was pretrained without labels."""
    return score.network.task not in (UNTRAINED, SUPERVISED)


def cells_of(
    scores: Iterable[Score],
    key: Callable[[Score], Key],
    value: Callable[[Score], float | None] = lambda score: score.top1,
    alike: Callable[[Key], Hashable] = lambda key: key[0],
) -> Cells[Key]:
    """The values of networks by key and seed; a seed that ran twice counts once."""
    found: dict[Key, dict[int, float]] = {}
    for score in scores:
        number = value(score)
        if number is not None and math.isfinite(number):
            found.setdefault(key(score), {}).setdefault(score.network.seed, number)
    return Cells(found, alike)


def of_architecture(score: Score) -> tuple[str, str, str]:
    """Images, task, architecture."""
    return network_key(score)[:3]


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


def network_text(key: tuple) -> str:
    """Task, architecture, widening factor, representation size if it has one, and images."""
    place, task, architecture, k, size = key
    parts = [words(task), architecture, f"k {k}", *([f"size {size}"] if size else []), place]
    return ", ".join(parts)


def own_size(k: int) -> int:
    """The size of pre_logits of every architecture at a widening factor."""
    return 512 * k


def is_bottleneck(score: Score) -> bool:
    """Whether the representation is smaller than the network's own."""
    return 0 < score.network.representation_size < own_size(score.network.widening_factor)


def of_figure_6(evidence: Evidence) -> Cells[tuple[str, int, int]]:
    """By images, widening factor and size of pre_logits, the networks of Figure 6."""
    chosen, _ = scale_figures.width_by_size(evidence.study)
    scores = [s for s in evidence.scores(own_size=False) if network_key(s)[:3] == chosen]

    def key(score: Score) -> tuple[str, int, int]:
        return (score.place, score.network.widening_factor, score.features)

    # As in the figure: with an extra layer of the network's own size, that network counts alone.
    layered = {key(score) for score in scores if score.network.representation_size}
    return cells_of(
        (s for s in scores if s.network.representation_size or key(s) not in layered), key
    )
