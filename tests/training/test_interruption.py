"""Signals, sent to small programs that do nothing else than wait for them."""

import json
import signal
import socket
import subprocess
import sys
import threading

import pytest

from tests.command_line import ENVIRONMENT, ROOT
from training import interruption

PROGRAM = """
import time
from training import interruption

interruption.GRACE_SECONDS = {grace}
interruption.install("program")

def wait():
    print("ready", flush=True)
    for _ in range(3000):
        time.sleep(0.01)

def wait_until_requested():
    print("ready", flush=True)
    while not interruption.requested():
        time.sleep(0.01)
    print("saving", flush=True)

try:
{body}
except interruption.Interrupted as interrupted:
    interruption.leave(str(interrupted))
print("done", flush=True)
"""


def stop(body: str, *signals: signal.Signals, grace: float = 100.0) -> tuple[int, str, str]:
    """Runs a body, sends signals when it is ready for each; its status, output and last words."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=lines, grace=grace)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    output = ""
    for number in signals:
        output += process.stdout.readline()
        process.send_signal(number)
    rest, error = process.communicate(timeout=600)
    return process.returncode, output + rest, error


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_ends_at_once_where_nothing_is_to_be_saved(number, status):
    line = f"program: stopped by {number.name}; the same command resumes from there\n"
    assert stop("wait()", number) == (status, "ready\n", line)


def test_a_safe_point_saves_and_says_so():
    body = (
        "with interruption.postponed():\n"
        "    wait_until_requested()\n"
        "    time.sleep(2.5)\n"  # Longer than the grace: there is time for saving.
        "    raise interruption.Interrupted('step 3 is saved')"
    )
    assert stop(body, signal.SIGTERM, grace=2.0) == (
        143,
        "ready\nsaving\n",
        "program: stopped by SIGTERM: step 3 is saved; the same command resumes from there\n",
    )


def test_a_run_that_comes_to_no_safe_point_ends_after_the_grace():
    status, output, error = stop(
        "with interruption.postponed():\n    wait()", signal.SIGTERM, grace=0.2
    )
    assert (status, output) == (143, "ready\n")
    assert error.count("\n") == 1


def test_a_second_signal_ends_at_once():
    body = "with interruption.postponed():\n    wait_until_requested()\n    time.sleep(30)"
    status, output, error = stop(body, signal.SIGINT, signal.SIGINT)
    assert (status, output) == (130, "ready\nsaving\n")
    assert error.count("\n") == 1


def test_a_signal_is_not_forgotten_behind_the_last_safe_point():
    body = (
        "with interruption.postponed():\n"
        "    print('ready', flush=True)\n"
        "    while interruption._State.requested is None:\n"
        "        time.sleep(0.01)"
    )
    status, output, _ = stop(body, signal.SIGTERM)
    assert (status, output) == (143, "ready\n")


def test_without_a_signal_nothing_happens():
    assert stop("with interruption.postponed():\n    assert not interruption.requested()") == (
        0,
        "done\n",
        "",
    )


HANDLERS_OF_OTHERS = """
import ctypes, signal, time
handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda number: None)

def meet():
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.signal(signal.SIGTERM, ctypes.cast(handler, ctypes.c_void_p))
    time.sleep(0.5)
    wait()

interruption.with_own_handlers(meet)
"""


def test_a_call_that_takes_over_sigterm_and_waits_for_ever():
    status, _, error = stop(HANDLERS_OF_OTHERS.strip(), signal.SIGTERM)
    assert status == 143
    assert error.startswith("program: stopped by SIGTERM")


def test_a_call_that_takes_too_long():
    with pytest.raises(TimeoutError):
        interruption.with_own_handlers(threading.Event().wait, seconds=0.01)
    assert interruption.with_own_handlers(lambda: 7) == 7
    with pytest.raises(KeyError):
        interruption.with_own_handlers(lambda: {}[0])


WORKER = """
from training import interruption
interruption.install("program")
from training import strategies
strategies.build("multi_worker")
import time
print("ready", flush=True)
for _ in range(3000):
    time.sleep(0.01)
"""


@pytest.mark.parametrize("number", [1, 2])
def test_one_of_several_machines(number):
    """While it waits for another one, and when TensorFlow has set its own handler for SIGTERM."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    workers = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    configuration = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 0}}
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER],
        env=ENVIRONMENT | {"TF_CONFIG": json.dumps(configuration)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    waits = f"{workers[0]} waits for {workers[-1]} to begin"
    assert process.stdout.readline().strip() == ("ready" if number == 1 else waits)
    process.terminate()
    _, error = process.communicate(timeout=600)
    assert process.returncode == 143
    assert error.splitlines()[-1].startswith("program: stopped by SIGTERM")
