"""A program run as a user would, in a fork of a process that has imported TensorFlow.

TensorFlow has computed nothing before, so that the fork is as good as a new process, and a program
that refuses its input ends within a second.
"""

import atexit
import contextlib
import ctypes
import dataclasses
import importlib
import os
import pathlib
import re
import resource
import selectors
import signal
import sys
import tempfile
import time
import traceback
import weakref
from typing import NoReturn

# By module the name that a program's line begins with.
PROGRAMS = {
    "train": "train.py",
    "eval": "eval.py",
    "explore": "explore.py",
    "study": "study.py",
    "data.prepare": "data.prepare",
    "examples.finetune": "finetune.py",
}
_PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What a program is run under.

    Attributes:
        seconds: the time after which it has no end.
        environment: variables beyond the usual; None takes one away.
        largest_file: in bytes; files cannot grow beyond, as on a full disk. None for no limit.
        terminated_after: the seconds after which it gets SIGTERM; None for never.
        working_directory: below the trial's own.
    """

    seconds: float = 120.0
    environment: dict[str, str | None] = dataclasses.field(default_factory=dict)
    largest_file: int | None = None
    terminated_after: float | None = None
    working_directory: str = "."


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        status: as a shell gives it, negative for a signal; None if it did not end in time.
        output, errors: what it printed.
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


def run(
    program: str, arguments: tuple[str, ...], directory: pathlib.Path, conditions: Conditions
) -> Outcome:
    """Runs a program in a fork of this process, and kills its whole group in the end.

    Args:
        program: one of `PROGRAMS`.
        arguments: the command line; `{tmp}` stands for the directory.
        directory: what the program works in; `TMPDIR` below it is where its temporary files go.
        conditions: what it is run under.
    """
    (directory / "TMPDIR").mkdir(exist_ok=True)
    pipes = [os.pipe(), os.pipe()]
    begin = time.monotonic()
    child = os.fork()
    if not child:
        _be(program, arguments, directory, conditions, [end for _, end in pipes])
    for _, end in pipes:
        os.close(end)
    try:
        status, printed = _follow(child, [end for end, _ in pipes], begin, conditions)
    finally:
        for end, _ in pipes:
            os.close(end)
    return Outcome(status, *printed, time.monotonic() - begin)


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Lets the system send this process a signal when the process that made it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _follow(
    child: int, pipes: list[int], begin: float, conditions: Conditions
) -> tuple[int | None, list[str]]:
    """Reads what a child prints until it ends: its status, and what it printed into each pipe."""
    printed = {pipe: bytearray() for pipe in pipes}
    terminate_at = begin + (conditions.terminated_after or 1e9)
    selector = selectors.DefaultSelector()
    for pipe in pipes:
        os.set_blocking(pipe, False)
        selector.register(pipe, selectors.EVENT_READ)

    def read() -> None:
        for key, _ in selector.select(0.02) if selector.get_map() else ():
            content = os.read(key.fd, 1 << 16)
            printed[key.fd] += content
            if not content:
                selector.unregister(key.fd)
        if not selector.get_map():
            time.sleep(0.005)

    ended = None
    try:
        while ended is None and time.monotonic() < begin + conditions.seconds:
            if time.monotonic() > terminate_at:
                os.kill(child, signal.SIGTERM)
                terminate_at = begin + 1e9
            read()
            pid, status = os.waitpid(child, os.WNOHANG)
            ended = os.waitstatus_to_exitcode(status) if pid else None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if ended is None:
            os.waitpid(child, 0)
    deadline = time.monotonic() + 1
    while selector.get_map() and time.monotonic() < deadline:
        read()
    return ended, [printed[pipe].decode(errors="replace") for pipe in pipes]


def _be(
    program: str,
    arguments: tuple[str, ...],
    directory: pathlib.Path,
    conditions: Conditions,
    pipes: list[int],
) -> NoReturn:
    """Becomes the program, in the fork."""
    status = 1
    try:
        os.setpgid(0, 0)
        die_with_parent()
        _forget_the_parents_end()
        for number, pipe in zip((1, 2), pipes, strict=True):
            os.dup2(pipe, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        os.chdir(directory / conditions.working_directory)
        usual = {name: str(directory) for name in ("HOME", "XDG_CACHE_HOME")}
        for name, value in {**usual, **conditions.environment}.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value.replace("{tmp}", str(directory))
        os.environ["TMPDIR"] = str(directory / "TMPDIR")
        tempfile.tempdir = None
        sys.argv = [PROGRAMS[program], *(a.replace("{tmp}", str(directory)) for a in arguments)]
        if conditions.largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (conditions.largest_file,) * 2)
        module = importlib.import_module(program)
        if program.startswith("examples."):
            module.main()
        else:
            from training import command_line

            command_line.run(PROGRAMS[program], module.main)
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status or 0)


def _forget_the_parents_end() -> None:
    """What the parent does when it ends is not for a fork to do, but what the program asks for."""
    atexit._clear()
    for finalizer in list(weakref.finalize._registry):
        finalizer.detach()
    weakref.finalize._registered_with_atexit = False
