"""Ends one of two machines that train together: SIGKILL for either, SIGTERM for the first.

    python -m tests.soak_workers

Two processes on this machine are the machines. The survivor must end with its line within a
minute; the next pair goes on, and checkpoints, metrics, export, representations and
results must be those of an undisturbed pair, bit for bit. Ends with status 1 if they are not.
"""

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import argparse
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from tests import command_line, pictures
from tests.pretext import two_workers
from tests.soak import Run, check, compare

ROWS = 5
"""Lines of metrics.csv, its header included, after which a worker gets its signal."""


def start(run: Run) -> list[subprocess.Popen]:
    """Starts the pretraining's two workers."""
    program = [sys.executable, str(command_line.ROOT / "train.py")]
    arguments = [*run.arguments["train.py"], "--strategy=multi_worker"]
    return [
        subprocess.Popen(
            [*program, *arguments],
            env=command_line.ENVIRONMENT | configuration,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for configuration in two_workers.configurations()
    ]


def finish(run: Run) -> None:
    """Runs a pair of workers to the end, and probes what they leave."""
    for worker in start(run):
        _, error = worker.communicate()
        check(worker.returncode == 0, error)
    run.finish("eval.py")


def end(run: Run, number: int, sent: signal.Signals, status: int) -> None:
    """Starts a pair, sends one of it a signal in training, and waits for both ends."""
    workers = start(run)
    while run.rows < ROWS:
        check(workers[0].poll() is None, "the first worker ended by itself")
        time.sleep(0.005)
    workers[number].send_signal(sent)
    begin = time.monotonic()
    seconds = {}
    for worker in (workers[number], workers[1 - number]):
        try:
            _, error = worker.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            sys.exit(f"{sent.name} to worker {number}: a worker did not end within a minute")
        seconds[worker] = time.monotonic() - begin
    check(workers[number].returncode == status, f"status {workers[number].returncode}")
    line = error.splitlines()[-1]
    check(line.startswith("train.py: another worker is gone"), line)
    own, other = seconds.values()
    print(
        f"{sent.name} to worker {number}: it ended after {own:.1f} s, the other after {other:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--directory", type=pathlib.Path, help="default: a temporary one")
    arguments = parser.parse_args()
    root = arguments.directory or pathlib.Path(tempfile.mkdtemp(prefix="soak"))
    images = root / "images"
    pictures.write_labelled_folder(images)
    undisturbed = Run(root / "undisturbed", images)
    finish(undisturbed)
    cases = [(0, signal.SIGKILL, -9), (1, signal.SIGKILL, -9), (0, signal.SIGTERM, 143)]
    for number, sent, status in cases:
        run = Run(root / f"{sent.name}{number}", images)
        end(run, number, sent, status)
        finish(run)
        compare(run, undisturbed, whole=True)
        print("the next pair: the undisturbed pair's bits", flush=True)


if __name__ == "__main__":
    main()
