"""Table 1, architectures by width and task; Table 2, the best networks by the SGD protocol."""

import dataclasses

from studies import published
from studies.exhibits import ARCHITECTURES, MEANING, TASKS, Exhibit, in_order, numbers, words
from studies.measurements import Candidate, Study
from studies.statistics import spreads

PAPER = "paper"
# The images that the paper's numbers belong beside: its own validation images, the official ones.
OWN_VALIDATION, OFFICIAL_VALIDATION = "imagenet2012 val", "imagenet2012 test"


def table1(study: Study) -> Exhibit:
    """Linear accuracy on `pre_logits` by architecture, widening factor and task (section 4.1)."""
    scores = [score for score in study.probed("lbfgs") if not score.network.representation_size]
    cells = spreads(
        scores,
        lambda score: (
            score.place,
            score.network.architecture,
            score.network.widening_factor,
            score.network.task,
        ),
        lambda score: score.top1,
    )
    reported = {
        (OWN_VALIDATION, architecture, k, task): percent
        for (task, architecture, k), percent in published.TABLE_1.items()
    }
    tasks = in_order((task for *_, task in (*cells, *reported)), TASKS)
    reported_tasks = {task for *_, task in reported}
    header = ["images", "architecture", "k"]
    for task in tasks:
        header += [words(task), PAPER] if task in reported_tasks else [words(task)]
    rows, records = [], []
    lines = {key[:3] for key in (*cells, *reported)}
    for place in sorted({place for place, *_ in lines}):
        for architecture in in_order((a for where, a, _ in lines if where == place), ARCHITECTURES):
            for k in sorted(k for where, a, k in lines if (where, a) == (place, architecture)):
                row = [place, architecture, str(k)]
                for task in tasks:
                    value = cells.get((place, architecture, k, task))
                    paper = reported.get((place, architecture, k, task))
                    row.append("" if value is None else str(value))
                    if task in reported_tasks:
                        row.append("" if paper is None else f"{paper:.1f}")
                    if value is not None or paper is not None:
                        records.append(
                            {
                                "images": place,
                                "task": task,
                                "architecture": architecture,
                                "widening_factor": k,
                                **numbers(value),
                                "paper_percent": paper,
                            }
                        )
                rows.append(row)
    return Exhibit(
        key="table1",
        title="Table 1: architectures, widths and tasks",
        note=f"{MEANING} Logistic regression by L-BFGS on pre_logits. The paper's numbers are of "
        "its own validation images of ImageNet; those that could be verified are given.",
        records=records,
        header=header,
        rows=rows,
    )


def table2(study: Study) -> Exhibit:
    """The best network of each task by the SGD protocol (section 4.2)."""
    scores = study.probed("sgd")
    # Of several schedules the longest: section 4.7.
    longest = {}
    for score in scores:
        key = (score.place, score.network)
        longest[key] = max(longest.get(key, 0), score.epochs)
    cells = spreads(
        (score for score in scores if score.epochs == longest[score.place, score.network]),
        lambda score: (
            score.place,
            score.network.task,
            score.network.architecture,
            score.network.widening_factor,
            score.network.representation_size,
        ),
        lambda score: score.top1,
    )
    header = ["images", "task", "best network", "top-1"]
    header += ["paper's network", PAPER, "best before the paper"]
    rows, records = [], []
    for place in sorted({*(key[0] for key in cells), OFFICIAL_VALIDATION}):
        reported = published.TABLE_2 if place == OFFICIAL_VALIDATION else {}
        for task in in_order([*(key[1] for key in cells if key[0] == place), *reported], TASKS):
            here = {key: value for key, value in cells.items() if key[:2] == (place, task)}
            best = max(here, key=lambda key: here[key].mean, default=None)
            paper = reported.get(task)
            network = "" if best is None else _network(*best[2:])
            rows.append(
                [
                    place,
                    words(task),
                    network,
                    "" if best is None else str(here[best]),
                    *(("", "", "") if paper is None else _reported(*paper)),
                ]
            )
            records.append(
                {
                    "images": place,
                    "task": task,
                    "network": network,
                    **numbers(None if best is None else here[best]),
                    "paper_network": paper and _network(paper[0], paper[1], 0),
                    "paper_percent": paper and paper[2],
                    "before_paper_percent": paper and paper[3],
                }
            )
    return Exhibit(
        key="table2",
        title="Table 2: the best network of each task, SGD protocol",
        note=f"{MEANING} Logistic regression by SGD on pre_logits, the longest schedule that was "
        "run; of several networks the one with the highest mean. The paper's "
        "numbers are of ImageNet's official validation images.",
        records=records,
        header=header,
        rows=rows,
    )


def learning_rates(study: Study) -> Exhibit:
    """The learning rates that were tried, and those that were taken."""
    ends = {}
    for each in study.candidates:
        if each.accuracy is not None:
            ends.setdefault(each.networks, []).append(each.learning_rate)
    return Exhibit(
        key="learning_rates",
        title="Learning rates",
        note="Where several rates were tried, all networks of a task and architecture have the one "
        "with the highest accuracy of that task on held-out images (exemplar: retrieval), found on "
        "one network and seed. Beyond a chosen rate that is the lowest or highest there may be a "
        "better one. All other networks have the rate of their flag file.",
        records=[dataclasses.asdict(each) for each in study.candidates],
        header=["networks", "learning rate", "own task, held out", "", "tried on"],
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


def _reported(architecture: str, k: int, top1: float, before: float) -> tuple[str, str, str]:
    return _network(architecture, k, 0), f"{top1:.1f}", f"{before:.1f}"
