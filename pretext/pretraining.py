"""Pretraining, as the training loop takes it: batches of images, updates, and a validation."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

import numpy as np
import tensorflow as tf

from data import pipeline, usable_images
from data.records import Records
from data.service import DataService
from data.unreadable import UnreadableImages
from pretext import sheets
from pretext.monitor import Monitor
from pretext.task import Batch
from pretext.trainer import PretextTrainer, Steps
from training import workers
from training.loop import Settings
from training.metrics import MetricSums
from training.options import option
from training.pictures import Pictures


@dataclasses.dataclass(frozen=True)
class PretrainingOptions:
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
        "Passes over the training images; 0 exports untrained weights, or those of "
        "--initial_weights.",
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


class Pretraining:
    """A `training.loop.Learner` that trains a `PretextTrainer` on a split of a data set.

    Args:
        trainer: compiled with its optimiser, both made in the strategy's scope.
        strategy: what the steps run on.
        options: see `PretrainingOptions`.
        training: the records to train on.
        validation: the records for the pretext metrics at the end of every epoch.
        monitor: what else is measured there; None for nothing.
    """

    unit = "images"

    def __init__(
        self,
        trainer: PretextTrainer,
        strategy: tf.distribute.Strategy,
        options: PretrainingOptions,
        training: Records,
        validation: Records,
        monitor: Monitor | None = None,
    ) -> None:
        self.trainer = trainer
        self.task = trainer.task
        self.strategy = strategy
        self.options = options
        self.training = training
        self.validation = validation
        self.monitor = monitor
        self.unreadable = (UnreadableImages(), UnreadableImages())
        self.name = self.task.name
        self.settings = Settings(
            batch_size=options.batch_size,
            steps_per_epoch=pipeline.steps_per_epoch(training, options.batch_size),
            epochs=options.epochs,
            log_every_steps=options.log_every_steps,
            checkpoint_every_steps=options.checkpoint_every_steps,
            tensorboard=True,
            pictures=Pictures(self._sheet, {self.task.metric_names[0]: self.task.chance}),
            profile=options.profile,
        )
        held_out = [f"val_{name}" for name in self.task.metric_names]
        self.columns = [*trainer.metric_names, *held_out, *(monitor.columns if monitor else ())]
        self.optimizer = trainer.optimizer
        # Other machines take part in making variables, too.
        with workers.lost_worker_explained(strategy), strategy.scope():
            self.sums = MetricSums(trainer.metric_names)
            self.steps = Steps(
                trainer, strategy, self.sums, options.gradient_accumulation, options.jit
            )
            if monitor:
                monitor.start(
                    trainer, strategy, options.batch_size // options.gradient_accumulation
                )
        self.state = {"weights": [variable.value for variable in trainer.variables]}
        if trainer.loss_scale is not None:
            self.state["loss_scale"] = trainer.loss_scale.variables

    def batches(self, start_step: int) -> Iterator[Batch]:
        """The training batches after a step.

        Raises:
            ValueError: no image of the validation split can be used, or too many of it cannot;
                told here, so that an epoch is not trained in vain.
        """
        batches = iter(
            self.strategy.distribute_datasets_from_function(
                functools.partial(self._training_batches, start_step)
            )
        )
        self._check_validation_images()
        return batches

    def update(self, batches: Iterator[Batch], step: int) -> None:
        """One update of the weights.

        Raises:
            ValueError: all images of a batch were unreadable, or too many of the split, or its
                files are damaged, or the service that decodes them lost a worker.
        """
        options, unreadable = self.options, self.unreadable[0]
        service = options.service
        decoding = service.explained(step) if service else contextlib.nullcontext()
        with self.training.explained(), unreadable.explained(options.batch_size), decoding:
            self.steps.update(batches)
        unreadable.check(self.training, options.max_bad_fraction)

    def means(self) -> dict[str, float]:
        """See `training.loop.Learner`."""
        return self.sums.means()

    def validate(self, safe_point: Callable[[], None]) -> dict[str, float]:
        """The task's metrics on the validation split, by name with `val_` before it.

        And what the monitor measures, where that is due.

        Raises:
            ValueError: no image of the split can be read.
        """
        names = [*self.task.metric_names, "examples"]
        sums = []
        for batch in self._validation_stream:
            sums.append(self.steps.test(batch))
            safe_point()
        self.unreadable[1].check(self.validation, self.options.max_bad_fraction)
        totals = dict(zip(names, np.sum(sums, axis=0, dtype=np.float64).tolist(), strict=True))
        examples = totals.pop("examples")
        if not examples:
            self._no_validation_image()
        row = {f"val_{name}": value / examples for name, value in totals.items()}
        epoch = int(self.optimizer.iterations.numpy()) // self.settings.steps_per_epoch
        if self.monitor and self.monitor.is_due(epoch):
            row |= self.monitor.measure(epoch, row, safe_point)
        return row

    def divergence(self, step: int) -> tuple[str, str] | None:
        """See `training.loop.Learner`."""
        if first := self.sums.first_not_finite(step):
            return f"the loss is not finite at step {first}", "a smaller --learning_rate"
        loss_scale = self.trainer.loss_scale
        if loss_scale is not None and loss_scale.scale.numpy() < 1:
            return (
                f"gradients do not fit into float16's range at step {step}",
                "--precision=bfloat16 or a smaller --learning_rate",
            )
        return None

    def shown(self, row: Mapping[str, float]) -> dict[str, str]:
        """The task's first metric, on training and on held-out images."""
        first = self.task.metric_names[0]
        return {name: f"{row[name]:.3f}" for name in row if name.endswith(first)}

    def _sheet(self, batch: Batch) -> np.ndarray:
        """A batch as the network sees it, of several replicas the first one's part."""
        of_replicas = self.strategy.experimental_local_results
        first = {name: of_replicas(value)[0] for name, value in batch.items()}
        return np.asarray(sheets.batch_sheet(self.task, first))

    def _check_validation_images(self) -> None:
        """Looks for an image that can be used.

        Raises:
            ValueError: no image of the split can be used, or too many of it cannot.
        """
        unreadable = self.unreadable[1]
        for usable in usable_images.usable(self.validation, self.task.pretext_view, unreadable):
            unreadable.check(self.validation, self.options.max_bad_fraction)
            if usable:
                return
        self._no_validation_image()

    def _no_validation_image(self) -> NoReturn:
        raise ValueError(
            f"split {self.validation.split} of {self.validation.dataset} has no readable "
            f"image; {self.unreadable[1].summary()}"
        )

    def _training_batches(
        self, start_step: int, context: tf.distribute.InputContext
    ) -> tf.data.Dataset:
        return pipeline.training_batches(
            self.training,
            self.task.train_view,
            batch_size=self.options.batch_size,
            epochs=self.options.epochs,
            seed=self.options.seed,
            draws=self.task.draws,
            start_step=start_step,
            shard=pipeline.Shard(context.input_pipeline_id, context.num_input_pipelines),
            # To the pipeline, micro-batches are the parts of more replicas.
            replicas=context.num_replicas_in_sync * self.options.gradient_accumulation,
            unreadable=self.unreadable[0],
            service=self.options.service,
        )

    def _validation_batches(self, context: tf.distribute.InputContext) -> tf.data.Dataset:
        return pipeline.evaluation_batches(
            self.validation,
            self.task.pretext_view,
            batch_size=self.options.batch_size,
            draws=self.task.draws,
            shard=pipeline.Shard(context.input_pipeline_id, context.num_input_pipelines),
            replicas=context.num_replicas_in_sync,
            unreadable=self.unreadable[1],
        )

    @functools.cached_property
    def _validation_stream(self) -> tf.distribute.DistributedDataset:
        return self.strategy.distribute_datasets_from_function(self._validation_batches)
