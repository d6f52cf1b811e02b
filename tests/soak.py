"""Kills the programs again and again, and holds what comes out against an undisturbed run.

    python -m tests.soak --kills=20

SIGKILL comes at random moments and at chosen ones: while a checkpoint is written, at the export,
in the extraction of representations, while probes are fitted. After every kill, whatever passes
for whole must be; and when the same command has at last been left alone, checkpoints, metrics,
export, representations and results must be those of the undisturbed run, bit for bit. (Times, and
the export's path and fingerprint, are no part of that.) Ends with status 1 at the first difference.
"""

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import argparse
import dataclasses
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tests import command_line, pictures

TRAIN = [
    "--architecture=vgg19_bn",
    "--widening_factor=1",
    "--resize_size=36",
    "--crop_size=32",
    "--augmentation=crop",
    "--batch_size=8",
    "--epochs=2",
    "--warmup_epochs=0",
    "--log_every_steps=2",
    "--checkpoint_every_steps=2",
]
EVAL = ["--train_split=trainval", "--val_split=test", "--batch_size=4"]


@dataclasses.dataclass(frozen=True)
class Moment:
    """When to kill.

    Attributes:
        name: what is going on then.
        program: `train.py` or `eval.py`.
        begins: whether it has begun, told from the run's directories at the start and now.
        seconds: the kill comes up to so much later.
    """

    name: str
    program: str
    begins: Callable[["Run", int], bool]
    seconds: float


class Run:
    """The directories of one pretraining and its probes, and the commands that fill them."""

    def __init__(self, root: pathlib.Path, images: pathlib.Path) -> None:
        self.pretraining = root / "pretraining"
        self.probes = root / "probes"
        self.export = self.pretraining / "saved_model"
        data = f"--data_dir={images}"
        self.arguments = {
            "train.py": [*TRAIN, data, f"--workdir={self.pretraining}"],
            "eval.py": [*EVAL, data, f"--workdir={self.probes}", f"--saved_model={self.export}"],
        }

    @property
    def rows(self) -> int:
        path = self.pretraining / "metrics.csv"
        return path.read_text().count("\n") if path.exists() else 0

    def any(self, pattern: str) -> bool:
        """Whether there is such a file or directory, probes' or pretraining's."""
        return any(next(root.glob(pattern), None) for root in (self.pretraining, self.probes))

    def finish(self, program: str) -> None:
        command_line.run(program, *self.arguments[program])

    def weights(self) -> dict[str, np.ndarray]:
        """The last checkpoint, as TensorFlow finds it."""
        latest = tf.train.latest_checkpoint(self.pretraining / "checkpoints")
        return tensors(latest) if latest else {}

    def exported(self) -> dict[str, np.ndarray]:
        """The export's variables; it must load if it is there."""
        if not self.export.exists():
            return {}
        loaded = tf.saved_model.load(str(self.export))
        return {str(number): value.numpy() for number, value in enumerate(loaded.variables)}

    def representations(self) -> dict[str, bytes]:
        """What counts as extracted, by file: as many rows as the headers say."""
        found = {}
        for header_path in self.probes.glob("representations/*/header.json"):
            header = json.loads(header_path.read_text())
            for path in sorted(header_path.parent.glob("*.*[0-9]")):
                features = header["features"].get(path.stem, 1)
                length = header["rows"] * features * np.dtype(path.suffix[1:]).itemsize
                content = path.read_bytes()[:length]
                check(len(content) == length, f"{path} is shorter than its header says")
                found[f"{header_path.parent.name}/{path.name}"] = content
        return found

    def results(self) -> dict[str, object]:
        """results.json without what may differ."""
        path = self.probes / "results.json"
        if not path.exists():
            return {}
        results = json.loads(path.read_text())
        for name in ("saved_model", "fingerprint"):
            results.pop(name)
        for layer in results["layers"].values():
            layer.pop("seconds")
        return results


def tensors(checkpoint: str) -> dict[str, np.ndarray]:
    """All of a checkpoint; reading it holds it against its checksums."""
    reader = tf.train.load_checkpoint(checkpoint)
    names = [name for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name]
    return {name: reader.get_tensor(name) for name in names}


MOMENTS = [
    Moment("starting to train", "train.py", lambda run, rows: True, 12.0),
    Moment("training", "train.py", lambda run, rows: run.rows > rows, 1.0),
    Moment("writing a checkpoint", "train.py", lambda run, rows: run.any("checkpoints/inc*"), 0.02),
    Moment("renaming one", "train.py", lambda run, rows: run.any("checkpoints/inc*.index"), 0.002),
    Moment("exporting", "train.py", lambda run, rows: run.any("saved_model*"), 0.7),
    Moment("starting to probe", "eval.py", lambda run, rows: True, 12.0),
    Moment("extracting", "eval.py", lambda run, rows: run.any("*/train/header*"), 1.0),
    Moment("extracting on", "eval.py", lambda run, rows: run.any("*/val/header*"), 0.2),
    Moment("fitting", "eval.py", lambda run, rows: run.any("*/val/header.json"), 4.0),
    Moment("fitting on", "eval.py", lambda run, rows: run.any("results.*"), 4.0),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--directory", type=pathlib.Path, help="default: a temporary one")
    arguments = parser.parse_args()
    root = arguments.directory or pathlib.Path(tempfile.mkdtemp(prefix="soak"))
    print(f"in {root}", flush=True)
    images = root / "images"
    pictures.write_labelled_folder(images)
    undisturbed = Run(root / "undisturbed", images)
    for program in undisturbed.arguments:
        undisturbed.finish(program)
    choices = random.Random(arguments.seed)
    total = 0
    for first in range(0, arguments.kills, len(MOMENTS)):
        number = first // len(MOMENTS)
        run = Run(root / f"killed{number}", images)
        kills = min(arguments.kills - first, len(MOMENTS))
        moments = [MOMENTS[at] for at in sorted(choices.sample(range(len(MOMENTS)), kills))]
        for program in run.arguments:
            for moment in moments:
                if moment.program == program:
                    killed = kill(run, moment, moment.seconds * choices.random())
                    total += killed
                    print(f"{moment.name}: {'killed' if killed else 'done before'}", flush=True)
                    compare(run, undisturbed, whole=False)
            run.finish(program)
        compare(run, undisturbed, whole=True)
        print(f"run {number}, {total} kills up to here: the undisturbed run's bits", flush=True)


def kill(run: Run, moment: Moment, delay: float) -> bool:
    """Starts the moment's program and kills it then; False if it had ended before."""
    process = subprocess.Popen(
        [sys.executable, str(command_line.ROOT / moment.program), *run.arguments[moment.program]],
        env=command_line.ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    rows = run.rows
    while process.poll() is None and not moment.begins(run, rows):
        time.sleep(0.0005)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    _, error = process.communicate()
    check(process.returncode in (0, -signal.SIGKILL), error)
    return process.returncode != 0


def compare(run: Run, undisturbed: Run, whole: bool) -> None:
    """Checks that what a run has is what the undisturbed one has; if `whole`, all of it."""
    for index in (run.pretraining / "checkpoints").glob("ckpt-*.index"):
        tensors(str(index.with_suffix("")))
    exported, expected = run.exported(), undisturbed.exported()
    check(not exported or equal(exported, expected), "the export differs")
    extracted, all_extracted = run.representations(), undisturbed.representations()
    for name, content in extracted.items():
        check(all_extracted[name].startswith(content), f"representations {name} differ")
    results = run.results()
    check(not results or results == undisturbed.results(), "results.json differs")
    if whole:
        check(equal(run.weights(), undisturbed.weights()), "the weights differ")
        check(bool(exported), "there is no export")
        check(extracted == all_extracted, "representations are missing")
        check(bool(results), "there is no results.json")
        metrics = [of.pretraining / "metrics.csv" for of in (run, undisturbed)]
        check(metrics[0].read_bytes() == metrics[1].read_bytes(), "metrics.csv differs")
        check(not run.any("**/*incomplete*"), "something incomplete was left behind")


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(value, other[name]) for name, value in one.items()
    )


def check(holds: bool, message: str) -> None:
    if not holds:
        sys.exit(message)


if __name__ == "__main__":
    main()
