"""What a pretext task is: the contract between a task's file, the trainer and the export."""

import dataclasses
from typing import Protocol

import keras
import tensorflow as tf

from data.pipeline import View

Batch = dict[str, tf.Tensor]
Representations = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class TaskOptions:
    """What the tasks can be told; each reads what concerns it.

    Attributes:
        resize_size: pixels of an image's smaller side before a square is cut out of it; 0 leaves
            the image's own size.
        crop_size: pixels of the square's sides.
        augmentation: `inception` (a rectangle of random area and aspect, resized, flip, colour
            distortion) or `crop` (a random square, flip).
        weight_decay: of the head's kernels, as 0.5 · weight_decay · ‖W‖².
    """

    resize_size: int = 256
    crop_size: int = 224
    augmentation: str = "inception"
    weight_decay: float = 1e-4


class PretextTask(Protocol):
    """A task: the views and targets made from a batch of images, the head, the loss.

    Attributes:
        name: as in `--task`.
        metric_names: the names of what `metrics` returns.
        train_view: what the host cuts out of an image for training.
        eval_view: what the host cuts out for the pretext metrics on held-out images, and what a
            probe should feed to the export.
        draws: how many uniform random numbers an image brings along for `views`.
        backbone_options: what the task asks of `models.build`, beyond the user's choice.
    """

    name: str
    metric_names: tuple[str, ...]
    train_view: View
    eval_view: View
    draws: int
    backbone_options: dict[str, object]

    def head(self, features: int) -> keras.Model:
        """The functional model from a dict with `pre_logits`, (views, features), to logits."""

    def views(self, batch: Batch, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Makes the network's inputs and their targets from a batch, on the device.

        Args:
            batch: as `data.pipeline.training_batches` gives it, N images.
            training: whether to augment.

        Returns:
            A dict with `images`, float32, (views, H, W, 3), and whatever else the head takes;
            and the targets. Views of one image lie side by side.
        """

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """The mean loss, a float32 scalar, without weight decay."""

    def metrics(self, targets: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """Values by example, each of shape (examples,); examples of one image side by side."""

    def logits(self, backbone: keras.Model, head: keras.Model, images: tf.Tensor) -> tf.Tensor:
        """What the trained network answers to whole images; arguments as for `represent`."""

    def represent(
        self, backbone: keras.Model, images: tf.Tensor, training: bool
    ) -> Representations:
        """The representations of whole images, by layer.

        Args:
            backbone: as `models.build` makes it.
            images: float32 in [0, 1], RGB, (N, H, W, 3).
            training: whether batch normalisation takes the batch's statistics.
        """
