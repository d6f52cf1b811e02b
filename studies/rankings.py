"""Figure 2, the ranking of architectures by task, and how alike rankings are."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from studies.drawing import MARKERS, colour, legend_of, panels_of
from studies.exhibits import ARCHITECTURES, TASKS, Exhibit, in_order, label, numbers, words
from studies.figures import network_key
from studies.measurements import UNTRAINED, Score, Study
from studies.statistics import RankCorrelation, Spread, rank_correlation, spreads

# At least so many things make an order worth comparing.
LEAST = 3

Values = dict[object, list[float]]


def common_width(study: Study) -> int | None:
    """The widening factor at which most pairs of task and architecture were probed.

    Of equals the largest: the paper ranks its architectures at their largest width.
    """
    pairs = {
        (score.network.widening_factor, score.network.task, score.network.architecture)
        for score in at_own_size(study)
    }
    counts = Counter(k for k, *_ in pairs)
    return max(counts, key=lambda k: (counts[k], k), default=None)


def at_own_size(study: Study) -> list[Score]:
    """Linear probes on `pre_logits` of networks without a representation size of their own."""
    return [score for score in study.probed("lbfgs") if not score.network.representation_size]


def of_one_width(study: Study) -> list[Score]:
    """Those of the width that architectures are compared at."""
    width = common_width(study)
    return [score for score in at_own_size(study) if score.network.widening_factor == width]


def figure2(study: Study) -> Exhibit:
    """Accuracy and rank of every architecture by task and data set (section 4.1)."""
    cells = spreads(
        of_one_width(study),
        lambda score: (score.place, score.network.task, score.network.architecture),
        lambda score: score.top1,
    )
    places = sorted({place for place, *_ in cells})
    tasks = in_order((task for _, task, _ in cells), TASKS)
    architectures = in_order((architecture for *_, architecture in cells), ARCHITECTURES)
    rows, records = [], []
    for place, task in itertools.product(places, tasks):
        here = {a: cells[place, task, a] for a in architectures if (place, task, a) in cells}
        ranks = {a: rank for rank, a in enumerate(_best_first(here), 1)}
        if here:
            rows.append(
                [
                    *(place, words(task)),
                    *(f"{ranks[a]}. {here[a]}" if a in here else "" for a in architectures),
                ]
            )
        for architecture, value in here.items():
            records.append(
                {
                    "images": place,
                    "task": task,
                    "architecture": architecture,
                    "widening_factor": common_width(study),
                    "rank": ranks[architecture],
                    **numbers(value),
                }
            )

    def draw() -> Figure:
        figure, all_axes = panels_of(len(places), share_y=True)
        for axes, place in zip(all_axes, places, strict=True):
            for number, architecture in enumerate(architectures):
                here = [task for task in tasks if (place, task, architecture) in cells]
                values = [cells[place, task, architecture] for task in here]
                axes.errorbar(
                    [tasks.index(task) for task in here],
                    [value.mean for value in values],
                    [value.deviation or 0 for value in values],
                    marker=MARKERS[number % len(MARKERS)],
                    markersize=5,
                    linewidth=0.8,
                    capsize=2,
                    color=colour(architecture, ARCHITECTURES),
                    label=label(architecture),
                )
            names = [label(words(task)) for task in tasks]
            axes.set_xticks(range(len(tasks)), names, rotation=30, ha="right")
            axes.set_title(label(place), fontsize=9)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.grid(axis="y", alpha=0.3)
        legend_of(figure, all_axes)
        return figure

    return Exhibit(
        key="figure2",
        title="Figure 2: ranking of architectures by task",
        note=f"Rank, and top-1 accuracy in per cent: mean ± standard deviation over seeds (number "
        f"of seeds), of the linear probe on pre_logits at k = {common_width(study)}.",
        records=records,
        header=["images", "task", *architectures],
        rows=rows,
        draw=draw,
    )


def rankings(study: Study) -> Exhibit:
    """Rank correlations between tasks, architectures, data sets and label-free scores."""
    compared = list(correlations(study))
    return Exhibit(
        key="rankings",
        title="Rank correlations",
        note="Spearman's ρ and Kendall's τ of the means over seeds; in brackets 95 % of 2000 "
        "values when the seeds of every network are drawn again (none with one seed each). p: of "
        "τ, if there were no relation. With few things to order, p cannot be small: of four, at "
        "least 0.08.",
        records=[
            {
                "question": question,
                "images": place,
                "first": first,
                "second": second,
                "count": found.count,
                "spearman": found.spearman,
                "spearman_low": found.spearman_interval and found.spearman_interval[0],
                "spearman_high": found.spearman_interval and found.spearman_interval[1],
                "kendall": found.kendall,
                "kendall_low": found.kendall_interval and found.kendall_interval[0],
                "kendall_high": found.kendall_interval and found.kendall_interval[1],
                "p": found.p,
            }
            for question, place, first, second, found in compared
        ],
        header=["question", "images", "first", "second", "ordered", "ρ", "τ", "p"],
        rows=[
            [
                *(question, place, first, second, str(found.count)),
                coefficient_text(found.spearman, found.spearman_interval),
                coefficient_text(found.kendall, found.kendall_interval),
                "" if found.p is None else f"{found.p:.2f}",
            ]
            for question, place, first, second, found in compared
        ],
        picture=False,
    )


BETWEEN_TASKS = "architectures, between tasks"
BETWEEN_ARCHITECTURES = "tasks, between architectures"
BETWEEN_DATA_SETS = "networks, between data sets"
PRETEXT = "architectures, pretext against downstream"
PRETEXT_OF_ONE = "networks of one architecture, pretext against downstream"
LABEL_FREE = "networks, label-free against downstream"
LABEL_FREE_OF_TASK = "architectures, label-free against downstream"

Comparison = tuple[str, str, str, str, RankCorrelation]


def correlations(study: Study) -> Iterator[Comparison]:
    """All comparisons: what is ordered, on which images, by what and by what else, how alike."""
    one_width, scores = of_one_width(study), study.probed("lbfgs")
    places = sorted({score.place for score in scores})
    for place in places:
        here = [score for score in one_width if score.place == place]
        by_task = _grouped(here, lambda score: score.network.task, _architecture)
        for first, second in itertools.combinations(in_order(by_task, TASKS), 2):
            yield from _compare(BETWEEN_TASKS, place, by_task, first, second)
        trained = [score for score in here if score.network.task != UNTRAINED]
        by_architecture = _grouped(trained, _architecture, lambda score: score.network.task)
        for first, second in itertools.combinations(in_order(by_architecture, ARCHITECTURES), 2):
            yield from _compare(BETWEEN_ARCHITECTURES, place, by_architecture, first, second)
    by_place = _paired(scores, lambda score: score.place)
    for first, second in itertools.combinations(places, 2):
        yield from _compare(BETWEEN_DATA_SETS, "both", by_place, first, second, paired=True)
    for place in places:
        yield from _against_downstream(
            [score for score in scores if score.place == place],
            [score for score in one_width if score.place == place],
            place,
        )


def _against_downstream(
    scores: list[Score], one_width: list[Score], place: str
) -> Iterator[Comparison]:
    for task in in_order((score.network.task for score in scores), TASKS):
        of_task = [score for score in one_width if score.network.task == task]
        yield from _compare_measures(PRETEXT, place, words(task), of_task, _pretext)
        for name in LABEL_FREE_SCORES:
            yield from _compare_measures(
                LABEL_FREE_OF_TASK,
                place,
                f"{words(task)}: {words(name)}",
                of_task,
                lambda score, name=name: getattr(score, name),
            )
        for architecture in in_order((_architecture(score) for score in scores), ARCHITECTURES):
            of_one = [
                score
                for score in scores
                if (score.network.task, score.network.architecture) == (task, architecture)
            ]
            yield from _compare_measures(
                PRETEXT_OF_ONE, place, f"{words(task)}, {architecture}", of_one, _pretext
            )
    for name in LABEL_FREE_SCORES:
        yield from _compare_measures(
            LABEL_FREE, place, words(name), scores, lambda score, name=name: getattr(score, name)
        )


LABEL_FREE_SCORES = ("effective_rank", "first_ten_variance")


def coefficient_text(value: float | None, interval: tuple[float, float] | None) -> str:
    """A coefficient and its interval, as in `0.80 [0.60, 1.00]`."""
    if value is None:
        return ""
    return f"{value:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def _architecture(score: Score) -> str:
    return score.network.architecture


def _pretext(score: Score) -> float | None:
    return score.network.pretext


def _best_first(values: dict[str, Spread]) -> list[str]:
    return sorted(values, key=lambda name: -values[name].mean)


def _grouped(
    scores: Sequence[Score], group: Callable[[Score], str], item: Callable[[Score], str]
) -> dict[str, Values]:
    """By group and item the accuracies of the seeds."""
    groups: dict[str, Values] = {}
    for score in scores:
        groups.setdefault(group(score), {}).setdefault(item(score), []).append(score.top1)
    return groups


def _paired(scores: Sequence[Score], group: Callable[[Score], str]) -> dict[str, Values]:
    """By group and network the accuracies of the seeds that all groups have, in one order."""
    by_network: dict[object, dict[str, float]] = {}
    for score in scores:
        by_network.setdefault(score.network, {})[group(score)] = score.top1
    groups = sorted({group(score) for score in scores})
    found: dict[str, Values] = {name: {} for name in groups}
    keys = {score.network: network_key(score)[1:] for score in scores}
    for network in sorted(by_network, key=lambda network: network.seed):
        if len(by_network[network]) == len(groups):
            for name, value in by_network[network].items():
                found[name].setdefault(keys[network], []).append(value)
    return found


def _compare(
    question: str,
    place: str,
    groups: dict[str, Values],
    first: str,
    second: str,
    paired: bool = False,
) -> Iterator[Comparison]:
    """One comparison of the things that both groups order, if there are enough of them."""
    items = [item for item in groups[first] if item in groups[second]]
    if len(items) >= LEAST:
        found = rank_correlation(
            [groups[first][item] for item in items],
            [groups[second][item] for item in items],
            paired=paired,
        )
        yield question, place, words(first), words(second), found


def _compare_measures(
    question: str,
    place: str,
    name: str,
    scores: Sequence[Score],
    measure: Callable[[Score], float | None],
) -> Iterator[Comparison]:
    """A measure that needs no labels against the accuracy of the same networks."""
    values: dict[object, tuple[list[float], list[float]]] = {}
    for score in scores:
        number = measure(score)
        if number is not None:
            pair = values.setdefault(network_key(score), ([], []))
            pair[0].append(number)
            pair[1].append(score.top1)
    if len(values) >= LEAST:
        firsts, seconds = zip(*values.values(), strict=True)
        found = rank_correlation(firsts, seconds, paired=True)
        yield question, place, name, "linear probe", found
