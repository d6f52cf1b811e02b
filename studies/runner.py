"""Running a plan: each run a process of its own, what is finished left alone, failures reported."""

import asyncio
import collections
import os
import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import IO, NamedTuple

from absl import logging

from studies import rates
from studies.programs import Programs
from studies.progress import Progress, say_at_once
from studies.runs import Job, Run
from studies.shares import WHOLE_MACHINE, Share
from studies.study_directory import StudyDirectory
from training import interruption

SECONDS_BETWEEN_LOOKS = 0.5


class Failures(NamedTuple):
    """Names of runs that failed, and of evaluations without a network because of that."""

    failed: list[str]
    not_started: list[str]


def command_lines(jobs: Iterable[Job], study: StudyDirectory) -> list[str]:
    """What is left to do, for a shell: a line per network, its evaluations joined on by `&&`."""
    lines = []
    for job in jobs:
        open_runs = [run for run in job.runs if not study.is_finished(run)]
        if open_runs:
            lines.append(" && ".join(shlex.join(study.command(job, run)) for run in open_runs))
    return lines


def open_candidates(choices: Iterable[rates.Choice], study: StudyDirectory) -> list[Job]:
    """The candidates whose outcome is not known yet."""
    return [
        choice.candidates[rate]
        for choice in choices
        for rate, outcome in rates.decide(choice, study).outcomes.items()
        if outcome.reason == rates.NOT_FINISHED
    ]


def run_all(
    jobs: Iterable[Job],
    study: StudyDirectory,
    *,
    keep_representations: bool = False,
    candidates: bool = False,
    shares: Sequence[Share] = (WHOLE_MACHINE,),
    say: Callable[[str], None] = say_at_once,
) -> Failures:
    """Runs what is not finished: as many networks at once as there are shares of the machine.

    The runs of a network come one after another, because its evaluations need it and share its
    representations. What a run prints goes to `WORKDIR/logs/`. If it fails, its last line is
    reported and the others still run. Networks that another process is at work on come last, and
    are waited for.

    Args:
        jobs: the runs.
        study: where the runs are; its directory exists.
        keep_representations: whether representations, which are large and can be made again, stay
            after the last evaluation of their network.
        candidates: whether these are candidates for a learning rate, which may diverge: one that
            has, in another process, is not tried again.
        shares: what each of the runs at once computes on.
        say: takes the lines about progress.

    Raises:
        interruption.Interrupted: a signal came; all programs were asked to end, and have.
    """

    def is_over(run: Run) -> bool:
        return study.is_finished(run) or (candidates and rates.has_diverged(run, study))

    left = {job: [run for run in job.runs if not is_over(run)] for job in jobs}
    total = sum(len(job.runs) for job in left)
    progress = Progress(left, total, len(shares), say)
    work = _Work(left, study, progress, is_over, keep_representations)
    try:
        with interruption.postponed():
            asyncio.run(work.on(shares))
    finally:
        progress.close()
    return work.failures


class _Work:
    """Networks, each of which one share of the machine after another takes on.

    All of this is in one thread; only waiting for a program or for another process lets the other
    shares continue.
    """

    def __init__(
        self,
        left: dict[Job, list[Run]],
        study: StudyDirectory,
        progress: Progress,
        is_over: Callable[[Run], bool],
        keep_representations: bool,
    ) -> None:
        self.failures = Failures([], [])
        self._left = left
        self._study = study
        self._progress = progress
        self._is_over = is_over
        self._keep_representations = keep_representations
        self._programs = Programs()
        self._waiting = collections.deque(left)
        # Those that another process is at work on.
        self._busy: collections.deque[Job] = collections.deque()
        self._waited_for: set[Job] = set()

    async def on(self, shares: Sequence[Share]) -> None:
        """Does everything, on these shares of the machine.

        Raises:
            interruption.Interrupted: a signal came; no program runs any more.
        """
        workers = {asyncio.create_task(self._take_on(share)) for share in shares}
        try:
            while workers:
                done, workers = await asyncio.wait(
                    workers,
                    timeout=SECONDS_BETWEEN_LOOKS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for worker in done:
                    worker.result()
                if interruption.requested():
                    raise interruption.Interrupted(_stopped(len(self._programs)))
                self._progress.look()
        except BaseException:  # Whatever ends us must not leave them running behind us.
            self._programs.end_all()
            raise

    async def _take_on(self, share: Share) -> None:
        """Takes on one network after another, while there are any."""
        while self._waiting or self._busy:
            job = (self._waiting or self._busy).popleft()
            with self._study.locked(job) as lock:
                if lock:
                    await self._finish(job, share, lock)
                    continue
            self._busy.append(job)
            if not self._waiting:
                if job not in self._waited_for:
                    logging.warning("waiting for the process at work on %s", job.train.name)
                    self._waited_for.add(job)
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def _finish(self, job: Job, share: Share, lock: IO[str]) -> None:
        """Runs what is left of a network."""
        left = self._left[job]
        while left:
            run = left.pop(0)
            if job.train.name in self.failures.failed:
                self.failures.not_started.append(run.name)
            elif not self._is_over(run):  # Another process may have done it meanwhile.
                self._progress.begun(job, run)
                error = await self._run(job, run, share, lock)
                self._progress.ended(job, error)
                if error:
                    self.failures.failed.append(run.name)
            self._progress.report()
        if not self._keep_representations:
            _drop_representations(job, self._study)

    async def _run(self, job: Job, run: Run, share: Share, lock: IO[str]) -> str | None:
        """Runs a program to its end; returns what went wrong, if anything did."""
        study = self._study
        try:
            with open(study.log(run), "wb") as log:
                status = await self._programs.run(study.command(job, run), share, log, lock)
        except OSError as error:
            return f"{study.log(run)} cannot be written: {error.strerror}"
        if status:
            last = study.last_line(run) or "it printed nothing"
            return f"{last} (exit status {status}; {os.fspath(study.log(run))})"
        if not study.is_finished(run):
            return f"ended without {run.result} (see {study.log(run)})"
        return None


def _stopped(running: int) -> str:
    if running == 1:
        return "the run at hand was stopped too"
    return f"the {running} runs at hand were stopped too" if running else "no run was at hand"


def _drop_representations(job: Job, study: StudyDirectory) -> None:
    representations = study.workdir / job.train.name / "representations"
    if representations.is_dir() and all(study.is_finished(run) for run in job.runs):
        representations.rmtree()
