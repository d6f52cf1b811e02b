"""SIGTERM and Ctrl-C: a run ends soon, in order, and says how to resume it.

Everything that the programs leave on disk is whole at any moment, so that a run may end at any
moment. While nothing would be lost a signal ends it at once. Between `postponed()` and its end the
run has something to save: the signal is noted, and the run looks with `requested()` at its safe
points, saves and raises `Interrupted`. If it does not come to one within GRACE_SECONDS, or
if a second signal arrives, it ends as it is.

A thread of its own watches for signals, because Python runs its handlers only in the main thread
and between two of its instructions, and one call of TensorFlow can take minutes.
"""

import concurrent.futures
import contextlib
import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

from training import temporary_files

Result = TypeVar("Result")

GRACE_SECONDS = 8.0
SECONDS_BETWEEN_HANDLERS = 0.05
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(BaseException):
    """The run was asked to end and has saved what it had; not an error, so no `Exception`."""


class _State:
    """What the watching thread and the run tell each other; one per process, as signals are."""

    program = ""
    postponements = 0
    requested: signal.Signals | None = None
    acknowledged = False


def install(program: str) -> None:
    """Takes over SIGTERM and SIGINT for the rest of the process; call it in the main thread.

    Args:
        program: what the line on the terminal begins with.
    """
    _State.program = program
    # `end_with` leaves out Python's shutdown, at which libraries remove theirs.
    temporary_files.keep_together()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    # Python's part of every signal's handling, in whatever thread, writes its number there.
    signal.set_wakeup_fd(write_end)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
        signal.siginterrupt(number, False)
    threading.Thread(target=_watch, args=(read_end,), name="signals", daemon=True).start()


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """In here, signals do not end the run at once: its safe points ask for `requested()`.

    Raises:
        Interrupted: at the end, if a signal came and no safe point was left.
    """
    _State.postponements += 1
    try:
        yield
    finally:
        _State.postponements -= 1
    if requested():
        raise Interrupted


def with_own_handlers(call: Callable[[], Result], seconds: float = math.inf) -> Result:
    """Makes a call that may set signal handlers of its own, while those of `install` count.

    The call runs in another thread: handlers can only be set in the main one, which sets ours again
    and again, so that a call that waits for other machines can be ended. Call this in
    the main thread.

    Args:
        call: what to do, without anything that only the main thread can do.
        seconds: how long to wait for it.

    Raises:
        TimeoutError: it is not done by then; it may still be running.
    """
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    outcome: concurrent.futures.Future[Result] = concurrent.futures.Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    deadline = time.monotonic() + seconds
    threading.Thread(target=run, name="call", daemon=True).start()
    while True:
        done, _ = concurrent.futures.wait([outcome], timeout=SECONDS_BETWEEN_HANDLERS)
        for number, handler in handlers.items():
            signal.signal(number, handler)
            signal.siginterrupt(number, False)
        if done:
            return outcome.result()
        if time.monotonic() > deadline:
            raise TimeoutError


def requested() -> bool:
    """Whether to save and raise `Interrupted` now; once this is true, there is time for that."""
    if _State.requested is None:
        return False
    _State.acknowledged = True
    return True


def leave(saved: str = "") -> NoReturn:
    """Ends the process with the line of an interrupted run, and the status that shells give it.

    Args:
        saved: what the run saved.
    """
    number = _State.requested or signal.SIGINT
    line = (
        f"{_State.program}: stopped by {number.name}{saved and ': ' + saved}; "
        "the same command resumes from there\n"
    )
    # A progress bar may be standing on the terminal's line.
    end_with("\n" * sys.stderr.isatty() + line, 128 + number)


def fail(error: str) -> NoReturn:
    """Ends the process with an error's line, from any thread, whatever the others wait for."""
    end_with(f"{_State.program}: {error}\n", 1)


def end_with(line: str, status: int) -> NoReturn:
    """Ends the process with a line on its error stream, without Python's own shutdown.

    Python's own shutdown may wait for other threads and machines, and for ever: TensorFlow's
    iterators wait for a batch that is on its way, and its threads for a machine that is gone.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    temporary_files.remove()
    os.write(2, line.encode(errors="replace"))
    os._exit(status)


def _watch(read_end: int) -> None:
    while True:
        number = os.read(read_end, 1)[0]
        if number not in SIGNALS:
            continue
        first = _State.requested is None
        _State.requested = signal.Signals(number)
        if first and _State.postponements:
            second, _, _ = select.select([read_end], [], [], GRACE_SECONDS)
            if not second and _State.acknowledged:
                continue
        leave()
