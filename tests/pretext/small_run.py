"""A training run of seconds, on any devices: what the loop's tests compare with each other.

    python -m tests.pretext.small_run FOLDER OUTPUT STRATEGY LOGICAL_CPUS CASE ...

trains each case, by name from `CASES`, on the folder's images in a process of its own and writes
OUTPUT/CASE.npz (in the first worker only, where there are several).
"""

import dataclasses
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
from etils import epath

import data
import pretext
from pretext import precision
from pretext.loop import Loop, LoopOptions
from pretext.momentum import Momentum
from pretext.trainer import PretextTrainer
from programs import strategies
from programs.metrics_file import read_metrics
from tests.pretext import tiny

BATCH_SIZE = 8


@dataclasses.dataclass(frozen=True)
class Case:
    """What a run may be told to do differently from rotation in float32 on one device."""

    task: str = "rotation"
    global_negatives: bool = False
    synchronized: bool = True
    precision: str = "float32"
    jit: bool = False
    gradient_accumulation: int = 1
    learning_rate: float = 0.05
    profile: bool = False


CASES = {
    "rotation": Case(),
    "exemplar": Case(task="exemplar", global_negatives=True),
}


def train(
    case: Case, strategy: tf.distribute.Strategy, folder: str, workdir: epath.Path
) -> dict[str, np.ndarray]:
    """Trains for two epochs of the folder.

    Returns:
        Every column of metrics.csv that has numbers in every row, `val_…` columns at the ends of
        epochs, and the final weights, `weight0` and so on.
    """
    options = pretext.TaskOptions(
        resize_size=36,
        crop_size=32,
        augmentation="crop",
        embedding_size=16,
        views_per_image=3,
        global_negatives=case.global_negatives,
        synchronized_batch_norm=case.synchronized,
    )
    task = pretext.build(case.task, options)
    images = data.load("folder", "all", folder)
    keras.utils.set_random_seed(0)
    with strategy.scope(), precision.computing_in(case.precision):
        loss_scale = precision.LossScale(2.0**10) if case.precision == "float16" else None
        network = tiny.network(synchronized=case.synchronized)
        trainer = PretextTrainer(task, network, strategy.num_replicas_in_sync, loss_scale)
        optimizer = Momentum(case.learning_rate, skip_nan=loss_scale is not None)
        trainer.compile(optimizer=optimizer)
    loop_options = LoopOptions(
        batch_size=BATCH_SIZE,
        epochs=2,
        seed=0,
        log_every_steps=1,
        checkpoint_every_steps=1000,
        gradient_accumulation=case.gradient_accumulation,
        jit=case.jit,
        profile=case.profile,
    )
    Loop(trainer, strategy, loop_options, workdir, images, images).run()
    result = {f"weight{i}": weight for i, weight in enumerate(trainer.get_weights())}
    rows = read_metrics(workdir / "metrics.csv")
    for name in rows[0]:
        result[name] = np.array([float(row[name]) for row in rows if row[name]])
    return result


def main() -> None:
    folder, output, name, logical_cpus, *cases = sys.argv[1:]
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * int(logical_cpus),
    )
    strategy = strategies.build(name)
    for case in cases:
        workdir = epath.Path(output) / f"{case}_run"
        workdir.mkdir(parents=True, exist_ok=True)
        result = train(CASES[case], strategy, folder, workdir)
        if strategies.is_chief(strategy):
            np.savez(f"{output}/{case}.npz", **result)


if __name__ == "__main__":
    main()
