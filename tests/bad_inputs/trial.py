"""One trial: a program with some input, and whether it ended as it should.

A process imports TensorFlow once and forks for every trial, before TensorFlow has computed
anything: a program that refuses its input ends within a second.
"""

import atexit
import contextlib
import dataclasses
import importlib
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable

Prepare = Callable[[pathlib.Path], None]
PROGRAMS = {
    "train": "train.py",
    "eval": "eval.py",
    "study": "study.py",
    "data.prepare": "data.prepare",
}
# A line after the program's name that says something, and none of these.
NOT_A_LINE = re.compile(r"Traceback|in user code|Error: |\{\{|\[Op:|tensorflow/core")


@dataclasses.dataclass(frozen=True)
class Trial:
    """A command line and what has to come of it.

    Attributes:
        name: tells it from the others.
        program: one of `PROGRAMS`.
        arguments: the command line; `{tmp}` stands for the trial's own directory.
        refused: whether the program has to refuse it, with one line and status 1; else it has to
            do it, with status 0. None if either is right.
        says: a pattern that the line, or any line of what was done, has to match.
        prepare: makes the input in the trial's own directory.
        corrected: a second command line that has to be done after the first, in the same
            directory; None for no second one.
        absent: files below the trial's directory that must not be there afterwards.
        environment: variables beyond the usual.
        seconds: the time after which a trial has no end.
    """

    name: str
    program: str
    arguments: tuple[str, ...]
    refused: bool | None = True
    says: str = ""
    prepare: Prepare | None = None
    corrected: tuple[str, ...] | None = None
    absent: tuple[str, ...] = ()
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = 120.0


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        status: as a shell gives it; None if it did not end in time.
        output, errors: what it printed, the progress bars' lines apart.
        seconds: how long it took.
    """

    status: int | None
    output: str
    errors: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        """The lines of its standard error that are not blank."""
        return [line for line in re.split(r"[\r\n]+", self.errors) if line.strip()]


def fault(trial: Trial, directory: pathlib.Path) -> str | None:
    """What is wrong with the way in which a program takes a trial; None if all is right."""
    if trial.prepare:
        trial.prepare(directory)
    outcome = run(trial, trial.arguments, directory)
    found = _judge(trial, outcome) or _leftovers(trial, directory)
    if found or trial.corrected is None:
        return found
    second = dataclasses.replace(trial, refused=False, says="")
    found = _judge(second, run(trial, trial.corrected, directory))
    return found and f"the corrected command: {found}"


def _judge(trial: Trial, outcome: Outcome) -> str | None:
    last = outcome.lines[-1][:300] if outcome.lines else "no line"
    if outcome.status is None:
        return f"no end within {trial.seconds:.0f} s; {last}"
    if "Traceback (most" in outcome.errors or "in user code" in outcome.errors:
        return f"a traceback: {last}"
    refused = outcome.status == 1
    if not refused and outcome.status != 0:
        return f"status {outcome.status}: {last}"
    if trial.refused is not None and refused != trial.refused:
        return f"refused: {last}" if refused else f"accepted; {last}"
    text = outcome.output + outcome.errors
    if refused:
        own = [line for line in outcome.lines if line.startswith(f"{PROGRAMS[trial.program]}: ")]
        if len(own) != 1 or outcome.lines[-1] != own[0]:
            return f"not one line of the program's own but {len(own)}: {last}"
        text = own[0]
        if NOT_A_LINE.search(text):
            return f"a line that says nothing to a user: {last}"
        if len(text) > 1500:
            return f"a line of {len(text)} characters: {last}"
    if trial.says and not re.search(trial.says, text):
        return f"does not say /{trial.says}/: {last}"
    return None


def _leftovers(trial: Trial, directory: pathlib.Path) -> str | None:
    left = [name for name in trial.absent if list(directory.glob(name))]
    left += [f"TMPDIR/{path.name}" for path in (directory / "TMPDIR").iterdir()]
    return f"left behind: {', '.join(left)}" if left else None


def run(trial: Trial, arguments: tuple[str, ...], directory: pathlib.Path) -> Outcome:
    """Runs the program in a fork of this process; the whole group is killed if it does not end."""
    (directory / "TMPDIR").mkdir(exist_ok=True)
    files = [directory / "stdout", directory / "stderr"]
    begin = time.monotonic()
    child = os.fork()
    if not child:
        _be_the_program(trial, arguments, directory, files)
    status = _wait(child, begin + trial.seconds)
    output, errors = (file.read_text(errors="replace") for file in files)
    for file in files:
        file.unlink()
    return Outcome(status, output, errors, time.monotonic() - begin)


def _wait(child: int, deadline: float) -> int | None:
    ended = None
    while ended is None and time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        ended = os.waitstatus_to_exitcode(status) if pid else None
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if ended is None:
        os.waitpid(child, 0)
    return ended


def _be_the_program(
    trial: Trial, arguments: tuple[str, ...], directory: pathlib.Path, files: list[pathlib.Path]
) -> None:
    """In the child: never returns."""
    status = 1
    try:
        os.setpgid(0, 0)
        for number, file in zip((1, 2), files, strict=True):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        os.chdir(directory)
        os.environ |= {"TMPDIR": str(directory / "TMPDIR"), "XDG_CACHE_HOME": str(directory)}
        os.environ |= trial.environment
        tempfile.tempdir = None
        sys.argv = [
            PROGRAMS[trial.program],
            *(a.replace("{tmp}", str(directory)) for a in arguments),
        ]
        from programs import command_line

        program = importlib.import_module(trial.program)
        command_line.run(PROGRAMS[trial.program], program.main)
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()  # What a program's end does.
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status or 0)


def carry_out(trial: Trial) -> tuple[str | None, float]:
    """A trial in a directory of its own, which is removed: its fault, and its seconds."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="trial"))
    begin = time.monotonic()
    try:
        return fault(trial, directory), time.monotonic() - begin
    finally:
        shutil.rmtree(directory, ignore_errors=True)
