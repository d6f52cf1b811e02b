"""One trial: a program with some input, and whether it ended as it should."""

import dataclasses
import pathlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable

from tests.bad_inputs.forks import PROGRAMS, Conditions, Outcome, run

Prepare = Callable[[pathlib.Path], object]
# In a line that says something to a user there is none of these.
NOT_A_LINE = re.compile(
    r"Traceback|in user code|^\w+: (\w+Error|\w+Exception)\b|\{\{|\[Op:|tensorflow/core"
)
# Warnings, and what TensorFlow's own libraries write past all log levels.
LOGGED = re.compile(r"^([WEIF]\d{4} |WARNING:|\d{4}-\d\d-\d\d )")
LONGEST_LINE = 1500


@dataclasses.dataclass(frozen=True)
class Trial:
    """A command line and what has to come of it.

    Attributes:
        name: tells it from the others.
        program: one of `PROGRAMS`.
        arguments: the command line; `{tmp}` stands for the trial's own directory, in which the
            program works.
        refused: whether the program has to refuse it, with one line and status 1; else it has to
            do it, with status 0. None if either is right.
        says: a pattern that the line, or any line of what was done, has to match.
        prepare: makes the input in the trial's own directory.
        corrected: a second command line that has to be done after the first, in the same
            directory and without the conditions; None for no second one.
        repair: what is done to the input before the second.
        absent: files below the trial's directory that must not be there afterwards.
        conditions: what the program is run under.
        quick: whether it has to end before anything is computed; `make test` carries these out.
    """

    name: str
    program: str
    arguments: tuple[str, ...]
    refused: bool | None = True
    says: str = ""
    prepare: Prepare | None = None
    corrected: tuple[str, ...] | None = None
    repair: Prepare | None = None
    absent: tuple[str, ...] = ()
    conditions: Conditions = dataclasses.field(default_factory=Conditions)
    quick: bool = False


def carry_out(trial: Trial) -> tuple[str | None, float]:
    """A trial in a directory of its own, which is removed: its fault, if any, and its seconds."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="trial"))
    begin = time.monotonic()
    try:
        return fault(trial, directory), time.monotonic() - begin
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def fault(trial: Trial, directory: pathlib.Path) -> str | None:
    """What is wrong with the way in which a program takes a trial; None if all is right."""
    if trial.prepare:
        trial.prepare(directory)
    outcome = run(trial.program, trial.arguments, directory, trial.conditions)
    found = problem(trial, outcome) or _leftovers(trial, directory)
    if found or trial.corrected is None:
        return found
    if trial.repair:
        trial.repair(directory)
    corrected = dataclasses.replace(trial, refused=False, says="", conditions=Conditions())
    outcome = run(trial.program, trial.corrected, directory, corrected.conditions)
    found = problem(corrected, outcome)
    return found and f"the corrected command: {found}"


def problem(trial: Trial, outcome: Outcome) -> str | None:
    """What is wrong with how a program ended."""
    last = outcome.lines[-1][:400] if outcome.lines else "no line"
    if outcome.status is None:
        return f"no end within {trial.conditions.seconds:.0f} s; {last}"
    if "Traceback (most" in outcome.errors or "in user code" in outcome.errors:
        return f"a traceback: {last}"
    if trial.conditions.terminated_after is not None:
        if outcome.status != 143:
            return f"status {outcome.status} after SIGTERM: {last}"
        return None if "stopped by SIGTERM" in last else f"no line after SIGTERM: {last}"
    is_argparse = trial.program.startswith("examples.")
    refused = outcome.status == 1 or (is_argparse and outcome.status == 2)
    if not refused and outcome.status != 0:
        return f"status {outcome.status}: {last}"
    if trial.refused is not None and refused != trial.refused:
        return f"refused: {last}" if refused else f"accepted; {last}"
    text = outcome.output + outcome.errors
    if refused:
        text = last
        found = None if is_argparse else _not_a_line(PROGRAMS[trial.program], outcome)
        if found or NOT_A_LINE.search(text) or len(outcome.lines[-1]) > LONGEST_LINE:
            return f"{found or 'a line that tells a user nothing'}: {last}"
    if trial.says and not re.search(trial.says, text):
        return f"does not say /{trial.says}/: {last}"
    return None


def _not_a_line(name: str, outcome: Outcome) -> str | None:
    """Why what a program printed is not one line of its own."""
    own = [line for line in outcome.lines if line.startswith(f"{name}: ")]
    if len(own) != 1 or outcome.lines[-1] != own[0]:
        return f"not one line of the program's own but {len(own)}"
    # What a progress bar left has no end of line of its own kind.
    whole = [line for line in outcome.errors.split("\n") if line.strip() and "\r" not in line]
    others = [line for line in whole if line not in own and not LOGGED.match(line)]
    return f"other lines, such as {others[0][:200]!r}, and then" if others else None


def _leftovers(trial: Trial, directory: pathlib.Path) -> str | None:
    left = [name for name in trial.absent if list(directory.glob(name))]
    left += [f"TMPDIR/{path.name}" for path in (directory / "TMPDIR").iterdir()]
    return f"left behind: {', '.join(left)}" if left else None
