"""`study.json`: what a study's plans stand for, so that a report need not guess.

    {"plans": {"scenes": {
        "command": "python study.py --plan=configs/study/scenes.cfg --workdir=runs/scenes",
        "skipped": ["NETWORK: skipped, because …", …],
        "runs": [{"name": …, "program": "train.py", "network": …, "recipe": {FLAG: VALUE, …}}, …],
        "choices": [{
            "networks": "rotation, vgg19_bn",
            "chosen": 0.01,
            "reason": "",
            "candidates": [{"run": …, "learning_rate": 0.05, "accuracy": 0.25, "reason": ""}, …]
        }, …]
    }}}

`network` is the name of a run's pretraining run, its own if it is one. `recipe` holds the flags as
the plan and its flag files give them; what they leave out is the program's default. A run whose
learning rate is not chosen yet stands there without it.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from etils import epath

from studies import flag_files, rates, run_files
from studies.runs import Job
from training import locks

NAME = "study.json"


def entry(
    jobs: Iterable[Job],
    decided: Iterable[tuple[rates.Choice, rates.Decision]],
    skipped: list[str],
    command: str,
) -> dict[str, object]:
    """What is written down of a plan.

    Args:
        jobs: all of its runs, those of all shards.
        decided: its choices of a learning rate.
        skipped: lines about networks that will not be trained.
        command: what runs the plan.
    """
    decided = list(decided)
    runs = [(job, run) for job in jobs for run in job.runs]
    named = {job.train.name for job, _ in runs}
    # A candidate that became a network stands among the networks.
    runs += [
        (job, job.train)
        for choice, _ in decided
        for job in choice.candidates.values()
        if job.train.name not in named
    ]
    return {
        "command": command,
        "skipped": skipped,
        "runs": [
            {
                "name": run.name,
                "program": run.program,
                "network": job.train.name,
                "recipe": {
                    name: value
                    for name, value in sorted(flag_files.expand(run.flags).items())
                    if name != "flagfile"
                },
            }
            for job, run in runs
        ],
        "choices": [
            {
                "networks": str(choice),
                "chosen": decision.rate,
                "reason": decision.reason,
                "candidates": [
                    {
                        "run": choice.candidates[rate].train.name,
                        "learning_rate": rate,
                        "accuracy": outcome.accuracy,
                        "reason": outcome.reason,
                    }
                    for rate, outcome in decision.outcomes.items()
                ],
            }
            for choice, decision in decided
        ],
    }


def write(workdir: epath.Path, plan: str, content: Mapping[str, object]) -> None:
    """Writes down what a plan stands for, beside what is there of other plans.

    Args:
        workdir: the study's directory, which exists.
        plan: the plan's name.
        content: see `entry`.
    """
    path, beside = workdir / NAME, workdir / f"{NAME}.incomplete"
    with locks.locked(workdir / "logs" / f"{NAME}.lock", wait=True):
        try:
            plans = _plans(path)
        except ValueError:
            plans = {}  # Whatever it is, it is made again.
        beside.write_text(json.dumps({"plans": {**plans, plan: content}}, indent=1) + "\n")
        beside.replace(path)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network that was trained to find out which learning rate a task and architecture need.

    Attributes:
        networks: those that the rate is for, as a text.
        run: its directory, below the study's.
        learning_rate: the rate.
        accuracy: the task's metric on held-out images after the last epoch, in [0, 1], if it has
            one.
        reason: why it has none.
        chosen: whether its rate is the networks'; it is one of them then.
    """

    networks: str
    run: str
    learning_rate: float
    accuracy: float | None
    reason: str
    chosen: bool


class PlannedRun(NamedTuple):
    """A run of a plan.

    Attributes:
        position: among the runs of all plans.
        program: train.py or eval.py.
        network: the name of its network's pretraining run, its own if it is one.
        recipe: the flags as the plan has them.
    """

    position: int
    program: str
    network: str
    recipe: dict[str, str]


class Record:
    """What `study.json` says of all plans.

    Attributes:
        commands: those that ran the plans.
        skipped: lines about networks that will not be trained.
        runs: by name, in the order of the plans.
        candidates: the trials of learning rates.

    Args:
        workdir: the study's directory.

    Raises:
        ValueError: the file is damaged.
    """

    def __init__(self, workdir: epath.Path) -> None:
        path = workdir / NAME
        plans = _plans(path).values() if path.exists() else ()
        try:
            self.commands = sorted({_text(plan["command"]) for plan in plans})
            self.skipped = sorted({_text(line) for plan in plans for line in plan["skipped"]})
            self.runs = {
                _text(run["name"]): PlannedRun(
                    position,
                    _text(run["program"]),
                    _text(run["network"]),
                    {name: _text(value) for name, value in run.get("recipe", {}).items()},
                )
                for position, run in enumerate(run for plan in plans for run in plan["runs"])
            }
            self.candidates = tuple(
                _candidate(choice, each)
                for plan in plans
                for choice in plan["choices"]
                for each in choice["candidates"]
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("it is not what study.py writes") from error

    def plan_of(self, name: str, flags: Mapping[str, str]) -> PlannedRun | None:
        """What the plans say of a run with these flags; None if nothing, or of other flags."""
        plan = self.runs.get(name)
        program = "train.py" if "task" in flags else "eval.py"
        fits = plan and plan.program == program and flag_files.agree(flags, plan.recipe)
        return plan if fits else None

    def diverged(self) -> set[str]:
        """Candidates that ended without a network, as a high learning rate may."""
        return {each.run for each in self.candidates if each.reason == rates.DIVERGED}

    def losers(self) -> set[str]:
        """Candidates that are not networks of the study."""
        chosen = {each.run for each in self.candidates if each.chosen}
        return {each.run for each in self.candidates} - chosen


def _plans(path: epath.Path) -> dict[str, dict]:
    if not path.exists():
        return {}
    found = run_files.read_json(path)
    plans = found.get("plans") if isinstance(found, dict) else None
    if not isinstance(plans, dict):
        raise ValueError("it is not what study.py writes")
    return plans


def _candidate(choice: dict, found: dict) -> Candidate:
    rate, accuracy = found["learning_rate"], found["accuracy"]
    return Candidate(
        networks=_text(choice["networks"]),
        run=_text(found["run"]),
        learning_rate=run_files.number(rate, "learning_rate", 1e9),
        accuracy=None if accuracy is None else run_files.number(accuracy, "accuracy", 1.0),
        reason=_text(found["reason"]),
        chosen=choice["chosen"] == rate,
    )


def _text(value: str) -> str:
    return run_files.printable(value)
