"""A training run of seconds, on any devices: what the loop's tests compare with each other.

    python -m tests.pretext.small_run FOLDER OUTPUT STRATEGY LOGICAL_CPUS CASE ...

trains each case, by name from `CASES`, on the folder's images in a process of its own and writes
OUTPUT/CASE.npz (in the first worker only, where there are several).
"""

import dataclasses
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
from etils import epath

import data
import pretext
from models.layers import BatchNormalization
from pretext import precision
from pretext.monitor import Monitor, MonitorOptions
from pretext.pretraining import Pretraining, PretrainingOptions
from pretext.trainer import PretextTrainer
from tests import graphs
from tests.pretext import tiny
from training import command_line, strategies
from training.loop import Loop
from training.metrics import read_metrics
from training.momentum import Momentum

BATCH_SIZE = 8


@dataclasses.dataclass(frozen=True)
class Case:
    """What a run does differently from rotation in float32 with synchronised statistics."""

    task: str = "rotation"
    global_negatives: bool = False
    synchronized: bool = True
    frozen_statistics: bool = False
    precision: str = "float32"
    jit: bool = False
    gradient_accumulation: int = 1
    epochs: int = 2
    profile: bool = False
    monitor_every_epochs: int = 0


CASES = {
    "rotation": Case(),
    "exemplar": Case(task="exemplar", global_negatives=True),
}
# Not among those: long enough to be killed in the middle.
LONG = {"long": Case(epochs=12, monitor_every_epochs=5)}


def make_trainer(case: Case, strategy: tf.distribute.Strategy) -> PretextTrainer:
    """A small network with its task, the same initial weights every time."""
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
    keras.utils.set_random_seed(0)
    with strategy.scope(), precision.computing_in(case.precision):
        network = tiny.network(synchronized=case.synchronized)
        for layer in network.layers:
            if case.frozen_statistics and isinstance(layer, BatchNormalization):
                layer.trainable = False
        loss_scale = precision.LossScale() if case.precision == "float16" else None
        trainer = PretextTrainer(task, network, strategy.num_replicas_in_sync, loss_scale)
        trainer.compile(optimizer=Momentum(0.05, skip_nan=loss_scale is not None))
    return trainer


def make_loop(
    case: Case, strategy: tf.distribute.Strategy, folder: str, workdir: epath.Path
) -> Loop:
    """The loop over all of the folder's images, for training and for validation."""
    images = data.load("folder", "all", folder)
    options = PretrainingOptions(
        batch_size=BATCH_SIZE,
        epochs=case.epochs,
        seed=0,
        log_every_steps=1,
        checkpoint_every_steps=1000,
        gradient_accumulation=case.gradient_accumulation,
        jit=case.jit,
        profile=case.profile,
    )
    workdir.mkdir(parents=True, exist_ok=True)
    trainer = make_trainer(case, strategy)
    monitor = None
    if case.monitor_every_epochs:
        monitoring = MonitorOptions(case.monitor_every_epochs)
        monitor = Monitor(monitoring, trainer.task, images, options.seed, case.epochs)
    learner = Pretraining(trainer, strategy, options, images, images, monitor)
    return Loop(learner, strategy, workdir)


def train(
    case: Case, strategy: tf.distribute.Strategy, folder: str, workdir: epath.Path
) -> dict[str, np.ndarray]:
    """Trains to the end.

    Returns:
        The columns of metrics.csv, without empty cells, and the final weights, `weights0` and so
        on.
    """
    loop = make_loop(case, strategy, folder, workdir)
    loop.run()
    trained = loop.learner.trainer.get_weights()
    result = {f"weights{i}": weights for i, weights in enumerate(trained)}
    rows = read_metrics(workdir / "metrics.csv")
    for name in rows[0] if rows else ():
        result[name] = np.array([float(row[name]) for row in rows if row[name]])
    return result


def main(argv: list[str]) -> None:
    _, folder, output, name, logical_cpus, *cases = argv
    graphs.leave_unoptimised()
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * int(logical_cpus),
    )
    strategy = strategies.build(name)
    for case in cases:
        result = train((CASES | LONG)[case], strategy, folder, epath.Path(output) / f"{case}_run")
        if strategies.is_chief(strategy):
            np.savez(f"{output}/{case}.npz", **result)


if __name__ == "__main__":
    command_line.run("small_run", main)
