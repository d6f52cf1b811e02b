"""Results as people read them: a table on the terminal, a plot of accuracy by layer."""

import json
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from etils import epath
from matplotlib.ticker import PercentFormatter

Results = dict[str, Any]


def load(run: str) -> Results:
    """Reads a run's `results.json`.

    Args:
        run: the directory that `eval.py` wrote, or the file itself.

    Raises:
        ValueError: there is no such file, or it is none of ours.
    """
    path = epath.Path(run)
    if path.name != "results.json":
        path = path / "results.json"
    if not path.exists():
        raise ValueError(f"{path} does not exist: run eval.py with --workdir={path.parent} first")
    try:
        results = json.loads(path.read_text())
        results["layers"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no result of eval.py") from error
    return results


def table(results: Results) -> str:
    """One run: a line per layer with its features, accuracies and what the probe took."""
    header = ["layer", "features", "top-1", "top-5", "λ", "updates", "seconds"]
    rows = [
        [
            layer,
            str(values["features"]),
            _percent(values["top1"]),
            _percent(values["top5"]),
            f"{values['l2']:.0e}" if values.get("l2") is not None else "",
            str(values.get("updates", "")),
            f"{values['seconds']:.1f}",
        ]
        for layer, values in results["layers"].items()
    ]
    return _aligned(header, rows)


def comparison(runs: dict[str, Results]) -> str:
    """Several runs: a line per layer, a column of top-1 per run.

    Args:
        runs: results by the name that heads the run's column.
    """
    rows = [
        [
            layer,
            *(
                _percent(results["layers"][layer]["top1"]) if layer in results["layers"] else ""
                for results in runs.values()
            ),
        ]
        for layer in _layers(runs)
    ]
    return _aligned(["layer", *runs], rows)


def plot(runs: dict[str, Results], path: epath.Path) -> None:
    """Draws top-1 accuracy by layer, a line per run, to a PNG.

    Args:
        runs: results by the name for the legend.
        path: the PNG; replaced if it is there.
    """
    layers = _layers(runs)
    figure, axes = plt.subplots(figsize=(1.5 + 1.1 * max(len(layers), 3), 3.6), dpi=150)
    for name, results in runs.items():
        here = [layer for layer in layers if layer in results["layers"]]
        values = [results["layers"][layer]["top1"] for layer in here]
        (line,) = axes.plot([layers.index(layer) for layer in here], values, "o-", label=name)
        best = max(range(len(here)), key=lambda position: values[position])
        axes.annotate(
            _percent(values[best]),
            (layers.index(here[best]), values[best]),
            textcoords="offset points",
            xytext=(0, 7),
            ha="center",
            fontsize=8,
            color=line.get_color(),
        )
    axes.set_xticks(range(len(layers)), layers)
    axes.set_ylim(0, 1.05)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    first = next(iter(runs.values()))
    axes.set_ylabel(f"top-1 on {first['dataset']} {first['val_split']}")
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if len(runs) > 1:
        axes.legend(frameon=False)
    figure.tight_layout()
    beside = path.with_name("incomplete." + path.name)
    with beside.open("wb") as file:
        figure.savefig(file, format="png")
    plt.close(figure)
    beside.replace(path)


def _layers(runs: dict[str, Results]) -> list[str]:
    """All layers of all runs, in the order of first mention of the longest run."""
    ordered = sorted(runs.values(), key=lambda results: -len(results["layers"]))
    return list(dict.fromkeys(layer for results in ordered for layer in results["layers"]))


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _aligned(header: list[str], rows: list[list[str]]) -> str:
    """Columns of one width each, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, ["-" * width for width in widths], *rows]
    ]
    return "\n".join(lines)
