"""What the figures share: colours, markers, panels and their legend."""

from collections.abc import Iterator, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from studies.table import label

MARKERS = "os^Dv*PX"
LINES = ("-", "--", ":", "-.")


def colour(name: str, order: Sequence[str]) -> str:
    """The colour of a name, the same in all figures."""
    return f"C{order.index(name) if name in order else len(order)}"


def marker(name: str, order: Sequence[str]) -> str:
    """The marker of a name, the same in all figures."""
    return MARKERS[order.index(name) % len(MARKERS) if name in order else 0]


def scatter(axes: Axes, x: pd.DataFrame, y: pd.DataFrame, name: str, order: Sequence[str]) -> None:
    """Points with the spread of both coordinates: frames with `mean` and `std`."""
    axes.errorbar(
        x["mean"],
        y["mean"],
        y["std"].fillna(0),
        x["std"].fillna(0),
        fmt=marker(name, order),
        color=colour(name, order),
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


def percent_of_lines(axes: Axes, title: str, grid: str = "both") -> None:
    """A title, and accuracies in per cent on the vertical axis."""
    axes.set_title("\n".join(map(label, title.split("\n"))), fontsize=9)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(axis=grid, alpha=0.3)


def panels(
    frame: pd.DataFrame, by: list[str], share_y: bool = False
) -> tuple[Figure, Iterator[tuple[Axes, tuple, pd.DataFrame]]]:
    """A figure with a panel for every combination of values, four in a row, and a legend below.

    Args:
        frame: what to draw; its rows are in order.
        by: the columns whose combinations have a panel each.
        share_y: whether all have one vertical axis.

    Returns:
        The figure; and for every panel its axes, the values and their rows. The legend is made
        when all have been drawn.
    """
    groups = list(frame.groupby(by, sort=False))
    columns = max(1, min(len(groups), 4))
    rows = -(-max(len(groups), 1) // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(3.2 * columns + 0.8, 3.0 * rows + 0.6),
        squeeze=False,
        sharey=share_y,
        layout="constrained",
    )
    for unused in list(axes.flat)[len(groups) :]:
        unused.axis("off")

    def each() -> Iterator[tuple[Axes, tuple, pd.DataFrame]]:
        for panel, (values, here) in zip(axes.flat, groups, strict=False):
            yield panel, values, here
        _legend(figure, list(axes.flat)[: len(groups)])

    return figure, each()


def _legend(figure: Figure, all_axes: list[Axes]) -> None:
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
