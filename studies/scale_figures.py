"""Figures 6, 7 and 8: width and representation size, few labels, SGD schedules."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from studies.drawing import panels, percent_of_lines
from studies.frames import CELL, Study, in_paper_order, spreads
from studies.table import MEANING, NETWORK_HEADER, Table, label, network_cells, wide, words
from studies.tables import SPREAD

# Of the paper: RevNet50 pretrained with rotation, used where two networks are as good a choice.
PAPER_NETWORK = ("rotation", "revnet50")


def figure6(study: Study) -> Table:
    """Widening factor against representation size (section 4.6)."""
    scores = with_the_layer(of_most_sizes(study))
    cells = spreads(scores, ["images", "task", "architecture", "widening_factor", "features"])
    widths, sizes = (sorted(set(cells[axis])) for axis in ("widening_factor", "features"))
    of = next(cells[["images", "task", "architecture"]].itertuples(index=False), None)

    def draw() -> Figure:
        figure, axes = plt.subplots(figsize=(1.6 + 0.9 * len(sizes), 1.2 + 0.6 * len(widths)))
        means = cells.pivot(index="widening_factor", columns="features", values="mean")
        axes.imshow(means, aspect="auto", cmap="viridis")
        middle = (cells["mean"].min() + cells["mean"].max()) / 2
        for row in cells.itertuples():
            axes.text(
                sizes.index(row.features),
                widths.index(row.widening_factor),
                f"{100 * row.mean:.1f}",
                ha="center",
                va="center",
                color="black" if row.mean > middle else "white",
            )
        axes.set_xticks(range(len(sizes)), sizes)
        axes.set_yticks(range(len(widths)), widths)
        axes.set_xlabel("representation size")
        axes.set_ylabel("widening factor")
        axes.set_title(label(f"{words(of.task)}, {of.architecture}, {of.images}"), fontsize=9)
        return figure

    table = wide(cells, ["widening_factor"], "features", sizes)
    return Table(
        key="figure6",
        title="Figure 6: width and representation size",
        note=f"{MEANING} Linear probe on pre_logits"
        + (f" of {of.architecture}, {words(of.task)}, {of.images}." if of else "."),
        numbers=cells.rename(columns={"features": "representation_size"})[[*CELL, *SPREAD]],
        header=["k", *(f"size {size}" for size in sizes)],
        rows=[[str(k), *texts] for k, *texts in table.itertuples()],
        draw=draw,
    )


def of_most_sizes(study: Study) -> pd.DataFrame:
    """Linear probes of one task and architecture on the same images: those with the most widths
    and sizes of `pre_logits` (`features`); of equals the paper's network, or the first by name."""
    of = ["images", "task", "architecture"]
    scores = study.probed("lbfgs")
    sized = scores[scores.groupby(of).representation_size.transform("max") > 0]
    counts = sized.drop_duplicates([*of, "widening_factor", "features"]).groupby(of).size()
    if counts.empty:
        return sized
    chosen = max(counts.index, key=lambda key: (counts[key], key[1:] == PAPER_NETWORK))
    return scores[(scores[of] == list(chosen)).all(axis=1)]


def with_the_layer(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of Figure 6, of one task and architecture.

    An extra linear layer of the size that a network has anyway is another network; the paper has
    the layer in all. Where there is such a network, the one without the layer is left out.
    """
    layered = scores.representation_size > 0
    also_layered = layered.groupby([scores.widening_factor, scores.features]).transform("any")
    return scores[layered | ~also_layered.astype(bool)]


def figure7(study: Study) -> Table:
    """Widening factor with all and with few labels (section 4.6)."""
    scores = study.scores[(study.scores.probe == "lbfgs") & (study.scores.layer == "pre_logits")]
    scores = scores[scores.representation_size == 0]
    several = scores.groupby(CELL[:3]).train_fraction.transform("nunique") > 1
    cells = spreads(scores[several], [*CELL, "train_fraction"])
    # All labels first.
    cells = cells.assign(fewer=-cells.train_fraction)
    cells = in_paper_order(cells, [*CELL, "fewer"])
    lines = in_paper_order(cells, [*CELL[:3], "fewer"])
    widths = sorted(set(cells.widening_factor))

    def draw() -> Figure:
        figure, drawn = panels(lines, CELL[:3])
        for axes, (images, task, architecture), here in drawn:
            for fraction, line in here.groupby("train_fraction", sort=False):
                axes.errorbar(
                    line.widening_factor,
                    line["mean"],
                    line["std"].fillna(0),
                    marker="o",
                    capsize=2,
                    label=f"{100 * fraction:g} % of the labels",
                )
            axes.set_xlabel("widening factor")
            axes.set_xscale("log", base=2)
            axes.set_xticks(widths, widths)
            axes.minorticks_off()
            percent_of_lines(axes, f"{words(task)}, {architecture}, {images}")
        return figure

    table = wide(lines, [*CELL[:3], "train_fraction"], "widening_factor", widths)
    return Table(
        key="figure7",
        title="Figure 7: width with all and with few labels",
        note=f"{MEANING} Linear probe on pre_logits, fitted to a share of the labelled images.",
        numbers=cells[[*CELL, "train_fraction", *SPREAD]],
        header=["images", "task", "architecture", "labels", *(f"k = {k}" for k in widths)],
        rows=[
            [images, words(task), architecture, f"{100 * fraction:g} %", *texts]
            for (images, task, architecture, fraction), *texts in table.itertuples()
        ],
        draw=draw,
    )


def figure8(study: Study) -> Table:
    """Accuracy over epochs of SGD probes, by the epoch of the first decay (section 4.7)."""
    scores = study.probed("sgd")
    scores = scores[scores.curve.map(len) > 0]
    by = [*CELL, "first_decay"]
    points = scores.explode("curve", ignore_index=True)
    points = points.assign(
        epoch=points.curve.map(lambda point: point[0]),
        top1=points.curve.map(lambda point: point[1]),
    )
    curves = spreads(points, [*by, "epoch"])
    last = spreads(scores, by).merge(curves.groupby(by, as_index=False).epoch.max(), on=by)
    decays = sorted(set(last.first_decay))

    def draw() -> Figure:
        figure, drawn = panels(curves, CELL)
        for axes, (images, task, architecture, k, _), here in drawn:
            # The shortest last: it would lie below those that begin as it does.
            for decay, line in list(here.groupby("first_decay"))[::-1]:
                colour, deviation = f"C{decays.index(decay)}", line["std"].fillna(0)
                axes.plot(
                    line.epoch, line["mean"], color=colour, label=f"first decay after {decay:g}"
                )
                axes.fill_between(
                    line.epoch,
                    line["mean"] - deviation,
                    line["mean"] + deviation,
                    color=colour,
                    alpha=0.2,
                    linewidth=0,
                )
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            percent_of_lines(axes, f"{words(task)}, {architecture}, k = {k}\n{images}")
        return figure

    texts = zip(network_cells(last), last.first_decay, last.epoch, last.text, strict=True)
    return Table(
        key="figure8",
        title="Figure 8: accuracy over epochs of SGD",
        note=f"{MEANING} SGD probe on pre_logits; the table gives the accuracy after the last "
        "epoch, by the epoch after which the learning rate is first divided by ten.",
        numbers=curves.sort_values([*by, "epoch"])[[*by, "epoch", *SPREAD]],
        header=[*NETWORK_HEADER, "first decay", "epochs", "top-1"],
        rows=[
            [*network, f"{decay:g}", f"{epochs:g}", text] for network, decay, epochs, text in texts
        ],
        draw=draw,
    )
