"""training.png: a run's metrics by epoch, drawn from the rows of its `metrics.csv` alone."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HELD_OUT = "val_"
MONITOR = "monitor"  # of columns monitor/LAYER/SCORE
RATE = "learning_rate"
LOSS = "loss"

PER_ROW = 3
WIDTH, HEIGHT = 4.2, 3.1  # inches of a panel
DPI = 100
MOST_MARKED = 40  # points of a line that are marked one by one
# The ratio of the largest value to the smallest from which an axis is logarithmic. (Held-out losses
# of the first epochs can be hundreds, before the moving statistics have arrived.)
LOG_RATES, LOG_LOSSES = 5.0, 20.0

Series = tuple[list[float], list[float]]


def draw(rows: Sequence[Mapping[str, str]], chance: Mapping[str, float]) -> np.ndarray:
    """The pixels of `panels`: uint8, (H, W, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(panels(rows, chance))
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def panels(rows: Sequence[Mapping[str, str]], chance: Mapping[str, float]) -> "Figure":
    """A panel for every metric that is measured on held-out images, loss, rate and scores.

    Args:
        rows: of metrics.csv, as `training.metrics.read_metrics` returns them, at least one; what is
            empty was not measured at that step.
        chance: what guessing gives, by metric.
    """
    # Not pyplot, which would keep the figure; and here, because importing it takes long.
    from matplotlib.figure import Figure

    series = {
        name: ([float(row["epoch"]) for row in there], [float(row[name]) for row in there])
        for name in rows[0]
        if (there := [row for row in rows if row.get(name)])
    }
    shares = [name for name in rows[0] if name != LOSS and HELD_OUT + name in rows[0]]
    scores = _scores(series)
    count = len(shares) + 2 + len(scores)
    in_a_row = min(count, PER_ROW)
    down = -(-count // in_a_row)
    width, height = WIDTH * in_a_row, HEIGHT * down
    figure = Figure(figsize=(width, height), dpi=DPI)
    # A layout that is measured takes as long as all the rest.
    figure.subplots_adjust(
        left=0.55 / width,
        right=1 - 0.15 / width,
        bottom=0.5 / height,
        top=1 - 0.35 / height,
        wspace=0.75 / (WIDTH - 0.75),
        hspace=0.9 / (HEIGHT - 0.9),
    )
    axes = iter(figure.subplots(down, in_a_row, squeeze=False).flat)
    for name in shares:
        _shares(next(axes), name, series, chance.get(name))
    _losses(next(axes), series)
    _rate(next(axes), series)
    for score, layers in scores.items():
        _lines(next(axes), score.replace("_", " "), layers)
    for unused in axes:
        unused.set_visible(False)
    return figure


def _scores(series: Mapping[str, Series]) -> dict[str, dict[str, Series]]:
    """The monitored scores by name and layer."""
    scores: dict[str, dict[str, Series]] = {}
    for column, points in series.items():
        parts = column.split("/")
        if len(parts) == 3 and parts[0] == MONITOR:
            scores.setdefault(parts[2], {})[parts[1]] = points
    return scores


def _shares(axes: "Axes", name: str, series: Mapping[str, Series], chance: float | None) -> None:
    """A metric in [0, 1]: of training, of held-out images, of guessing."""
    from matplotlib.ticker import PercentFormatter

    if chance is not None:
        axes.axhline(chance, color="grey", linestyle=":", label=f"chance, {100 * chance:.3g} %")
    _lines(axes, name, {"training": series.get(name), "held out": series.get(HELD_OUT + name)})
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _losses(axes: "Axes", series: Mapping[str, Series]) -> None:
    lines = {"training": series.get(LOSS), "held out": series.get(HELD_OUT + LOSS)}
    _lines(axes, LOSS, lines)
    _logarithmic(axes, lines, LOG_LOSSES)


def _rate(axes: "Axes", series: Mapping[str, Series]) -> None:
    lines = {"": series.get(RATE)}
    _lines(axes, "learning rate", lines)
    _logarithmic(axes, lines, LOG_RATES)


def _logarithmic(axes: "Axes", lines: Mapping[str, Series | None], ratio: float) -> None:
    """A logarithmic axis where positive values differ by more than a ratio."""
    from matplotlib.ticker import LogLocator, NullLocator

    values = [value for points in lines.values() if points for value in points[1] if value > 0]
    if values and max(values) > ratio * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_locator(NullLocator())


def _lines(axes: "Axes", title: str, lines: Mapping[str, Series | None]) -> None:
    """A line for each name that has points, and the names, if there are any."""
    for number, (name, points) in enumerate(lines.items()):
        if points:
            marker = "o" if len(points[0]) <= MOST_MARKED else ""
            axes.plot(*points, marker=marker, markersize=3, color=f"C{number}", label=name or None)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("epoch", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    if any(lines):
        axes.legend(fontsize=8)
