"""Learning rates: which of several each architecture trains a task best at.

A study must not call an architecture the worst because of one rate. Where a plan gives several,
the first network that it names of a task and architecture is trained at each of them, and all
networks of that task and architecture get the one with the highest accuracy of the pretext task on
held-out images after the last epoch; of equals the first. That network need not be trained again:
it is one of the candidates. A candidate whose loss was not finite is out; without the others'
numbers nothing is chosen.

What was chosen can always be read from the candidates' run directories; it is kept nowhere else.
"""

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

from studies import run_files
from studies.runs import Job, Pair, Run, rate_text
from studies.study_directory import StudyDirectory

# What the last line of a run says that gave up because of its learning rate.
NOT_FINITE = "is not finite"
NOT_FINISHED, DIVERGED = "not finished", "the loss was not finite"


@dataclasses.dataclass(frozen=True)
class Choice:
    """Learning rates, and the network to try them on.

    Attributes:
        base: the first network of its task and architecture in the plan.
        candidates: that network by rate.
    """

    base: Job
    candidates: dict[float, Job]

    def __str__(self) -> str:
        return ", ".join(filter(None, self.base.pair[:2])) or self.base.train.name


class Outcome(NamedTuple):
    """How a candidate ended: with an accuracy in [0, 1], or why it has none."""

    accuracy: float | None
    reason: str


class Decision(NamedTuple):
    """The outcomes by rate; the rate chosen, or None and why."""

    outcomes: dict[float, Outcome]
    rate: float | None
    reason: str

    def __str__(self) -> str:
        tried = ", ".join(
            f"{rate_text(rate)}: {reason if accuracy is None else f'{accuracy:.1%}'}"
            for rate, (accuracy, reason) in self.outcomes.items()
        )
        return f"{'none' if self.rate is None else rate_text(self.rate)} of {tried}"


def choices(jobs: Iterable[Job]) -> list[Choice]:
    """The choices that these networks ask for; the first of each task and architecture counts."""
    bases: dict[Pair, Job] = {}
    for job in jobs:
        if job.rates:
            bases.setdefault(job.pair, job)
    return [
        Choice(base, {rate: _candidate(base, rate) for rate in base.rates})
        for base in bases.values()
    ]


def _candidate(base: Job, rate: float) -> Job:
    """The pretraining run alone: only the chosen one is worth probing."""
    return dataclasses.replace(base.at_rate(rate), evaluations=())


def decide(choice: Choice, study: StudyDirectory) -> Decision:
    """What the candidates' run directories tell."""
    outcomes = {rate: _outcome(job, study) for rate, job in choice.candidates.items()}
    known = {rate: o.accuracy for rate, o in outcomes.items() if o.accuracy is not None}
    unsettled = [
        f"{rate_text(rate)} ({outcome.reason})"
        for rate, outcome in outcomes.items()
        if outcome.accuracy is None and outcome.reason != DIVERGED
    ]
    if unsettled:
        return Decision(outcomes, None, f"no accuracy yet at {', '.join(unsettled)}")
    if not known:
        return Decision(outcomes, None, "the loss was not finite at any rate; give smaller ones")
    return Decision(outcomes, max(known, key=lambda rate: known[rate]), "")


def has_diverged(run: Run, study: StudyDirectory) -> bool:
    """Whether a run ended because its loss was not finite, and not that of another plan's flags."""
    return study.was_begun(run) and NOT_FINITE in study.last_line(run)


def settle(jobs: Iterable[Job], decisions: dict[Pair, Decision]) -> tuple[list[Job], list[Job]]:
    """The jobs at the rates chosen for them, and those that wait for a choice.

    Args:
        jobs: with or without rates to choose from.
        decisions: by `Job.pair`.
    """
    ready, waiting = [], []
    for job in jobs:
        rate = decisions[job.pair].rate if job.rates else None
        if job.rates and rate is None:
            waiting.append(job)
        else:
            ready.append(job if rate is None else job.at_rate(rate))
    return ready, waiting


def _outcome(job: Job, study: StudyDirectory) -> Outcome:
    run = job.train
    if study.is_finished(run):
        path = study.workdir / run.name / "metrics.csv"
        try:
            accuracy = run_files.last_pretext(path)
        except ValueError as error:
            return Outcome(None, str(error))
        return Outcome(accuracy, "" if accuracy is not None else f"{path} has no held-out accuracy")
    if has_diverged(run, study):
        return Outcome(None, DIVERGED)
    return Outcome(None, NOT_FINISHED)
