"""The two data frames of a study, and means over seeds.

`networks` has a row per finished pretraining run:

    name                 its directory, below the study's
    task                 the pretext task; `untrained` after no epochs
    architecture, widening_factor, representation_size, seed
                         as its flags say; a size of 0 is the architecture's own
    pretext              the task's metric on held-out images after the last epoch, in [0, 1], of
                         the supervised network top-1 on `val_split`; NaN if it was not measured
    dataset, train_split, val_split
                         the images that it was trained on, and those of `pretext`
    permutations         how many jigsaw tells apart
    chance_level         the accuracy of guessing its task; NaN where it is not known
    learnt               whether `pretext` is above chance level, as far as that can be told

`scores` has a row per run of a probe and layer: the network's columns but for its images, and

    network, run         the directories of the network and of the evaluation, below the study's
    probe                lbfgs, sgd, mlp or knn
    images               where the accuracy was measured: data set and split
    dataset, val_split   the same, apart
    train_fraction       the share of the labels that the probe was fitted to
    epochs, first_decay  how long an SGD or MLP probe trained, and its first decay; 0 of others
    layer, features      the layer, and how many numbers its representation has
    top1, top5           accuracies in [0, 1]
    effective_rank, first_ten_variance
                         the label-free scores; NaN where they were not measured
    curve                validation top-1 after each epoch, (epoch, accuracy); () if not recorded
    classes              how many the probe tells apart; NaN where it was not recorded
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from studies.record import Candidate

UNTRAINED = "untrained"
SUPERVISED = "supervised"
# Without its seed: what seeds are averaged over.
NETWORK = ["task", "architecture", "widening_factor", "representation_size"]
# The same on some images, which is what most tables have a row for.
CELL = ["images", *NETWORK]

_NETWORK_COLUMNS = ("name", *NETWORK, "seed", "pretext", "dataset", "train_split", "val_split")
NETWORK_COLUMNS = (*_NETWORK_COLUMNS, "permutations")
SCORE_COLUMNS = (
    *("network", "run", "probe", "dataset", "val_split", "train_fraction", "epochs"),
    *("first_decay", "layer", "features", "top1", "top5", "effective_rank"),
    *("first_ten_variance", "curve", "classes"),
)

# A network has learnt from so many times the accuracy of guessing.
LEAST_ABOVE_CHANCE = 1.2
# Of exemplar: a view's closest among 64 (`pretext.exemplar.CANDIDATES`).
CHANCE_LEVELS = {"rotation": 1 / 4, "relative_patch_location": 1 / 8, "exemplar": 1 / 64}

# The order of the paper; names that it does not know come behind.
TASKS = ("relative_patch_location", "jigsaw", "exemplar", "rotation", SUPERVISED, UNTRAINED)
ARCHITECTURES = (
    *("revnet50", "revnet50_minus", "resnet50_v2", "resnet50_v2_minus", "resnet50_v1"),
    "vgg19_bn",
)
LAYERS = ("pixels", "block1", "block2", "block3", "block4", "pre_logits")
ORDERS = {"task": TASKS, "architecture": ARCHITECTURES, "layer": LAYERS}


@dataclasses.dataclass(frozen=True)
class Study:
    """All that was measured, and what was not.

    Attributes:
        networks, scores: the data frames; see the module. Of candidates for a learning rate the
            chosen ones are networks.
        missing: names of runs that were planned or begun and are not finished.
        notes: what was left out, and why.
        commands: those that ran it.
        candidates: the trials of learning rates.
        unreadable: how many of the notes are about files that cannot be read.
    """

    networks: pd.DataFrame
    scores: pd.DataFrame
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    unreadable: int = 0

    def probed(self, probe: str, layer: str | None = "pre_logits") -> pd.DataFrame:
        """Scores of one kind of probe with all labels: on one layer, or on all for None."""
        found = self.scores[(self.scores.probe == probe) & (self.scores.train_fraction == 1)]
        return found if layer is None else found[found.layer == layer]


def study(
    networks: Iterable[Mapping[str, object]],
    scores: Iterable[Mapping[str, object]],
    **others: object,
) -> Study:
    """The frames of these rows.

    Args:
        networks: rows with NETWORK_COLUMNS; `pretext` is None if it was not measured.
        scores: rows with SCORE_COLUMNS; `network` is the name of one of the networks.
        others: the other attributes of `Study`.
    """
    networks, scores = list(networks), list(scores)
    levels = [_chance_level(network, scores) for network in networks]
    # "not … <" and not ">=": of a network that diverged the accuracy may be NaN.
    learnt = [
        not level or network["pretext"] is None or network["pretext"] >= LEAST_ABOVE_CHANCE * level
        for network, level in zip(networks, levels, strict=True)
    ]
    network_frame = pd.DataFrame(networks, columns=list(NETWORK_COLUMNS)).assign(
        chance_level=pd.Series(levels, dtype=float), learnt=pd.Series(learnt, dtype=bool)
    )
    network_frame["pretext"] = network_frame["pretext"].astype(float)
    numbers = ("top1", "top5", "effective_rank", "first_ten_variance", "classes")
    score_frame = pd.DataFrame(scores, columns=list(SCORE_COLUMNS)).astype(
        dict.fromkeys(numbers, float)
    )
    score_frame["images"] = score_frame["dataset"] + " " + score_frame["val_split"]
    of_network = network_frame.drop(columns=["dataset", "train_split", "val_split"])
    return Study(
        network_frame,
        score_frame.merge(of_network, how="left", left_on="network", right_on="name").drop(
            columns="name"
        ),
        **others,
    )


def _chance_level(
    network: Mapping[str, object], scores: Iterable[Mapping[str, object]]
) -> float | None:
    """The accuracy of guessing the network's own task; None where it is not known.

    A supervised network's number of classes is known from probes on the images it was trained on.
    """
    if network["task"] == "jigsaw":
        return 1 / network["permutations"] if network["permutations"] > 0 else None
    if network["task"] == SUPERVISED:
        classes = [score["classes"] for score in scores if score["dataset"] == network["dataset"]]
        most = max((number for number in classes if isinstance(number, int)), default=0)
        return 1 / most if most > 0 else None
    return CHANCE_LEVELS.get(network["task"])


def at_chance_level(found: Study) -> list[str]:
    """A line for every network that did not learn its task."""
    return [
        f"{row.name}: {row.pretext:.1%} on held-out images, where chance is {row.chance_level:.1%}"
        for row in found.networks[~found.networks.learnt].itertuples(index=False)
    ]


# -------------------------------------------------------------------------------------- spreads


def spreads(frame: pd.DataFrame, by: list[str], value: str = "top1") -> pd.DataFrame:
    """Mean, sample standard deviation (NaN of one) and number of seeds, and all three as a text.

    Args:
        frame: scores, a row per seed; rows without the value do not count.
        by: the columns whose values stay apart.
        value: the column to average.

    Returns:
        A row for every combination that there is, in the order of the paper, with the columns of
        `by`, and `mean`, `std`, `seeds` and `text`.
    """
    groups = frame.dropna(subset=[value]).groupby(by, sort=False)[value]
    found = groups.agg(mean="mean", std="std", seeds="count").reset_index()
    texts = [spread_text(*row) for row in found[["mean", "std", "seeds"]].itertuples(index=False)]
    return in_paper_order(found.assign(text=pd.Series(texts, dtype=object)), by)


def spread_text(mean: float, std: float, seeds: int) -> str:
    """A spread in per cent, as in `84.6 ± 1.0 (3)`."""
    deviation = "" if math.isnan(std) else f" ± {100 * std:.1f}"
    return f"{100 * mean:.1f}{deviation} ({seeds})"


def in_paper_order(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The rows sorted by these columns, tasks, architectures and layers as the paper has them."""

    def rank(column: pd.Series) -> pd.Series:
        if column.name not in ORDERS:
            return column
        names = in_order(column, ORDERS[column.name])
        return column.map({name: position for position, name in enumerate(names)})

    return frame.sort_values(by, key=rank, kind="stable", ignore_index=True)


def in_order(names: Iterable[str], order: Sequence[str]) -> list[str]:
    """The names without repetition, those in `order` first."""
    unique = set(names)
    return [name for name in dict.fromkeys(order) if name in unique] + sorted(unique - set(order))
