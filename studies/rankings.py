"""How alike two rankings are: of architectures, tasks and networks, by accuracy and by proxies."""

import itertools
from collections.abc import Iterator

import pandas as pd

from studies.frames import ARCHITECTURES, CELL, NETWORK, TASKS, UNTRAINED, Study, in_order
from studies.statistics import RankCorrelation, rank_correlation
from studies.table import Table, words

# At least so many things make an order worth comparing.
LEAST = 3
LABEL_FREE_SCORES = ("effective_rank", "first_ten_variance")

BETWEEN_TASKS = "architectures, between tasks"
BETWEEN_ARCHITECTURES = "tasks, between architectures"
BETWEEN_DATA_SETS = "networks, between data sets"
PRETEXT = "architectures, pretext against downstream"
PRETEXT_OF_ONE = "networks of one architecture, pretext against downstream"
LABEL_FREE = "networks, label-free against downstream"
LABEL_FREE_OF_TASK = "architectures, label-free against downstream"

# What is ordered, on which images, by what and by what else, how alike.
Comparison = tuple[str, str, str, str, RankCorrelation]


def common_width(study: Study) -> int | None:
    """The widening factor at which most pairs of task and architecture were probed.

    Of equals the largest: the paper ranks its architectures at their largest width.
    """
    pairs = at_own_size(study).drop_duplicates(NETWORK[:3])
    counts = pairs.widening_factor.value_counts()
    return max(counts.index, key=lambda k: (counts[k], k), default=None)


def at_own_size(study: Study) -> pd.DataFrame:
    """Linear probes on `pre_logits` of networks without a representation size of their own."""
    scores = study.probed("lbfgs")
    return scores[scores.representation_size == 0]


def of_one_width(study: Study) -> pd.DataFrame:
    """Those of the width that architectures are compared at."""
    scores = at_own_size(study)
    return scores[scores.widening_factor == common_width(study)]


def table(study: Study) -> Table:
    """Rank correlations between tasks, architectures, data sets and label-free scores."""
    compared = list(correlations(study))
    return Table(
        key="rankings",
        title="Rank correlations",
        note="Spearman's ρ and Kendall's τ of the means over seeds; in brackets 95 % of 2000 "
        "values when the seeds of every network are drawn again (none with one seed each). p: of "
        "τ, if there were no relation. With few things to order, p cannot be small: of four, at "
        "least 0.08.",
        numbers=pd.DataFrame(
            [
                {
                    **{"question": question, "images": images, "first": first, "second": second},
                    "count": found.count,
                    **_interval("spearman", found.spearman, found.spearman_interval),
                    **_interval("kendall", found.kendall, found.kendall_interval),
                    "p": found.p,
                }
                for question, images, first, second, found in compared
            ]
        ),
        header=["question", "images", "first", "second", "ordered", "ρ", "τ", "p"],
        rows=[
            [
                *(question, images, first, second, str(found.count)),
                coefficient_text(found.spearman, found.spearman_interval),
                coefficient_text(found.kendall, found.kendall_interval),
                "" if found.p is None else f"{found.p:.2f}",
            ]
            for question, images, first, second, found in compared
        ],
        picture=False,
    )


def correlations(study: Study) -> Iterator[Comparison]:
    """All comparisons that a study allows."""
    one_width, scores = of_one_width(study), study.probed("lbfgs")
    all_images = sorted(set(scores.images))
    for images in all_images:
        here = one_width[one_width.images == images]
        yield from _between(BETWEEN_TASKS, images, here, "task", "architecture", TASKS)
        trained = here[here.task != UNTRAINED]
        yield from _between(
            BETWEEN_ARCHITECTURES, images, trained, "architecture", "task", ARCHITECTURES
        )
    # The seeds that were probed on all images, in one order.
    on_all = scores.pivot_table(index="network", columns="images", values="top1", aggfunc="last")
    of_seeds = scores.drop_duplicates("network")[["network", *NETWORK, "seed"]]
    on_all = of_seeds.merge(on_all.dropna(), on="network").sort_values("seed", kind="stable")
    for first, second in itertools.combinations(all_images, 2):
        key = (BETWEEN_DATA_SETS, "both", words(first), words(second))
        yield from _compare(key, on_all, NETWORK, (first, second))
    for images in all_images:
        yield from _against_downstream(
            scores[scores.images == images], one_width[one_width.images == images], images
        )


def _between(
    question: str, images: str, scores: pd.DataFrame, group: str, item: str, order: tuple[str, ...]
) -> Iterator[Comparison]:
    """Whether two groups order the items alike that both have."""
    values = {
        name: of_group.groupby(item, sort=False).top1.agg(list)
        for name, of_group in scores.groupby(group, sort=False)
    }
    for first, second in itertools.combinations(in_order(values, order), 2):
        both = [item for item in values[first].index if item in values[second].index]
        if len(both) >= LEAST:
            found = rank_correlation(values[first][both], values[second][both], paired=False)
            yield question, images, words(first), words(second), found


def _against_downstream(
    scores: pd.DataFrame, one_width: pd.DataFrame, images: str
) -> Iterator[Comparison]:
    """Measures that need no labels, against the linear probe of the same networks."""

    def compare(
        question: str, name: str, frame: pd.DataFrame, measure: str
    ) -> Iterator[Comparison]:
        key = (question, images, name, "linear probe")
        yield from _compare(key, frame.dropna(subset=[measure]), CELL, (measure, "top1"))

    for task in in_order(scores.task, TASKS):
        of_task = one_width[one_width.task == task]
        yield from compare(PRETEXT, words(task), of_task, "pretext")
        for measure in LABEL_FREE_SCORES:
            name = f"{words(task)}: {words(measure)}"
            yield from compare(LABEL_FREE_OF_TASK, name, of_task, measure)
        for architecture in in_order(scores.architecture, ARCHITECTURES):
            of_one = scores[(scores.task == task) & (scores.architecture == architecture)]
            yield from compare(PRETEXT_OF_ONE, f"{words(task)}, {architecture}", of_one, "pretext")
    for measure in LABEL_FREE_SCORES:
        yield from compare(LABEL_FREE, words(measure), scores, measure)


def _compare(
    key: tuple[str, str, str, str], frame: pd.DataFrame, by: list[str], columns: tuple[str, str]
) -> Iterator[Comparison]:
    """Two columns that were measured on the same runs, if there are enough networks."""
    groups = frame.groupby(by, sort=False)
    if len(groups) >= LEAST:
        first, second = (groups[column].agg(list) for column in columns)
        yield *key, rank_correlation(first, second, paired=True)


def coefficient_text(value: float | None, interval: tuple[float, float] | None) -> str:
    """A coefficient and its interval, as in `0.80 [0.60, 1.00]`."""
    if value is None:
        return ""
    return f"{value:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def _interval(
    name: str, value: float | None, interval: tuple[float, float] | None
) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}
