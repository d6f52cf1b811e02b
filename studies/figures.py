"""Figures 2 to 5: rankings, MLP against linear, pretext against downstream, accuracy by layer."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from studies.drawing import (
    LINES,
    colour,
    marker,
    panels,
    percent_axes,
    percent_of_lines,
    scatter,
)
from studies.frames import ARCHITECTURES, CELL, LAYERS, TASKS, Study, in_order, spreads
from studies.rankings import common_width, of_one_width
from studies.table import MEANING, NETWORK_HEADER, Table, label, network_cells, wide, words
from studies.tables import SPREAD


def figure2(study: Study) -> Table:
    """Accuracy and rank of every architecture by task and data set (section 4.1)."""
    width = common_width(study)
    cells = spreads(of_one_width(study), ["images", "task", "architecture"])
    ranks = cells.groupby(["images", "task"])["mean"].rank(method="first", ascending=False)
    cells = cells.assign(widening_factor=width, rank=ranks.astype(int))
    cells["text"] = [
        f"{rank}. {text}" for rank, text in zip(cells["rank"], cells.text, strict=True)
    ]
    tasks, architectures = (
        in_order(cells[name], order)
        for name, order in (("task", TASKS), ("architecture", ARCHITECTURES))
    )

    def draw() -> Figure:
        figure, drawn = panels(cells, ["images"], share_y=True)
        for axes, (images,), here in drawn:
            for architecture in architectures:
                line = here[here.architecture == architecture]
                axes.errorbar(
                    line.task.map(tasks.index),
                    line["mean"],
                    line["std"].fillna(0),
                    marker=marker(architecture, architectures),
                    markersize=5,
                    linewidth=0.8,
                    capsize=2,
                    color=colour(architecture, ARCHITECTURES),
                    label=label(architecture),
                )
            names = [label(words(task)) for task in tasks]
            axes.set_xticks(range(len(tasks)), names, rotation=30, ha="right")
            percent_of_lines(axes, images, grid="y")
        return figure

    table = wide(cells, ["images", "task"], "architecture", architectures)
    return Table(
        key="figure2",
        title="Figure 2: ranking of architectures by task",
        note=f"Rank, and top-1 accuracy in per cent: mean ± standard deviation over seeds (number "
        f"of seeds), of the linear probe on pre_logits at k = {width}.",
        numbers=cells[["images", "task", "architecture", "widening_factor", "rank", *SPREAD]],
        header=["images", "task", *architectures],
        rows=[[images, words(task), *texts] for (images, task), *texts in table.itertuples()],
        draw=draw,
    )


def figure3(study: Study) -> Table:
    """The MLP probe against the linear one, on `pre_logits` (section 4.3)."""
    both = side_by_side(
        linear=spreads(study.probed("lbfgs"), CELL), mlp=spreads(study.probed("mlp"), CELL)
    )
    names = [words(task) for task in TASKS]

    def draw() -> Figure:
        figure, axes = plt.subplots(figsize=(4.6, 4.2))
        for task in in_order(both.task, TASKS):
            points = both[both.task == task]
            scatter(axes, side(points, "linear"), side(points, "mlp"), words(task), names)
        axes.axline((0.5, 0.5), slope=1, color="grey", linewidth=0.8, zorder=0)
        percent_axes(axes, "linear probe, top-1", "MLP probe, top-1")
        axes.legend(frameon=False, fontsize=8)
        return figure

    texts = zip(
        network_cells(both),
        both.linear_text,
        both.mlp_text,
        both.mlp_mean - both.linear_mean,
        strict=True,
    )
    return Table(
        key="figure3",
        title="Figure 3: MLP against linear",
        note=f"{MEANING} On pre_logits; above the diagonal the MLP is better.",
        numbers=both.drop(columns=["linear_text", "mlp_text"]),
        header=[*NETWORK_HEADER, "linear", "MLP", "difference"],
        rows=[
            [*network, linear, mlp, f"{100 * gain:+.1f}"] for network, linear, mlp, gain in texts
        ],
        draw=draw,
    )


def figure4(study: Study) -> Table:
    """The pretext task's accuracy against the linear probe's (section 4.4)."""
    scores = study.probed("lbfgs").dropna(subset=["pretext"])
    both = side_by_side(pretext=spreads(scores, CELL, "pretext"), downstream=spreads(scores, CELL))

    def draw() -> Figure:
        figure, drawn = panels(both, ["images", "task"])
        for axes, (images, task), here in drawn:
            for architecture in in_order(here.architecture, ARCHITECTURES):
                points = here[here.architecture == architecture]
                scatter(
                    axes,
                    side(points, "pretext"),
                    side(points, "downstream"),
                    architecture,
                    ARCHITECTURES,
                )
            percent_axes(axes, f"{words(task)}, held out", f"linear probe, {images}")
        return figure

    texts = zip(network_cells(both), both.pretext_text, both.downstream_text, strict=True)
    return Table(
        key="figure4",
        title="Figure 4: pretext accuracy against downstream accuracy",
        note=f"{MEANING} Pretext: the task's own accuracy on held-out images (exemplar: retrieval "
        "of another view of the same image), after the last epoch. Downstream: linear probe on "
        "pre_logits.",
        numbers=both.drop(columns=["pretext_text", "downstream_text"]),
        header=[*NETWORK_HEADER, "pretext", "downstream"],
        rows=[[*network, *others] for network, *others in texts],
        draw=draw,
    )


def figure5(study: Study) -> Table:
    """The linear probe by layer (section 4.5): a row per network, a column per layer."""
    cells = spreads(study.probed("lbfgs", layer=None), [*CELL, "layer"])
    layers = in_order(cells.layer, LAYERS)
    cells = cells[cells.groupby(CELL).layer.transform("size") > 1]
    best = cells.groupby(CELL)["mean"].idxmax()
    texts = cells.text.where(~cells.index.isin(best), "**" + cells.text + "**")
    table = wide(cells.assign(text=texts), CELL, "layer", layers)
    shapes = ["architecture", "widening_factor", "representation_size"]
    sizes = sorted(set(cells[shapes[1:]].itertuples(index=False, name=None)))

    def draw() -> Figure:
        figure, drawn = panels(cells, ["images", "task"], share_y=True)
        for axes, (images, task), here in drawn:
            for (architecture, k, size), line in here.groupby(shapes, sort=False):
                of_size = [f"size {size}"] if size else []
                axes.errorbar(
                    line.layer.map(layers.index),
                    line["mean"],
                    line["std"].fillna(0),
                    marker="o",
                    markersize=3,
                    capsize=2,
                    color=colour(architecture, ARCHITECTURES),
                    linestyle=LINES[sizes.index((k, size)) % len(LINES)],
                    label=label(", ".join([architecture, f"k = {k}", *of_size])),
                )
            axes.set_xticks(range(len(layers)), map(label, layers), rotation=45, ha="right")
            percent_of_lines(axes, f"{words(task)}, {images}", grid="y")
        return figure

    return Table(
        key="figure5",
        title="Figure 5: accuracy by layer",
        note=f"{MEANING} Logistic regression by L-BFGS on each layer. The best layer is bold.",
        numbers=cells[[*CELL, "layer", *SPREAD]],
        header=[*NETWORK_HEADER, *layers],
        rows=[
            [*network, *of_layers]
            for network, of_layers in zip(
                network_cells(cells.drop_duplicates(CELL)), table.values, strict=True
            )
        ],
        draw=draw,
    )


def side_by_side(**sides: pd.DataFrame) -> pd.DataFrame:
    """The spreads of two measures for the networks that have both, as SIDE_mean and so on."""
    first, second = (
        frame.rename(columns={name: f"{side}_{name}" for name in (*SPREAD, "text")})
        for side, frame in sides.items()
    )
    return first.merge(second, on=CELL)


def side(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """One of the measures of `side_by_side`."""
    return frame[[f"{name}_mean", f"{name}_std"]].set_axis(["mean", "std"], axis=1)
