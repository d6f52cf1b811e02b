"""Figures 6, 7 and 8: width and representation size, few labels, SGD schedules."""

from collections import Counter

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from studies.drawing import legend_of, panels_of
from studies.exhibits import MEANING, Exhibit, label, numbers, words
from studies.figures import (
    NETWORK_HEADER,
    network_cells,
    network_columns,
    network_key,
    network_order,
)
from studies.measurements import Study
from studies.statistics import Spread, spreads

# Of the paper: RevNet50 pretrained with rotation, used where two networks are as good a choice.
PAPER_NETWORK = ("rotation", "revnet50")


def figure6(study: Study) -> Exhibit:
    """Widening factor against representation size (section 4.6)."""
    place_and_network, cells = width_by_size(study)
    widths, sizes = (sorted({key[axis] for key in cells}) for axis in (0, 1))
    place, task, architecture = place_and_network or ("", "", "")

    def draw() -> Figure:
        figure, axes = plt.subplots(figsize=(1.6 + 0.9 * len(sizes), 1.2 + 0.6 * len(widths)))
        table = [[_mean(cells.get((k, size))) for size in sizes] for k in widths]
        axes.imshow(table, aspect="auto", cmap="viridis")
        low = min(value.mean for value in cells.values())
        high = max(value.mean for value in cells.values())
        for (k, size), value in cells.items():
            axes.text(
                sizes.index(size),
                widths.index(k),
                f"{100 * value.mean:.1f}",
                ha="center",
                va="center",
                color="black" if value.mean > (low + high) / 2 else "white",
            )
        axes.set_xticks(range(len(sizes)), sizes)
        axes.set_yticks(range(len(widths)), widths)
        axes.set_xlabel("representation size")
        axes.set_ylabel("widening factor")
        axes.set_title(label(f"{words(task)}, {architecture}, {place}"), fontsize=9)
        return figure

    return Exhibit(
        key="figure6",
        title="Figure 6: width and representation size",
        note=f"{MEANING} Linear probe on pre_logits"
        + (f" of {architecture}, {words(task)}, {place}." if cells else "."),
        records=[
            {
                **network_columns((place, task, architecture, k, size)),
                **numbers(value),
            }
            for (k, size), value in sorted(cells.items())
        ],
        header=["k", *(f"size {size}" for size in sizes)],
        rows=[
            [str(k), *(str(cells[k, size]) if (k, size) in cells else "" for size in sizes)]
            for k in widths
        ],
        draw=draw,
    )


def width_by_size(
    study: Study,
) -> tuple[tuple[str, str, str] | None, dict[tuple[int, int], Spread]]:
    """Accuracy by widening factor and size of `pre_logits`, of one task and architecture.

    Returns:
        Images, task and architecture, those with the most sizes; and the accuracies.
    """
    scores = study.probed("lbfgs")
    with_sizes = {network_key(score)[:3] for score in scores if score.network.representation_size}
    counts = Counter(
        key[:3]
        for key in {(*network_key(score)[:4], score.features) for score in scores}
        if key[:3] in with_sizes
    )
    chosen = max(counts, key=lambda key: (counts[key], key[1:] == PAPER_NETWORK), default=None)
    of_chosen = [score for score in scores if network_key(score)[:3] == chosen]
    # An extra linear layer of the size that a network has anyway is another network; the paper has
    # the layer in all.
    having = {
        (score.network.widening_factor, score.features)
        for score in of_chosen
        if score.network.representation_size
    }
    return chosen, spreads(
        (
            score
            for score in of_chosen
            if score.network.representation_size
            or (score.network.widening_factor, score.features) not in having
        ),
        lambda score: (score.network.widening_factor, score.features),
        lambda score: score.top1,
    )


def figure7(study: Study) -> Exhibit:
    """Widening factor with all and with few labels (section 4.6)."""
    cells = few_labels(study)
    lines = sorted({(key[:3], fraction) for key, fraction in cells}, key=_line_order)
    widths = sorted({key[3] for key, _ in cells})

    def draw() -> Figure:
        panels = list(dict.fromkeys(network for network, _ in lines))
        figure, all_axes = panels_of(len(panels))
        for axes, panel in zip(all_axes, panels, strict=True):
            for fraction in sorted({f for network, f in lines if network == panel}, reverse=True):
                here = [k for k in widths if ((*panel, k, 0), fraction) in cells]
                values = [cells[(*panel, k, 0), fraction] for k in here]
                axes.errorbar(
                    here,
                    [value.mean for value in values],
                    [value.deviation or 0 for value in values],
                    marker="o",
                    capsize=2,
                    label=f"{100 * fraction:g} % of the labels",
                )
            axes.set_title(label(f"{words(panel[1])}, {panel[2]}, {panel[0]}"), fontsize=9)
            axes.set_xlabel("widening factor")
            axes.set_xscale("log", base=2)
            axes.set_xticks(widths, widths)
            axes.minorticks_off()
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.grid(alpha=0.3)
        legend_of(figure, all_axes)
        return figure

    return Exhibit(
        key="figure7",
        title="Figure 7: width with all and with few labels",
        note=f"{MEANING} Linear probe on pre_logits, fitted to a share of the labelled images.",
        records=[
            {**network_columns(key), "train_fraction": fraction, **numbers(value)}
            for (key, fraction), value in sorted(
                cells.items(), key=lambda item: (network_order(item[0][0]), -item[0][1])
            )
        ],
        header=["images", "task", "architecture", "labels", *(f"k = {k}" for k in widths)],
        rows=[
            [
                *(network[0], words(network[1]), network[2], f"{100 * fraction:g} %"),
                *(
                    str(cells[(*network, k, 0), fraction])
                    if ((*network, k, 0), fraction) in cells
                    else ""
                    for k in widths
                ),
            ]
            for network, fraction in lines
        ],
        draw=draw,
    )


def few_labels(study: Study) -> dict[tuple[tuple[str, str, str, int, int], float], Spread]:
    """Accuracy by network and share of labels, where a network was probed with several."""
    scores = [
        score
        for score in study.scores
        if (score.probe, score.layer) == ("lbfgs", "pre_logits")
        and not score.network.representation_size
    ]
    fractions: dict[object, set[float]] = {}
    for score in scores:
        fractions.setdefault(network_key(score)[:3], set()).add(score.train_fraction)
    return spreads(
        (score for score in scores if len(fractions[network_key(score)[:3]]) > 1),
        lambda score: (network_key(score), score.train_fraction),
        lambda score: score.top1,
    )


def figure8(study: Study) -> Exhibit:
    """Accuracy over epochs of SGD probes, by the epoch of the first decay (section 4.7)."""
    scores = [score for score in study.probed("sgd") if score.curve]
    curves = spreads(
        (
            (network_key(score), score.first_decay, epoch, top1)
            for score in scores
            for epoch, top1 in score.curve
        ),
        lambda row: row[:3],
        lambda row: row[3],
    )
    last = final_accuracies(study)
    lines = sorted(last, key=lambda line: (network_order(line[0]), line[1]))
    decays = sorted({decay for _, decay in lines})

    def draw() -> Figure:
        panels = list(dict.fromkeys(network for network, _ in lines))
        figure, all_axes = panels_of(len(panels))
        for axes, panel in zip(all_axes, panels, strict=True):
            for network, decay in lines:
                if network != panel:
                    continue
                epochs = sorted(e for n, d, e in curves if (n, d) == (network, decay))
                values = [curves[network, decay, epoch] for epoch in epochs]
                colour = f"C{decays.index(decay)}"
                axes.plot(
                    epochs,
                    [value.mean for value in values],
                    color=colour,
                    label=f"first decay after {decay:g}",
                )
                axes.fill_between(
                    epochs,
                    [value.mean - (value.deviation or 0) for value in values],
                    [value.mean + (value.deviation or 0) for value in values],
                    color=colour,
                    alpha=0.2,
                    linewidth=0,
                )
            title = [f"{words(panel[1])}, {panel[2]}, k = {panel[3]}", panel[0]]
            axes.set_title("\n".join(map(label, title)), fontsize=9)
            axes.set_xlabel("epoch")
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            axes.grid(alpha=0.3)
        legend_of(figure, all_axes)
        return figure

    return Exhibit(
        key="figure8",
        title="Figure 8: accuracy over epochs of SGD",
        note=f"{MEANING} SGD probe on pre_logits; the table gives the accuracy after the last "
        "epoch, by the epoch after which the learning rate is first divided by ten.",
        records=[
            {**network_columns(network), "first_decay": decay, "epoch": epoch, **numbers(value)}
            for (network, decay, epoch), value in sorted(curves.items())
        ],
        header=[*NETWORK_HEADER, "first decay", "epochs", "top-1"],
        rows=[
            [
                *network_cells(network),
                f"{decay:g}",
                f"{max(e for n, d, e in curves if (n, d) == (network, decay)):g}",
                str(last[network, decay]),
            ]
            for network, decay in lines
        ],
        draw=draw,
    )


def final_accuracies(study: Study) -> dict[tuple[tuple, float], Spread]:
    """By network and first decay, the accuracy that a recorded SGD probe ended with."""
    return spreads(
        (score for score in study.probed("sgd") if score.curve),
        lambda score: (network_key(score), score.first_decay),
        lambda score: score.top1,
    )


def _line_order(line: tuple[tuple[str, str, str], float]) -> tuple:
    network, fraction = line
    return (network_order((*network, 0, 0)), -fraction)


def _mean(value: Spread | None) -> float:
    return float("nan") if value is None else value.mean
