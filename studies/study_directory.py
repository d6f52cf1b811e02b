"""The directory of a study: its commands, what is finished there, who is at work there."""

import contextlib
import dataclasses
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import IO

from etils import epath

from studies import flag_files, run_files
from studies.runs import Job, Run, parse_shard
from training import locks
from training.regular_files import is_regular

PROGRAMS = pathlib.Path(__file__).parent.parent
# Of a log, to find its last line in.
TAIL = 65536


@dataclasses.dataclass(frozen=True)
class StudyDirectory:
    """The directory of a study.

    Attributes:
        workdir: the directory that holds all run directories.
        data_dir: the data sets', for every run; empty where the flag files say it.
    """

    workdir: epath.Path
    data_dir: str = ""

    def make(self) -> None:
        """Makes the directory.

        Raises:
            ValueError: that cannot be.
        """
        if "://" in str(self.workdir):
            raise ValueError(f"--workdir={self.workdir}: name a directory of this machine")
        if self.workdir.exists() and not self.workdir.is_dir():
            raise ValueError(f"--workdir={self.workdir} is not a directory; name another")
        try:
            (self.workdir / "logs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"--workdir={self.workdir} cannot be written: {error.strerror}"
            ) from error

    def claim(self, shard: str) -> None:
        """Locks the study, or a shard of it, for this process.

        Raises:
            ValueError: another process is at work on it, or on a part of it.
        """
        index, count = parse_shard(shard)
        try:
            locks.hold(self.workdir, shared=count > 1)
            if count > 1:
                own = self.workdir / "logs" / f"shard{index}of{count}"
                own.mkdir(exist_ok=True)
                locks.hold(own)
        except ValueError as error:
            raise ValueError(
                f"--workdir={self.workdir}: another study.py is at work there"
                f"{f' on --shard={shard}' if count > 1 else ''}; wait for it to end, or give each "
                "a part of its own with --shard"
            ) from error

    @contextlib.contextmanager
    def locked(self, job: Job) -> Iterator[IO[str] | None]:
        """Keeps a network and its evaluations from other processes; None if one of them has it."""
        with locks.locked(self.workdir / "logs" / f"{job.train.name}.lock", wait=False) as file:
            yield file

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

    def log(self, run: Run) -> epath.Path:
        """What a run prints."""
        return self.workdir / "logs" / (run.name.replace("/", "-") + ".log")

    def last_line(self, run: Run) -> str:
        """The last line of a run's log; empty if there is none."""
        log = self.log(run)
        if not is_regular(log):
            return ""
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().length - TAIL))
            lines = file.read().decode(errors="replace").replace("\r", "\n").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def is_finished(self, run: Run) -> bool:
        """Whether the run's result is there and whole, from the flags that the plan has for it."""
        result = self.workdir / run.name / run.result
        if run.program == "train.py":
            return _is_export(result) and self.was_begun(run)
        try:
            run_files.read_results(result)
        except ValueError:
            return False
        return self.was_begun(run)

    def was_begun(self, run: Run) -> bool:
        """Whether the run's directory has the flags that the plan has for it."""
        try:
            there = run_files.read_flags(self.workdir / run.name / "flags.cfg")
        except ValueError:
            return False
        return flag_files.agree(there, flag_files.expand(run.flags))


def _is_export(directory: epath.Path) -> bool:
    model = directory / "saved_model.pb"
    beside = directory.with_name(directory.name + ".incomplete")
    return is_regular(model) and model.stat().length > 0 and not beside.exists()
