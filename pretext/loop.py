"""The training loop: one for every task and strategy, restartable at any step.

What a run does at a step depends on its flags and the step alone. A run that is killed goes on
from its last checkpoint and ends with the weights of a run that was not.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import tensorflow as tf
from etils import epath
from tqdm import tqdm

from data import pipeline
from data.records import Records
from data.service import DataService
from data.unreadable import UnreadableImages
from pretext.steps import Steps
from pretext.trainer import PretextTrainer
from pretext.training_state import TrainingState
from training import interruption, strategies, workers
from training.clock import Clock
from training.metrics_file import MetricsFile
from training.options import option
from training.profiler import Profiler


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """How long to train and how often to stop for something else.

    Attributes:
        max_bad_fraction: how much of either split may be unreadable, 0 to 1; a run stops as soon
            as more of it is. What a run that was killed had counted is counted again by the next
            epoch, which sees every image again.
        service: who decodes the training images, if not this host.
    """

    batch_size: int = option(
        256,
        "Images per update, over all devices. auto: 1024 for rotation and jigsaw, 512 for exemplar "
        "and relative_patch_location, 256 for supervised.",
        auto=True,
        minimum=1,
        maximum=2**20,
    )
    epochs: int = option(
        35,
        "Passes over the training images; 0 exports untrained weights.",
        minimum=0,
        maximum=1_000_000,
    )
    seed: int = option(
        0,
        "Of the weights, the order of images and all random choices.",
        minimum=0,
        maximum=2**31 - 1,
    )
    log_every_steps: int = option(
        50, "Steps between two rows of metrics.csv.", minimum=1, maximum=10**9
    )
    checkpoint_every_steps: int = option(
        500, "Steps between two checkpoints.", minimum=1, maximum=10**9, may_differ=True
    )
    gradient_accumulation: int = option(
        1,
        "Micro-batches that --batch_size is divided into, computed one after the other to save "
        "memory.",
        minimum=1,
        maximum=2**20,
    )
    jit: bool = option(False, "Whether XLA compiles the training step; on a TPU it always does.")
    profile: bool = option(
        False, "Record steps 11 to 15 for TensorBoard's profiler.", may_differ=True
    )
    max_bad_fraction: float = 1.0
    service: DataService | None = None


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
        self.unreadable = UnreadableImages()
        self.unreadable_validation = UnreadableImages()
        self.validated = False
        self.steps_per_epoch = pipeline.steps_per_epoch(training, options.batch_size)
        self.total_steps = self.steps_per_epoch * options.epochs
        self.is_chief = strategies.is_chief(strategy)

        # Other machines take part in making variables, too.
        with workers.told_when_gone(strategy), strategy.scope():
            self.steps = Steps(trainer, strategy, options.gradient_accumulation, options.jit)
        self.state = TrainingState(trainer, strategy, workdir / "checkpoints", self.is_chief)
        if self.state.restore() and self.is_chief:
            tqdm.write(f"Continuing at step {self.step} of {self.total_steps}.")
        self.tensorboard_directory = str(workdir / "tensorboard")
        if self.is_chief:
            held_out = [f"val_{name}" for name in trainer.task.metric_names]
            self.metrics_file = MetricsFile(
                workdir / "metrics.csv",
                ["step", "epoch", "learning_rate", *trainer.metric_names, *held_out],
                self.step - self._row_is_due(self.step),
            )
            self.tensorboard = tf.summary.create_file_writer(self.tensorboard_directory)

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self.state.step

    def run(self) -> None:
        """Trains to the end of the last epoch and leaves a checkpoint of it.

        Raises:
            ValueError: all images of a batch were unreadable, or too many of a split, or all of
                the validation split; that is told before the first step.
            FloatingPointError: the loss or a weight is not finite.
            OSError: a checkpoint or a row of metrics could not be written.
            ConnectionError: another machine that takes part is gone.
            Interrupted: a signal came; the state is saved.
        """
        options = self.options
        first = self.step + 1
        batches = iter(self._distribute(self._training_batches))
        if self.step < self.total_steps:
            self._check_validation_images()
        bar = tqdm(
            total=self.total_steps * options.batch_size,
            initial=self.step * options.batch_size,
            unit=" images",
            desc=self.trainer.task.name,
            smoothing=0.02,
            mininterval=1.0,
            disable=not self.is_chief,
        )
        profiles = options.profile and self.is_chief
        profiler = Profiler(self.step, self.total_steps, self.tensorboard_directory)
        shown = self.trainer.task.metric_names[0]
        with bar, workers.told_when_gone(self.strategy), contextlib.ExitStack() as stack:
            clock = Clock(self.step)
            if self._row_is_due(self.step):
                self._finish_row(self.step, 0.0)
            for step in range(first, self.total_steps + 1):
                record = profiler.record(step) if profiles else contextlib.nullcontext()
                service = options.service
                decoding = service.explained(step) if service else contextlib.nullcontext()
                told = self.training.explained()
                with told, self.unreadable.explained(options.batch_size), decoding, record:
                    self.steps.update(batches, self.state.sums)
                self.unreadable.check(self.training, options.max_bad_fraction)
                if step == first:
                    # Before, a signal may end the run at once, and tracing takes long.
                    stack.enter_context(interruption.postponed())
                bar.update(options.batch_size)
                if self._row_is_due(step):
                    row = self._finish_row(step, clock.lap(step) * options.batch_size)
                    if step % self.steps_per_epoch == 0:
                        clock = Clock(step)
                    bar.set_postfix({k: f"{row[k]:.3f}" for k in row if k.endswith(shown)})
                if step % options.checkpoint_every_steps == 0 or step == self.total_steps:
                    self.state.save(step)
                self.state.stop_if_asked()
        for unreadable in (self.unreadable, self.unreadable_validation):
            unreadable.warn()

    def validate(self) -> dict[str, float]:
        """The task's metrics on the validation split, by name with `val_` before it.

        Raises:
            ValueError: no image of the split can be read.
        """
        names = [*self.trainer.task.metric_names, "examples"]
        sums = []
        for batch in self._validation_stream:
            sums.append(self.steps.test(batch))
            self.state.stop_if_asked()
        self.unreadable_validation.check(self.validation, self.options.max_bad_fraction)
        totals = dict(zip(names, np.sum(sums, axis=0, dtype=np.float64).tolist(), strict=True))
        examples = totals.pop("examples")
        if not examples:
            self._no_validation_image()
        return {f"val_{name}": value / examples for name, value in totals.items()}

    def _check_validation_images(self) -> None:
        """Looks for an image that can be used, so that an epoch is not trained in vain.

        Raises:
            ValueError: no image of the split can be used, or too many of it cannot.
        """
        batches = pipeline.evaluation_batches(
            self.validation,
            self.trainer.task.pretext_view,
            batch_size=pipeline.GROUP,
            unreadable=self.unreadable_validation,
        )
        for batch in batches:
            self.unreadable_validation.check(self.validation, self.options.max_bad_fraction)
            if np.any(batch["valid"]):
                return
        self._no_validation_image()

    def _no_validation_image(self) -> NoReturn:
        raise ValueError(
            f"split {self.validation.split} of {self.validation.dataset} has no readable "
            f"image; {self.unreadable_validation.summary()}"
        )

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
            # To the pipeline, micro-batches are the parts of more replicas.
            replicas=context.num_replicas_in_sync * self.options.gradient_accumulation,
            unreadable=self.unreadable,
            service=self.options.service,
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
            unreadable=self.unreadable_validation,
        )

    @functools.cached_property
    def _validation_stream(self) -> tf.distribute.DistributedDataset:
        return self._distribute(self._validation_batches)

    def _distribute(
        self, make: Callable[[tf.distribute.InputContext], tf.data.Dataset]
    ) -> tf.distribute.DistributedDataset:
        return self.strategy.distribute_datasets_from_function(make)

    def _row_is_due(self, step: int) -> bool:
        """Whether metrics.csv has a row for the step, and it has not been written.

        A run that is stopped in its validation goes on with it: its checkpoint's sums are not
        empty as they are behind a written row.
        """
        ends_row = step % self.steps_per_epoch == 0 or step % self.options.log_every_steps == 0
        return ends_row and self.state.sums.steps > 0

    def _finish_row(self, step: int, images_per_second: float) -> dict[str, float]:
        """Logs the means since the last row, with a validation where an epoch ends."""
        self.state.check(step)
        row: dict[str, float] = {
            "step": step,
            "epoch": step / self.steps_per_epoch,
            "learning_rate": float(self.trainer.optimizer.learning_rate.numpy()),
            **self.state.sums.means(),
        }
        if step % self.steps_per_epoch == 0:
            if not self.validated or step == self.total_steps:
                # The first validation traces its step, which may outlast a signal's grace. The
                # last checkpoint is of before the validation, whether or not that is a first one.
                self.state.save(step)
            row |= self.validate()
            self.validated = True
        if self.is_chief:
            self._log(row, images_per_second)
        self.state.sums.reset()
        return row

    def _log(self, row: dict[str, float], images_per_second: float) -> None:
        self.metrics_file.append(row)
        with self.tensorboard.as_default(step=int(row["step"])):
            for name, value in (row | {"images_per_second": images_per_second}).items():
                if name != "step":
                    tf.summary.scalar(name, value)
        self.tensorboard.flush()
