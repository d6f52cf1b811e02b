"""Runs that no `study.json` speaks of: what a plan would have written down of them, guessed.

They were run by hand, or by a study from before there was a `study.json`. Which network a probe is
of, its path tells; which of several recipes is meant, how many runs have it.
"""

import collections
import pathlib
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TypeVar

from etils import epath

Key = TypeVar("Key", bound=Hashable)


def network_of(
    probe: epath.Path, saved_model: str, networks: Iterable[epath.Path]
) -> epath.Path | None:
    """The pretraining run that a probe's SavedModel belongs to.

    The path may be relative to where the probe was started, and the study may have been moved
    since: the network is the one whose path ends as the SavedModel's does, in as many parts as
    possible, of several the one nearest to the probe.
    """
    wanted = pathlib.PurePath(saved_model).parent.parts

    def common(path: epath.Path) -> tuple[int, int]:
        suffix = _common_length(wanted[::-1], path.parts[::-1])
        return suffix, _common_length(probe.parts, path.parts)

    best = max(networks, key=common, default=None)
    return best if best is not None and common(best)[0] else None


def of_other_recipes(
    cells: Mapping[Key, Hashable], recipes: Mapping[Key, Hashable], planned: Collection[Key]
) -> set[Key]:
    """The runs that must not be averaged with the others of their cell.

    Args:
        cells: by run what would be averaged, seeds of one network for instance.
        recipes: by run how it was made.
        planned: runs that a plan speaks of, in its order. The first of a cell says which recipe is
            meant; where there is none, the most frequent one is (of equals, the first).
    """
    usual: dict[Hashable, Hashable] = {}
    for key in planned:
        if key in cells:
            usual.setdefault(cells[key], recipes[key])
    counts: dict[Hashable, collections.Counter] = collections.defaultdict(collections.Counter)
    for key, cell in cells.items():
        counts[cell][recipes[key]] += 1
    for cell, counter in counts.items():
        usual.setdefault(cell, counter.most_common(1)[0][0])
    return {key for key, cell in cells.items() if recipes[key] != usual[cell]}


def _common_length(parts: tuple[str, ...], others: tuple[str, ...]) -> int:
    length = 0
    for part, other in zip(parts, others, strict=False):
        if part != other:
            break
        length += 1
    return length
