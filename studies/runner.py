"""Running a plan: each run a process of its own, what is finished left alone, failures reported."""

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable
from typing import IO, NamedTuple

from studies import rates
from studies.remaining_time import Clock, duration
from studies.runs import Job, Run
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


def say_at_once(line: str) -> None:
    """Prints a line, into a file too before the next run begins."""
    print(line, flush=True)


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
    say: Callable[[str], None] = say_at_once,
) -> Failures:
    """Runs what is not finished, one run after another.

    What a run prints goes to `WORKDIR/logs/`. If it fails, its last line is reported and the others
    still run; a network's evaluations need the network. Networks that another process is at work on
    come last, and are waited for.

    Args:
        jobs: the runs.
        study: where the runs are; its directory exists.
        keep_representations: whether representations, which are large and can be made again, stay
            after the last evaluation of their network.
        candidates: whether these are candidates for a learning rate, which may diverge: one that
            has, in another process, is not tried again.
        say: takes the lines about progress.
    """

    def is_over(run: Run) -> bool:
        return study.is_finished(run) or (candidates and rates.has_diverged(run, study))

    left = {job: [run for run in job.runs if not is_over(run)] for job in jobs}
    total = sum(len(job.runs) for job in left)
    say(f"{total} runs, {total - _count(left)} of them finished, {_count(left)} to do")
    clock = Clock()
    failures = Failures([], [])

    def work(job: Job, lock: IO[str]) -> None:
        while left[job]:
            run = left[job].pop(0)
            if job.train.name in failures.failed:
                failures.not_started.append(run.name)
            elif not is_over(run):  # Another process may have done it meanwhile.
                say(f"[{total - _count(left)}/{total}] {run.name}")
                start = time.monotonic()
                error = _run(job, run, study, lock)
                clock.add(job, run, time.monotonic() - start)
                if error:
                    failures.failed.append(run.name)
                    say(f"failed: {run.name}: {error}")
            if _count(left):
                rest = [(other, run) for other, runs in left.items() for run in runs]
                say(f"{len(rest)} to do, {duration(clock.remaining(rest))} left")
        if not keep_representations:
            _drop_representations(job, study)

    busy = []
    for job in left:
        with study.locked(job, wait=False) as lock:
            work(job, lock) if lock else busy.append(job)
    for job in busy:
        with study.locked(job, wait=True) as lock:
            work(job, lock)
    return failures


def _count(left: dict[Job, list[Run]]) -> int:
    return sum(map(len, left.values()))


def _run(job: Job, run: Run, study: StudyDirectory, lock: IO[str]) -> str | None:
    """Runs a program to its end; returns what went wrong, if anything did."""
    try:
        with open(study.log(run), "wb") as log:
            status = _status(study.command(job, run), log, lock)
    except OSError as error:
        return f"{study.log(run)} cannot be written: {error.strerror}"
    if status:
        last = study.last_line(run) or "it printed nothing"
        return f"{last} (exit status {status}; {os.fspath(study.log(run))})"
    if not study.is_finished(run):
        return f"ended without {run.result} (see {study.log(run)})"
    return None


def _status(command: list[str], log: IO[bytes], lock: IO[str]) -> int:
    """The exit status of a program that runs to its end; a signal to us ends it too."""
    with interruption.postponed():
        # In a session of its own, so that Ctrl-C reaches it through us, once. It keeps the lock if
        # we are killed and it is not.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
        try:
            return _wait(process)
        except BaseException:  # Whatever ends us must not leave it running behind us.
            process.terminate()
            process.wait()
            raise


def _wait(process: subprocess.Popen) -> int:
    """Waits for a program's end, and for a signal that asks for ours.

    Raises:
        interruption.Interrupted: a signal came.
    """
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(SECONDS_BETWEEN_LOOKS)
        if interruption.requested():
            raise interruption.Interrupted("the run at hand was stopped too")


def _drop_representations(job: Job, study: StudyDirectory) -> None:
    representations = study.workdir / job.train.name / "representations"
    if representations.is_dir() and all(study.is_finished(run) for run in job.runs):
        representations.rmtree()
