"""What the figures share: colours, markers, panels and their legend."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from studies.exhibits import TASKS, label, words
from studies.statistics import Spread

MARKERS = "os^Dv*PX"
LINES = ("-", "--", ":", "-.")


def colour(name: str, order: Iterable[str]) -> str:
    """The colour of a name, the same in all figures."""
    names = list(order)
    return f"C{names.index(name) if name in names else len(names)}"


def scatter(
    axes: Axes, x: list[Spread], y: list[Spread], name: str, order: Iterable[str] = TASKS
) -> None:
    """Points with the spread of both coordinates."""
    names, name = [words(each) for each in order], words(name)
    axes.errorbar(
        [value.mean for value in x],
        [value.mean for value in y],
        [value.deviation or 0 for value in y],
        [value.deviation or 0 for value in x],
        fmt=MARKERS[names.index(name) % len(MARKERS) if name in names else 0],
        color=colour(name, names),
        markersize=5,
        linewidth=0.8,
        label=label(name),
    )


def percent_axes(axes: Axes, x: str, y: str) -> None:
    """Labels, and accuracies in per cent on both axes."""
    axes.set_xlabel(label(x))
    axes.set_ylabel(label(y))
    for axis in (axes.xaxis, axes.yaxis):
        # Points that lie close together must not have labels that run into each other.
        axis.set_major_locator(MaxNLocator(4))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g}%"))
    axes.grid(alpha=0.3)


def panels_of(count: int, share_y: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, four in a row, with room for a legend below."""
    columns = max(1, min(count, 4))
    rows = -(-max(count, 1) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(3.2 * columns + 0.8, 3.0 * rows + 0.6),
        squeeze=False,
        sharey=share_y,
        layout="constrained",
    )
    flat = list(axes.flat)
    for unused in flat[count:]:
        unused.axis("off")
    return figure, flat[:count]


def legend_of(figure: Figure, all_axes: list[Axes]) -> None:
    """One legend for all panels, below them."""
    found = {}
    for axes in all_axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    figure.legend(
        found.values(),
        found.keys(),
        loc="outside lower center",
        ncols=min(4, max(1, len(found))),
        frameon=False,
        fontsize=8,
    )
