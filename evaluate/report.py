"""Results as people read them: a table on the terminal, a plot of accuracy by layer."""

from typing import TYPE_CHECKING

from etils import epath

from evaluate import figures
from evaluate.results_file import Results

if TYPE_CHECKING:
    import matplotlib.pyplot as plt

MARKERS = "osD^vP*X<>"
MOST_ANNOTATED = 4


def table(results: Results) -> str:
    """One run: a line per layer with its accuracies, its label-free scores, what the probe took."""
    header = ["layer", "features", "top-1", "top-5", "rank", "10 directions", "λ", "updates"]
    rows = [
        [
            layer,
            str(values["features"]),
            percent(values["top1"]),
            percent(values["top5"]),
            f"{values['effective_rank']:.1f}" if "effective_rank" in values else "",
            percent(values["first_ten_variance"]) if "first_ten_variance" in values else "",
            f"{values['l2']:.0e}" if values.get("l2") is not None else "",
            str(values.get("updates", "")) + ("" if values.get("converged", True) else " (limit)"),
            f"{values['seconds']:.1f}" if "seconds" in values else "",
        ]
        for layer, values in results["layers"].items()
    ]
    return aligned([*header, "seconds"], rows)


def plot(runs: dict[str, Results], path: epath.Path) -> None:
    """Draws top-1 accuracy by layer as a PNG, a line per run.

    Args:
        runs: results by the name for the legend.
        path: the PNG; one that is there is replaced.
    """
    layers = layers_of(runs)
    tested_on = {f"{results['dataset']} {results['val_split']}" for results in runs.values()}
    names = [
        figures.label(
            f"{name} ({results['dataset']} {results['val_split']})" if len(tested_on) > 1 else name
        )
        for name, results in runs.items()
    ]
    legend_width = 0.6 + 0.075 * max(map(len, names)) if len(runs) > 1 else 0
    with figures.drawing() as plt:
        figure, axes = plt.subplots(
            figsize=(
                1.5 + 1.1 * max(len(layers), 3) + legend_width,
                max(3.6, 0.6 + 0.2 * len(runs)),
            ),
            dpi=150,
            layout="constrained",
        )
        for number, (name, results) in enumerate(zip(names, runs.values(), strict=True)):
            _line(axes, number, len(runs), name, layers, results["layers"])
        axes.set_xticks(range(len(layers)), [figures.label(layer, 16) for layer in layers])
        axes.set_xlim(-0.5, len(layers) - 0.5)
        highest = max(
            values["top1"] for results in runs.values() for values in results["layers"].values()
        )
        axes.set_ylim(0, min(1.12 * max(highest, 0.01), 1.05))
        axes.yaxis.set_major_formatter(figures.percent_formatter())
        on = f" on {figures.label(tested_on.pop(), 40)}" if len(tested_on) == 1 else ""
        axes.set_ylabel(f"top-1{on}")
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(runs) > 1:
            # Beside the axes: no run hides behind it, however many there are.
            figure.legend(loc="outside right upper", frameon=False, fontsize=8)
        figures.save(figure, path)


def _line(
    axes: "plt.Axes",
    number: int,
    count: int,
    name: str,
    layers: list[str],
    values: dict[str, dict[str, float]],
) -> None:
    """One run of `count`; a few runs have their best layer's accuracy written beside it."""
    here = [layer for layer in layers if layer in values]
    top1 = [values[layer]["top1"] for layer in here]
    # A little apart, so that equal accuracies stay visible.
    shift = (number - (count - 1) / 2) * min(0.05, 0.4 / count)
    places = [layers.index(layer) + shift for layer in here]
    colour, style = f"C{number % 10}", ("-", "--", ":", "-.")[number // 10 % 4]
    axes.plot(places, top1, style, marker=MARKERS[number % len(MARKERS)], color=colour, label=name)
    if count <= MOST_ANNOTATED:
        best = max(range(len(here)), key=lambda position: top1[position])
        axes.annotate(
            percent(top1[best]),
            (places[best], top1[best]),
            textcoords="offset points",
            xytext=(0, 7),
            ha="center",
            fontsize=8,
            color=colour,
        )


def layers_of(runs: dict[str, Results]) -> list[str]:
    """All layers of all runs, in the order of first mention of the longest run."""
    ordered = sorted(runs.values(), key=lambda results: -len(results["layers"]))
    return list(dict.fromkeys(layer for results in ordered for layer in results["layers"]))


def percent(value: float) -> str:
    """A share in [0, 1] as a percentage with one digit."""
    return f"{100 * value:.1f} %"


def aligned(header: list[str], rows: list[list[str]], texts: int = 1) -> str:
    """Columns of one width each, the first `texts` to the left and the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, ["-" * width for width in widths], *rows]
    ]
    return "\n".join(lines)
