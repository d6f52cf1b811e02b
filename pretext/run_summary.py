"""What a run is about to do, in a few lines before it starts.

They state the resolved values: devices, images, updates, the learning rate, what the pretext
metrics are measured on, and the disk space.
"""

import dataclasses

import numpy as np
import tensorflow as tf
from absl import logging
from etils import epath

from data.records import Records
from pretext.trainer import PretextTrainer
from training import devices
from training.checkpoints import KEPT
from training.schedule import WarmupPiecewise

BYTES = 4  # of a float32


@dataclasses.dataclass(frozen=True)
class Summary:
    """What the lines are made from.

    Attributes:
        training, validation: the images.
        shared: how many of the validation's images are among the training's.
        epochs, batch_size: of the training.
        rate: the learning rate by update.
        trainer: the network, its head and its optimiser.
        export_precision: of the exported kernels.
        export_keras: whether Keras' own file is written too.
        initial_weights: the export whose backbone this run begins with; empty if it begins, or
            goes on, with weights of its own.
    """

    training: Records
    validation: Records
    shared: int
    epochs: int
    batch_size: int
    rate: WarmupPiecewise
    trainer: PretextTrainer
    export_precision: str = "float32"
    export_keras: bool = False
    initial_weights: str = ""

    @property
    def steps_per_epoch(self) -> int:
        return self.training.size // self.batch_size

    def lines(self, strategy: tf.distribute.Strategy, precision: str, free: int | None) -> str:
        """The text, a line for each thing.

        Args:
            strategy: the devices of the run.
            precision: in which convolutions are computed.
            free: free bytes on the disk; None if unknown.
        """
        parts = {
            "devices": f"{devices.describe(strategy)}, computing in {precision}",
            "images": self._images(),
            "updates": self._updates(),
            "learning rate": describe_rate(self.rate, self.steps_per_epoch),
            "held out": self._held_out(),
            "disk": self._disk(free),
        }
        if self.initial_weights:
            parts["weights"] = f"the backbone's from {self.initial_weights}; the head begins anew"
        return "\n".join(f"{name}: {text}" for name, text in parts.items())

    def warnings(self, free: int | None) -> list[str]:
        """What a user would want to know before spending hours; a line each."""
        found = schedule_warnings(self.rate, self.steps_per_epoch, self.epochs)
        if self.shared:
            found.append(
                f"{self.shared:,} of the {self.validation.size:,} images of --val_split="
                f"{self.validation.split} are among those of --train_split={self.training.split}: "
                "the pretext metrics are not on held-out images, and the model card will say so"
            )
        unused_gpu = devices.unused_gpu()
        if unused_gpu:
            found.append(unused_gpu)
        if free is not None and free < self.bytes_on_disk:
            found.append(
                f"the run needs about {devices.size(self.bytes_on_disk)} on the disk of --workdir, "
                f"and {devices.size(free)} are free"
            )
        return found

    @property
    def checkpoint_bytes(self) -> int:
        """Of one checkpoint: weights and statistics, and a velocity for every weight."""
        return _bytes(self.trainer.variables) + _bytes(self.trainer.trainable_variables)

    @property
    def bytes_on_disk(self) -> int:
        """At most: the checkpoints kept, the one being written, and the exports."""
        kernels = _bytes(v for v in self.trainer.trainable_variables if len(v.shape) > 1)
        halved = kernels // 2 if self.export_precision == "float16" else 0
        export = _bytes(self.trainer.variables) - halved
        keras_file = _bytes(self.trainer.backbone.variables) if self.export_keras else 0
        return (KEPT + 1) * self.checkpoint_bytes + export + keras_file

    def _images(self) -> str:
        classes = self.training.num_classes
        labels = f"{classes:,} classes" if classes else "no labels"
        return (
            f"{self.training.size:,} in split {self.training.split} of {self.training.dataset} to "
            f"train on, {labels}"
        )

    def _updates(self) -> str:
        steps = self.steps_per_epoch
        left = self.training.size - steps * self.batch_size
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs:,} epochs"
        text = f"{epochs} of {steps:,}, {self.batch_size:,} images each"
        return text + (f"; {left:,} other images are left out of every epoch" if left else "")

    def _held_out(self) -> str:
        text = f"{self.validation.size:,} images of split {self.validation.split}"
        if self.shared == self.validation.size:
            return f"nothing; the pretext metrics are on {text}, all of which are trained on"
        if self.shared:
            return f"{text}, of which {self.shared:,} are trained on all the same"
        return f"{text}, for the pretext metrics after every epoch"

    def _disk(self, free: int | None) -> str:
        text = (
            f"{devices.size(self.checkpoint_bytes)} a checkpoint, of which {KEPT} are kept; about "
            f"{devices.size(self.bytes_on_disk)} in all"
        )
        return text + ("" if free is None else f", {devices.size(free)} are free")


def show(
    summary: Summary, strategy: tf.distribute.Strategy, precision: str, workdir: epath.Path
) -> None:
    """Prints the lines, and logs the warnings."""
    free = devices.free_space(workdir)
    print(summary.lines(strategy, precision, free), flush=True)
    for warning in summary.warnings(free):
        logging.warning("%s", warning)


def describe_rate(rate: WarmupPiecewise, steps_per_epoch: int) -> str:
    """A schedule in epochs, in words."""
    text = f"{rate.learning_rate:g}"
    if rate.warmup_steps:
        text += f", rising from 0 over {rate.warmup_steps / steps_per_epoch:.3g} epochs"
    if rate.boundaries:
        epochs = ", ".join(f"{boundary / steps_per_epoch:.3g}" for boundary in rate.boundaries)
        text += f", divided by {rate.factor:g} after {epochs} epochs"
    return text


def schedule_warnings(rate: WarmupPiecewise, steps_per_epoch: int, epochs: int) -> list[str]:
    """The parts of a schedule that a run of so many epochs never reaches."""
    found = []
    steps = steps_per_epoch * epochs
    if rate.warmup_steps > steps:
        found.append(
            f"--warmup_epochs={rate.warmup_steps / steps_per_epoch:.3g} is longer than --epochs="
            f"{epochs}: the learning rate never reaches {rate.learning_rate:g}"
        )
    late = [boundary for boundary in rate.boundaries if boundary >= steps]
    if late:
        after = ",".join(f"{boundary / steps_per_epoch:.3g}" for boundary in late)
        found.append(
            f"--decay_epochs={after}: decays that do not come before the end of --epochs={epochs} "
            "have no effect"
        )
    return found


def _bytes(variables: object) -> int:
    return sum(BYTES * int(np.prod(variable.shape)) for variable in variables)
