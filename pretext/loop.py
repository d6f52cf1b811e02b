"""The training loop: one for every task and strategy, restartable at any step.

What a run does at a step depends on its flags and the step alone. A run that is killed goes on
from its last checkpoint and ends with the weights of a run that was not.
"""

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import logging
from etils import epath
from tqdm import tqdm

from data import pipeline
from data.records import Records
from pretext.task import Batch
from pretext.trainer import PretextTrainer
from programs.metrics_file import MetricsFile


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """How long to train and how often to stop for something else.

    Attributes:
        batch_size: images per update, over all replicas.
        epochs: passes over the training split.
        seed: of the order of images and all random choices about them.
        log_every_steps: steps between two rows of metrics.csv.
        checkpoint_every_steps: steps between two checkpoints.
        jit: whether XLA compiles the replica's step.
    """

    batch_size: int
    epochs: int
    seed: int
    log_every_steps: int
    checkpoint_every_steps: int
    jit: bool = False


class Loop:
    """Trains a `PretextTrainer`, with checkpoints, metrics and a progress bar.

    Args:
        trainer: compiled with its optimiser, both made in the strategy's scope.
        strategy: what the steps run on.
        options: see `LoopOptions`.
        workdir: the run directory.
        training: the records to train on.
        validation: the records for the pretext metrics at the end of every epoch.
    """

    def __init__(
        self,
        trainer: PretextTrainer,
        strategy: tf.distribute.Strategy,
        options: LoopOptions,
        workdir: epath.Path,
        training: Records,
        validation: Records,
    ) -> None:
        self.trainer = trainer
        self.strategy = strategy
        self.options = options
        self.training = training
        self.validation = validation
        self.unreadable = pipeline.UnreadableImages()
        self.steps_per_epoch = pipeline.steps_per_epoch(training, options.batch_size)
        self.total_steps = self.steps_per_epoch * options.epochs

        with strategy.scope():
            trainer.optimizer.build(trainer.trainable_variables)
            # Sums since the last logged step. They are part of the checkpoint, so that a row of
            # metrics.csv does not depend on where the run was restarted.
            self.sums = {name: tf.Variable(0.0) for name in ("steps", *trainer.metric_names)}
        self.checkpoint = tf.train.Checkpoint(
            weights=[variable.value for variable in trainer.variables],
            optimizer=[variable.value for variable in trainer.optimizer.variables],
            sums=self.sums,
        )
        self.manager = tf.train.CheckpointManager(
            self.checkpoint, str(workdir / "checkpoints"), max_to_keep=2
        )
        if self.manager.latest_checkpoint:
            self.checkpoint.restore(self.manager.latest_checkpoint).assert_consumed()
            tqdm.write(f"Continuing at step {self.step} of {self.total_steps}.")
        held_out = [f"val_{name}" for name in trainer.task.metric_names]
        self.metrics_file = MetricsFile(
            workdir / "metrics.csv",
            ["step", "epoch", "learning_rate", *trainer.metric_names, *held_out],
            self.step,
        )
        self.tensorboard = tf.summary.create_file_writer(str(workdir / "tensorboard"))
        # XLA, where it is asked for, compiles what one replica does, not the distributed step.
        self._replica_step = tf.function(trainer.train_step, jit_compile=options.jit)
        self._replica_test = tf.function(trainer.test_sums, jit_compile=options.jit)

    @property
    def step(self) -> int:
        """Updates made so far."""
        return int(self.trainer.optimizer.iterations.numpy())

    def run(self) -> None:
        """Trains to the end of the last epoch and leaves a checkpoint of it.

        Raises:
            ValueError: all images of a batch were unreadable.
            FloatingPointError: the loss is not finite.
        """
        options = self.options
        if self.step == self.total_steps:
            return
        batches = iter(self._distribute(self._training_batches))
        bar = tqdm(
            total=self.total_steps * options.batch_size,
            initial=self.step * options.batch_size,
            unit=" images",
            desc=self.trainer.task.name,
            smoothing=0.02,
            mininterval=1.0,
        )
        shown = self.trainer.task.metric_names[0]
        with bar:
            clock = Clock(self.step)
            for step in range(self.step + 1, self.total_steps + 1):
                with self.unreadable.explained(options.batch_size):
                    self._train_step(next(batches))
                bar.update(options.batch_size)
                ends_epoch = step % self.steps_per_epoch == 0
                if ends_epoch or step % options.log_every_steps == 0:
                    row = self._means(step)
                    images_per_second = clock.lap(step) * options.batch_size
                    if ends_epoch:
                        row |= self.validate()
                        clock = Clock(step)
                    self._log(row, images_per_second)
                    bar.set_postfix({k: f"{row[k]:.3f}" for k in row if k.endswith(shown)})
                if step % options.checkpoint_every_steps == 0 or step == self.total_steps:
                    self._check_finite(step)
                    self.manager.save(checkpoint_number=step)
        if self.unreadable.reasons:
            logging.warning("%s", self.unreadable.summary())

    def validate(self) -> dict[str, float]:
        """The task's metrics on the validation split, by name with `val_` before it.

        Raises:
            ValueError: no image of the split can be read.
        """
        totals: dict[str, float] = {}
        for batch in self._distribute(self._validation_batches):
            for name, value in self._test_step(batch).items():
                totals[name] = totals.get(name, 0.0) + float(value)
        examples = totals.pop("examples")
        if not examples:
            raise ValueError(
                f"split {self.validation.split} of {self.validation.dataset} has no readable "
                f"image; {self.unreadable.summary()}"
            )
        return {f"val_{name}": value / examples for name, value in totals.items()}

    def _training_batches(self, context: tf.distribute.InputContext) -> tf.data.Dataset:
        task = self.trainer.task
        return pipeline.training_batches(
            self.training,
            task.train_view,
            batch_size=self.options.batch_size,
            epochs=self.options.epochs,
            seed=self.options.seed,
            draws=task.draws,
            start_step=self.step,
            shard=pipeline.Shard(context.input_pipeline_id, context.num_input_pipelines),
            replicas=context.num_replicas_in_sync,
            unreadable=self.unreadable,
        )

    def _validation_batches(self, context: tf.distribute.InputContext) -> tf.data.Dataset:
        task = self.trainer.task
        return pipeline.evaluation_batches(
            self.validation,
            task.pretext_view,
            batch_size=self.options.batch_size,
            draws=task.draws,
            shard=pipeline.Shard(context.input_pipeline_id, context.num_input_pipelines),
            replicas=context.num_replicas_in_sync,
            unreadable=self.unreadable,
        )

    def _distribute(
        self, make: Callable[[tf.distribute.InputContext], tf.data.Dataset]
    ) -> tf.distribute.DistributedDataset:
        return self.strategy.distribute_datasets_from_function(make)

    @tf.function
    def _train_step(self, batch: Batch) -> None:
        metrics = self.strategy.run(self._replica_step, (batch,))
        self.sums["steps"].assign_add(1.0)
        for name, value in metrics.items():
            mean = self.strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            self.sums[name].assign_add(mean)

    @tf.function
    def _test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        sums = self.strategy.run(self._replica_test, (batch,))
        return {
            name: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for name, value in sums.items()
        }

    def _means(self, step: int) -> dict[str, float]:
        """A row of metrics: means since the last row, which end here."""
        self._check_finite(step)
        steps = self.sums["steps"].numpy()
        row: dict[str, float] = {
            "step": step,
            "epoch": step / self.steps_per_epoch,
            "learning_rate": float(self.trainer.optimizer.learning_rate),
        }
        row |= {name: float(self.sums[name].numpy() / steps) for name in self.trainer.metric_names}
        for variable in self.sums.values():
            variable.assign(0.0)
        return row

    def _check_finite(self, step: int) -> None:
        if not np.isfinite(self.sums["loss"].numpy()):
            last = self.manager.latest_checkpoint or "none yet"
            raise FloatingPointError(
                f"the loss is not finite at step {step} (or since the row before it); "
                f"last good checkpoint: {last}; try a smaller --learning_rate"
            )

    def _log(self, row: dict[str, float], images_per_second: float) -> None:
        self.metrics_file.append(row)
        with self.tensorboard.as_default(step=int(row["step"])):
            for name, value in (row | {"images_per_second": images_per_second}).items():
                if name != "step":
                    tf.summary.scalar(name, value)
        self.tensorboard.flush()


class Clock:
    """Steps per second between two looks at it, from a given step on."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.time = time.perf_counter()

    def lap(self, step: int) -> float:
        """Steps per second since the last lap."""
        now = time.perf_counter()
        rate = (step - self.step) / (now - self.time)
        self.step, self.time = step, now
        return rate
