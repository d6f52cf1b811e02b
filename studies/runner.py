"""Running a plan: each run a process of its own, what is finished left alone, failures reported."""

import collections
import contextlib
import dataclasses
import os
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from etils import epath

from programs import interruption
from studies import flag_files
from studies.plan import Job, Run

PROGRAMS = pathlib.Path(__file__).parent.parent
# What `command` adds: where things are, which does not change a result.
PLACES = ("workdir", "data_dir", "saved_model", "representations_dir", "flagfile")

SECONDS_BETWEEN_LOOKS = 0.5


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a study is.

    Attributes:
        workdir: the directory that holds all run directories.
        data_dir: the data sets', for every run; empty where the flag files say it.
    """

    workdir: epath.Path
    data_dir: str = ""

    def command(self, job: Job, run: Run) -> list[str]:
        """The command line of a run of a job."""
        network = self.workdir / job.train.name
        places = {"workdir": self.workdir / run.name}
        if run.program == "eval.py":
            places["saved_model"] = network / job.train.result
            # The probes of one network share what they are trained on.
            places["representations_dir"] = network / "representations"
        if self.data_dir:
            places["data_dir"] = self.data_dir
        where = [f"--{name}={value}" for name, value in places.items()]
        return [sys.executable, os.path.relpath(PROGRAMS / run.program), *run.flags, *where]

    def is_finished(self, run: Run) -> bool:
        """Whether the run's result is there, from the flags that the plan names for it."""
        directory = self.workdir / run.name
        if not (directory / run.result).exists() or not (directory / "flags.cfg").exists():
            return False
        there = flag_files.read((directory / "flags.cfg").read_text().splitlines())
        wanted = flag_files.expand(run.flags)
        return all(
            name in there and flag_files.same(there[name], value)
            for name, value in wanted.items()
            if name not in PLACES
        )


class Failures(NamedTuple):
    """Names of runs that failed, and of evaluations without a network because of that."""

    failed: list[str]
    not_started: list[str]


def command_lines(jobs: list[Job], place: Place) -> list[str]:
    """What is left to do, for a shell: a line per network, its evaluations joined on by `&&`."""
    lines = []
    for job in jobs:
        open_runs = [run for run in job.runs if not place.is_finished(run)]
        if open_runs:
            lines.append(" && ".join(shlex.join(place.command(job, run)) for run in open_runs))
    return lines


def say_at_once(line: str) -> None:
    """Prints a line, into a file too before the next run begins."""
    print(line, flush=True)


def run_all(
    jobs: list[Job],
    place: Place,
    *,
    keep_representations: bool = False,
    say: Callable[[str], None] = say_at_once,
) -> Failures:
    """Runs what is not finished, one run after another.

    What a run prints goes to `WORKDIR/logs/`. If it fails, its last line is reported and the others
    go on; a network's evaluations need the network.

    Args:
        jobs: the runs.
        place: where the study is.
        keep_representations: whether representations, which are large and can be made again, stay
            after the last evaluation of their network.
        say: takes the lines about progress.
    """
    pending = [(job, run) for job in jobs for run in job.runs if not place.is_finished(run)]
    total = sum(len(job.runs) for job in jobs)
    say(f"{total} runs, {total - len(pending)} of them finished, {len(pending)} to do")
    clock = Clock()
    failures = Failures([], [])
    for number, (job, run) in enumerate(pending):
        if job.train.name in failures.failed:
            failures.not_started.append(run.name)
        else:
            say(f"[{total - len(pending) + number + 1}/{total}] {run.name}")
            start = time.monotonic()
            error = _run(job, run, place)
            clock.add(job, run, time.monotonic() - start)
            if error:
                failures.failed.append(run.name)
                say(f"failed: {run.name}: {error}")
        left = pending[number + 1 :]
        if left:
            say(f"{len(left)} to do, {duration(clock.remaining(left))} left")
        if not keep_representations:
            _drop_representations(job, place)
    return failures


class Clock:
    """Guesses how long runs will take from how long similar ones took."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, ...], list[float]] = collections.defaultdict(list)

    def add(self, job: Job, run: Run, seconds: float) -> None:
        """Notes how long a run took."""
        for likeness in self._likenesses(job, run):
            self._seconds[likeness].append(seconds)

    def remaining(self, runs: list[tuple[Job, Run]]) -> float | None:
        """Seconds for all of these; None before there is anything to guess from."""
        total = 0.0
        for job, run in runs:
            known = [
                likeness for likeness in self._likenesses(job, run) if likeness in self._seconds
            ]
            if not known:
                return None
            total += sum(self._seconds[known[0]]) / len(self._seconds[known[0]])
        return total

    def _likenesses(self, job: Job, run: Run) -> list[tuple[str, ...]]:
        """From the closest to the loosest: the same but for the seed, flag file, program, any."""
        without_seed = tuple(flag for flag in run.flags if not flag.startswith("--seed="))
        of_network = tuple(flag for flag in job.train.flags if not flag.startswith("--seed="))
        return [
            (run.program, *without_seed, *of_network),
            (run.program, *without_seed),
            (run.program, run.flags[0]),
            (run.program,),
            (),
        ]


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "an unknown time"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"


def _run(job: Job, run: Run, place: Place) -> str | None:
    """Runs a program to its end; returns what went wrong, if anything did."""
    log = place.workdir / "logs" / (run.name.replace("/", "-") + ".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file, interruption.postponed():
        # In a session of its own, so that Ctrl-C reaches it through us, once.
        process = subprocess.Popen(
            place.command(job, run),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            status = _wait(process)
        except BaseException:  # Whatever ends us must not leave it running behind us.
            process.terminate()
            process.wait()
            raise
    if status:
        lines = log.read_text().replace("\r", "\n").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "it printed nothing")
        return f"{last.strip()} (exit status {status}; {log})"
    if not place.is_finished(run):
        return f"ended without {run.result} (see {log})"
    return None


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


def _drop_representations(job: Job, place: Place) -> None:
    representations = place.workdir / job.train.name / "representations"
    if representations.exists() and all(place.is_finished(run) for run in job.runs):
        representations.rmtree()
