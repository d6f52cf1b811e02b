"""Ends one of two machines that work together, again and again.

    python -m tests.soak_workers --kills=10

Two processes on this machine are the machines. In pretraining each gets SIGKILL once, and the first
SIGTERM; in evaluation, either gets SIGKILL at random moments, and the same pair is started again
and again. The survivor must end with its line within a minute; the last pair is left alone, and
checkpoints, metrics, export, representations and results must be those of an undisturbed pair, bit
for bit. Ends with status 1 if they are not.
"""

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import argparse
import json
import pathlib
import random
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
PROBES = {
    "lbfgs": (),
    "knn": ("--probe=knn",),
    "mlp": (
        *("--probe=mlp", "--epochs=20", "--train_batch_size=8", "--decay_epochs=10"),
        "--checkpoint_every_steps=2",
    ),
}


def start(program: str, arguments: list[str]) -> list[subprocess.Popen]:
    """Starts two workers."""
    return [
        subprocess.Popen(
            [
                *(sys.executable, str(command_line.ROOT / program)),
                *(*arguments, "--strategy=multi_worker"),
            ],
            env=command_line.ENVIRONMENT | configuration,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for configuration in two_workers.configurations()
    ]


def leave_alone(workers: list[subprocess.Popen]) -> None:
    """Waits for a pair's end, which must be a good one."""
    for worker in workers:
        _, error = worker.communicate()
        check(worker.returncode == 0, error)


def pretrain(run: Run) -> None:
    """Runs a pair of workers to the end, and probes what they leave."""
    leave_alone(start("train.py", run.arguments["train.py"]))
    run.finish("eval.py")


def end(workers: list[subprocess.Popen], number: int, sent: signal.Signals) -> tuple[int, str]:
    """Sends a worker a signal; its status, and the line of the other, "" if that was finished."""
    workers[number].send_signal(sent)
    begin = time.monotonic()
    seconds = []
    for worker in (workers[number], workers[1 - number]):
        try:
            _, error = worker.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            for each in workers:
                each.kill()
            sys.exit(f"{sent.name} to worker {number}: a worker did not end within a minute")
        seconds.append(time.monotonic() - begin)
    own, other = seconds
    print(
        f"{sent.name} to worker {number}: it ended after {own:.1f} s, the other after {other:.1f} s"
    )
    is_finished = workers[1 - number].returncode == 0
    return workers[number].returncode, "" if is_finished else error.splitlines()[-1]


def end_pretraining(run: Run, number: int, sent: signal.Signals, status: int) -> None:
    """Starts a pair and sends one of it a signal in training."""
    workers = start("train.py", run.arguments["train.py"])
    while run.rows < ROWS:
        check(workers[0].poll() is None, "the first worker ended by itself")
        time.sleep(0.005)
    own_status, line = end(workers, number, sent)
    check(own_status == status, f"status {own_status}")
    check(line.startswith("train.py: another worker is gone"), line)


class Evaluation:
    """One probe of an export by two workers, in a directory of its own."""

    def __init__(self, root: pathlib.Path, name: str, pretraining: Run) -> None:
        self.workdir = root / name
        self.arguments = [
            argument
            for argument in pretraining.arguments["eval.py"]
            if not argument.startswith("--workdir")
        ]
        self.arguments += [f"--workdir={self.workdir}", *PROBES[name]]

    def start(self) -> list[subprocess.Popen]:
        """Starts both workers; they have met when this returns."""
        file = self.workdir / "flags.cfg"
        before = file.stat().st_mtime_ns if file.exists() else None
        workers = start("eval.py", self.arguments)
        while not file.exists() or file.stat().st_mtime_ns == before:
            check(workers[0].poll() is None, "the first worker ended by itself")
            time.sleep(0.005)
        return workers

    def contents(self) -> dict[str, object]:
        """The bytes of all parts' files, and the results without what may differ."""
        made: dict[str, object] = {
            str(path.relative_to(self.workdir)): path.read_bytes()
            for path in self.workdir.glob("representations/*/part-*/*.*[0-9]")
        }
        results = json.loads((self.workdir / "results.json").read_text())
        for layer in results["layers"].values():
            layer.pop("seconds")
        return made | {"results": results}


def kill_evaluations(
    undisturbed: Evaluation, killed: Evaluation, kills: int, choices: random.Random
) -> None:
    """Kills either worker at a random moment, again and again, and compares what comes out."""
    begin = time.monotonic()
    leave_alone(undisturbed.start())
    seconds = time.monotonic() - begin
    for _ in range(kills):
        workers = killed.start()
        time.sleep(seconds * choices.random() / 2)  # Later starts find more of it done.
        _, line = end(workers, choices.randrange(2), signal.SIGKILL)
        check(not line or line.startswith("eval.py: another worker is gone"), line)
    leave_alone(killed.start())
    check(killed.contents() == undisturbed.contents(), "representations or results differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=10, help="in evaluations")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of these")
    parser.add_argument("--directory", type=pathlib.Path, help="default: a temporary one")
    arguments = parser.parse_args()
    root = arguments.directory or pathlib.Path(tempfile.mkdtemp(prefix="soak"))
    images = root / "images"
    pictures.write_labelled_folder(images)
    undisturbed = Run(root / "undisturbed", images)
    pretrain(undisturbed)
    choices = random.Random(arguments.seed)
    for number, name in enumerate(PROBES):
        pair = [Evaluation(root / kind, name, undisturbed) for kind in ("left_alone", "killed")]
        kill_evaluations(*pair, len(range(number, arguments.kills, len(PROBES))), choices)
        print(f"evaluation by {name}: the undisturbed pair's bits", flush=True)
    cases = [(0, signal.SIGKILL, -9), (1, signal.SIGKILL, -9), (0, signal.SIGTERM, 143)]
    for number, sent, status in cases:
        run = Run(root / f"{sent.name}{number}", images)
        end_pretraining(run, number, sent, status)
        pretrain(run)
        compare(run, undisturbed, whole=True)
        print("the next pair: the undisturbed pair's bits", flush=True)


if __name__ == "__main__":
    main()
