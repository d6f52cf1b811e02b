"""Figures 3, 4 and 5: MLP against linear, pretext against downstream, accuracy by layer."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from studies.drawing import LINES, colour, legend_of, panels_of, percent_axes, scatter
from studies.exhibits import (
    ARCHITECTURES,
    LAYERS,
    MEANING,
    TASKS,
    Exhibit,
    in_order,
    label,
    numbers,
    words,
)
from studies.measurements import Score, Study
from studies.statistics import Spread, spreads


def network_key(score: Score) -> tuple[str, str, str, int, int]:
    """What seeds are averaged over: where it was measured, and the network without its seed."""
    network = score.network
    return (
        score.place,
        network.task,
        network.architecture,
        network.widening_factor,
        network.representation_size,
    )


def network_columns(key: tuple[str, str, str, int, int]) -> dict[str, object]:
    """The columns of a CSV file that say which network a row is about."""
    names = ("images", "task", "architecture", "widening_factor", "representation_size")
    return dict(zip(names, key, strict=True))


def network_cells(key: tuple[str, str, str, int, int]) -> list[str]:
    """The same for people."""
    place, task, architecture, k, size = key
    return [place, words(task), architecture, str(k), str(size) if size else ""]


NETWORK_HEADER = ["images", "task", "architecture", "k", "representation size"]


def network_order(key: tuple[str, str, str, int, int]) -> tuple:
    """Sorts networks as the paper does."""
    place, task, architecture, *rest = key
    known = [
        order.index(name) if name in order else len(order)
        for order, name in ((TASKS, task), (ARCHITECTURES, architecture))
    ]
    return (place, known[0], task, known[1], architecture, *rest)


def figure3(study: Study) -> Exhibit:
    """The MLP probe against the linear one, on `pre_logits` (section 4.3)."""
    linear, mlp = (
        spreads(study.probed(probe), network_key, lambda score: score.top1)
        for probe in ("lbfgs", "mlp")
    )
    both = sorted(linear.keys() & mlp.keys(), key=network_order)

    def draw() -> Figure:
        figure, axes = plt.subplots(figsize=(4.6, 4.2))
        for task in in_order((key[1] for key in both), TASKS):
            keys = [key for key in both if key[1] == task]
            scatter(axes, [linear[key] for key in keys], [mlp[key] for key in keys], words(task))
        axes.axline((0.5, 0.5), slope=1, color="grey", linewidth=0.8, zorder=0)
        percent_axes(axes, "linear probe, top-1", "MLP probe, top-1")
        axes.legend(frameon=False, fontsize=8)
        return figure

    return Exhibit(
        key="figure3",
        title="Figure 3: MLP against linear",
        note=f"{MEANING} On pre_logits; above the diagonal the MLP is better.",
        records=[
            {
                **network_columns(key),
                **prefixed("linear", linear[key]),
                **prefixed("mlp", mlp[key]),
            }
            for key in both
        ],
        header=[*NETWORK_HEADER, "linear", "MLP", "difference"],
        rows=[
            [
                *network_cells(key),
                str(linear[key]),
                str(mlp[key]),
                f"{100 * (mlp[key].mean - linear[key].mean):+.1f}",
            ]
            for key in both
        ],
        draw=draw,
    )


def figure4(study: Study) -> Exhibit:
    """The pretext task's accuracy against the linear probe's (section 4.4)."""
    scores = [score for score in study.probed("lbfgs") if score.network.pretext is not None]
    pretext = spreads(scores, network_key, lambda score: score.network.pretext)
    downstream = spreads(scores, network_key, lambda score: score.top1)
    keys = sorted(downstream, key=network_order)

    def draw() -> Figure:
        panels = list(dict.fromkeys(key[:2] for key in keys))
        figure, all_axes = panels_of(len(panels))
        for axes, panel in zip(all_axes, panels, strict=True):
            here = [key for key in keys if key[:2] == panel]
            for architecture in in_order((key[2] for key in here), ARCHITECTURES):
                points = [key for key in here if key[2] == architecture]
                scatter(
                    axes,
                    [pretext[key] for key in points],
                    [downstream[key] for key in points],
                    architecture,
                    ARCHITECTURES,
                )
            percent_axes(axes, f"{words(panel[1])}, held out", f"linear probe, {panel[0]}")
        legend_of(figure, all_axes)
        return figure

    return Exhibit(
        key="figure4",
        title="Figure 4: pretext accuracy against downstream accuracy",
        note=f"{MEANING} Pretext: the task's own accuracy on held-out images (exemplar: retrieval "
        "of another view of the same image), after the last epoch. Downstream: linear probe on "
        "pre_logits.",
        records=[
            {
                **network_columns(key),
                **prefixed("pretext", pretext[key]),
                **prefixed("downstream", downstream[key]),
            }
            for key in keys
        ],
        header=[*NETWORK_HEADER, "pretext", "downstream"],
        rows=[[*network_cells(key), str(pretext[key]), str(downstream[key])] for key in keys],
        draw=draw,
    )


def figure5(study: Study) -> Exhibit:
    """The linear probe by layer (section 4.5): a row per network, a column per layer."""
    scores = study.probed("lbfgs", layer=None)
    cells = spreads(scores, lambda score: (network_key(score), score.layer), lambda s: s.top1)
    keys = sorted(
        {key for key, _ in cells if len([layer for k, layer in cells if k == key]) > 1},
        key=network_order,
    )
    layers = in_order((layer for _, layer in cells), LAYERS)
    shapes = sorted({key[3:] for key in keys})

    def draw() -> Figure:
        panels = list(dict.fromkeys(key[:2] for key in keys))
        figure, all_axes = panels_of(len(panels), share_y=True)
        for axes, panel in zip(all_axes, panels, strict=True):
            for key in (key for key in keys if key[:2] == panel):
                here = [layer for layer in layers if (key, layer) in cells]
                values = [cells[key, layer] for layer in here]
                axes.errorbar(
                    [layers.index(layer) for layer in here],
                    [value.mean for value in values],
                    [value.deviation or 0 for value in values],
                    marker="o",
                    markersize=3,
                    capsize=2,
                    color=colour(key[2], ARCHITECTURES),
                    linestyle=LINES[shapes.index(key[3:]) % len(LINES)],
                    label=label(
                        ", ".join(
                            [key[2], f"k = {key[3]}", *([f"size {key[4]}"] if key[4] else [])]
                        )
                    ),
                )
            axes.set_xticks(range(len(layers)), map(label, layers), rotation=45, ha="right")
            axes.set_title(label(f"{words(panel[1])}, {panel[0]}"), fontsize=9)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.grid(axis="y", alpha=0.3)
        legend_of(figure, all_axes)
        return figure

    return Exhibit(
        key="figure5",
        title="Figure 5: accuracy by layer",
        note=f"{MEANING} Logistic regression by L-BFGS on each layer. The best layer is bold.",
        records=[
            {**network_columns(key), "layer": layer, **numbers(cells[key, layer])}
            for key in keys
            for layer in layers
            if (key, layer) in cells
        ],
        header=[*NETWORK_HEADER, *layers],
        rows=[[*network_cells(key), *_by_layer(cells, key, layers)] for key in keys],
        draw=draw,
    )


def tasks_by_layer(study: Study) -> Exhibit:
    """Tasks against layers: Figure 5's numbers with a column for each task."""
    scores = study.probed("lbfgs", layer=None)
    cells = spreads(scores, lambda score: (network_key(score), score.layer), lambda s: s.top1)
    # One network to compare tasks with: what most tasks were measured with, on most layers.
    counts: dict[tuple, set[str]] = {}
    layer_counts: dict[tuple, set[str]] = {}
    for (place, task, *network), layer in cells:
        counts.setdefault((place, *network), set()).add(task)
        layer_counts.setdefault((place, *network), set()).add(layer)
    chosen = sorted(counts, key=lambda group: (-len(counts[group]), -len(layer_counts[group])))[:1]
    rows, records, tasks = [], [], []
    for place, *network in chosen:
        tasks = in_order(counts[(place, *network)], ("untrained", "supervised", *TASKS))
        layers = in_order((layer for key, layer in cells), LAYERS)
        for layer in layers:
            values = [cells.get(((place, task, *network), layer)) for task in tasks]
            if any(values):
                rows.append([layer, *("" if value is None else str(value) for value in values)])
                records += [
                    {
                        **network_columns((place, task, *network)),
                        "layer": layer,
                        **numbers(value),
                    }
                    for task, value in zip(tasks, values, strict=True)
                    if value is not None
                ]
    which = "".join(f" {place}, {architecture}, k = {k}." for place, architecture, k, _ in chosen)
    pretext = spreads(
        dict.fromkeys(score.network for score in scores if _group(score) in chosen),
        lambda network: network.task,
        lambda network: network.pretext,
    )
    if pretext and rows:
        rows.append(
            [
                "own task, held out",
                *(str(pretext[task]) if task in pretext else "" for task in tasks),
            ]
        )
        records += [
            {"task": task, "layer": "own task, held out", **numbers(pretext[task])}
            for task in tasks
            if task in pretext
        ]
    return Exhibit(
        key="tasks_by_layer",
        title="Tasks by layer",
        note=f"{MEANING} Logistic regression by L-BFGS on each layer, and each task's own accuracy "
        f"(exemplar: retrieval) on held-out images.{which}",
        records=records,
        header=["layer", *(words(task) for task in tasks)],
        rows=rows,
    )


def _group(score: Score) -> tuple:
    """The images and the network, whatever its task is."""
    place, _, *network = network_key(score)
    return (place, *network)


def prefixed(name: str, value: Spread) -> dict[str, object]:
    """A spread as columns of a CSV file whose names begin with `name`."""
    return {f"{name}_{column}": number for column, number in numbers(value).items()}


def _by_layer(cells: dict, key: tuple, layers: list[str]) -> list[str]:
    values = {layer: cells[key, layer] for layer in layers if (key, layer) in cells}
    best = max(values, key=lambda layer: values[layer].mean)
    texts = {
        layer: f"**{value}**" if layer == best else str(value) for layer, value in values.items()
    }
    return [texts.get(layer, "") for layer in layers]
