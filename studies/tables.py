"""Tasks by layer; Table 1, architectures by width and task; Table 2, the best networks by the SGD
protocol; the learning rates that were tried."""

import dataclasses

import pandas as pd

from studies import published
from studies.frames import (
    CELL,
    LAYERS,
    NETWORK,
    SUPERVISED,
    TASKS,
    UNTRAINED,
    Study,
    in_order,
    in_paper_order,
    spreads,
)
from studies.record import Candidate
from studies.table import MEANING, Table, wide, words

PAPER = "paper"
# The images that the paper's numbers belong beside: its own validation images, the official ones.
OWN_VALIDATION, OFFICIAL_VALIDATION = "imagenet2012 val", "imagenet2012 test"
SPREAD = ["mean", "std", "seeds"]
OWN_TASK = "own task, held out"


def tasks_by_layer(study: Study) -> Table:
    """Tasks against layers: Figure 5's numbers with a column for each task."""
    of_network = ["images", *NETWORK[1:]]
    scores = study.probed("lbfgs", layer=None)
    which, tasks, rows, numbers = "", [], [], pd.DataFrame()
    if len(scores):
        # One network to compare tasks with: what most tasks were measured with, on most layers.
        counts = scores.groupby(of_network, sort=False)[["task", "layer"]].nunique()
        chosen = counts.sort_values(["task", "layer"], ascending=False, kind="stable").index[0]
        mine = scores[(scores[of_network] == list(chosen)).all(axis=1)]
        tasks = in_order(mine.task, (UNTRAINED, SUPERVISED, *TASKS))
        cells = spreads(mine, [*CELL, "layer"])
        in_table = cells.assign(
            layer_rank=cells.layer.map(in_order(scores.layer, LAYERS).index),
            task_rank=cells.task.map(tasks.index),
        ).sort_values(["layer_rank", "task_rank"])
        own = spreads(mine.drop_duplicates("network"), ["task"], "pretext").assign(layer=OWN_TASK)
        own = own.sort_values("task", key=lambda names: names.map(tasks.index))
        both = pd.concat([in_table, own] if len(own) else [in_table])
        numbers = both[[*CELL, "layer", *SPREAD]]
        table = wide(both, ["layer"], "task", tasks)
        rows = [[layer, *texts] for layer, *texts in table.itertuples()]
        images, architecture, k, _ = chosen
        which = f" {images}, {architecture}, k = {k}."
    return Table(
        key="tasks_by_layer",
        title="Tasks by layer",
        note=f"{MEANING} Logistic regression by L-BFGS on each layer, and each task's own accuracy "
        f"(exemplar: retrieval) on held-out images.{which}",
        numbers=numbers,
        header=["layer", *map(words, tasks)],
        rows=rows,
    )


def table1(study: Study) -> Table:
    """Linear accuracy on `pre_logits` by architecture, widening factor and task (section 4.1)."""
    by = ["images", "architecture", "widening_factor", "task"]
    scores = study.probed("lbfgs")
    reported = pd.DataFrame(
        [
            (OWN_VALIDATION, architecture, k, task, percent)
            for (task, architecture, k), percent in published.TABLE_1.items()
        ],
        columns=[*by, "paper_percent"],
    )
    cells = spreads(scores[scores.representation_size == 0], by).merge(reported, how="outer", on=by)
    cells = in_paper_order(cells.astype({"widening_factor": int}), by).fillna(
        {"seeds": 0, "text": ""}
    )
    cells["paper_text"] = cells.paper_percent.map("{:.1f}".format, na_action="ignore")
    tasks = in_order(cells.task, TASKS)
    measured, paper = (
        wide(cells, by[:3], "task", tasks, text=column) for column in ("text", "paper_text")
    )
    # Beside the tasks that the paper has a number of.
    columns = [
        (words(task) if table is measured else PAPER, table[task])
        for task in tasks
        for table in (measured, paper)
        if table is measured or task in set(reported.task)
    ]
    return Table(
        key="table1",
        title="Table 1: architectures, widths and tasks",
        note=f"{MEANING} Logistic regression by L-BFGS on pre_logits. The paper's numbers are of "
        "its own validation images of ImageNet; those that could be verified are given.",
        numbers=cells[["images", "task", *by[1:3], *SPREAD, "paper_percent"]],
        header=["images", "architecture", "k", *(name for name, _ in columns)],
        rows=[
            [*map(str, key), *texts]
            for key, *texts in zip(measured.index, *(column for _, column in columns), strict=True)
        ],
    )


def longest_schedules(scores: pd.DataFrame) -> pd.DataFrame:
    """Of several SGD schedules of a network on the same images the longest: section 4.7."""
    return scores[scores.epochs == scores.groupby(["images", "network"]).epochs.transform("max")]


def table2(study: Study) -> Table:
    """The best network of each task by the SGD protocol (section 4.2)."""
    cells = spreads(longest_schedules(study.probed("sgd")), CELL)
    best = cells.loc[cells.groupby(["images", "task"])["mean"].idxmax()]
    best = best.assign(network=[_network(*row[2:]) for row in best[CELL].itertuples(index=False)])
    reported = pd.DataFrame(
        [
            (OFFICIAL_VALIDATION, task, _network(architecture, k, 0), top1, before)
            for task, (architecture, k, top1, before) in published.TABLE_2.items()
        ],
        columns=["images", "task", "paper_network", "paper_percent", "before_paper_percent"],
    )
    lines = best.merge(reported, how="outer", on=["images", "task"])
    lines = in_paper_order(lines, ["images", "task"]).fillna(
        {"network": "", "seeds": 0, "text": "", "paper_network": ""}
    )
    percents = ["paper_percent", "before_paper_percent"]
    texts = lines.assign(
        task=lines.task.map(words),
        **{
            name: lines[name].map("{:.1f}".format, na_action="ignore").fillna("")
            for name in percents
        },
    )
    return Table(
        key="table2",
        title="Table 2: the best network of each task, SGD protocol",
        note=f"{MEANING} Logistic regression by SGD on pre_logits, the longest schedule that was "
        "run; of several networks the one with the highest mean. The paper's "
        "numbers are of ImageNet's official validation images.",
        numbers=lines[["images", "task", "network", *SPREAD, "paper_network", *percents]],
        header=[
            *("images", "task", "best network", "top-1"),
            *("paper's network", PAPER, "best before the paper"),
        ],
        rows=texts[
            ["images", "task", "network", "text", "paper_network", *percents]
        ].values.tolist(),
    )


def learning_rates(study: Study) -> Table:
    """The learning rates that were tried, and those that were taken."""
    ends: dict[str, list[float]] = {}
    for each in study.candidates:
        if each.accuracy is not None:
            ends.setdefault(each.networks, []).append(each.learning_rate)
    return Table(
        key="learning_rates",
        title="Learning rates",
        note="Where several rates were tried, all networks of a task and architecture have the one "
        "with the highest accuracy of that task on held-out images (exemplar: retrieval), found on "
        "one network and seed. Beyond a chosen rate that is the lowest or highest there may be a "
        "better one. All other networks have the rate of their flag file.",
        numbers=pd.DataFrame(map(dataclasses.asdict, study.candidates)),
        header=["networks", "learning rate", OWN_TASK, "", "tried on"],
        rows=[
            [
                each.networks,
                f"{each.learning_rate:g}",
                f"{100 * each.accuracy:.1f}" if each.accuracy is not None else each.reason,
                _choice(each, ends.get(each.networks, [])),
                each.run,
            ]
            for each in study.candidates
        ],
        picture=False,
    )


def _choice(candidate: Candidate, rates: list[float]) -> str:
    if not candidate.chosen:
        return ""
    lowest = ", the lowest" if candidate.learning_rate == min(rates, default=0) else ""
    highest = ", the highest" if candidate.learning_rate == max(rates, default=0) else ""
    return f"**chosen{lowest or highest}**"


def _network(architecture: str, k: int, size: int) -> str:
    return f"{architecture}, k = {k}" + (f", size {size}" if size else "")
