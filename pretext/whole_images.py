"""What rotation and the supervised baseline share: whole images, augmented, scaled to [-1, 1].

A task differs in its head and in the views and targets that it makes of these images.
"""

import keras
import numpy as np
import tensorflow as tf

from data import images as host
from pretext import colour, tiles
from pretext.task import (
    ACCURACIES,
    Batch,
    Representations,
    TaskOptions,
    accuracies,
    cross_entropy,
)


class WholeImageTask:
    """The part of a `pretext.task.PretextTask` that both tasks share.

    The host cuts out an Inception crop, or a random square with `--augmentation=crop`, and the
    centre for everything but training (resized as for training to measure the task, by area for
    representations); Inception's colours are the device's.
    """

    metric_names = ACCURACIES

    def __init__(self, options: TaskOptions) -> None:
        self.options = options
        self.inception = options.augmentation == "inception"
        sizes = options.resize_size, options.crop_size
        self.pretext_view = host.CentralCrop(*sizes, method="bilinear")
        self.eval_view = host.CentralCrop(*sizes)
        if self.inception:
            self.train_view = host.InceptionCrop(options.crop_size)
        else:
            self.train_view = host.RandomCrop(*sizes)
        self.draws = colour.DRAWS if self.inception else 0
        self.constants: dict[str, np.ndarray] = {}

    def backbone_options(self, architecture: str) -> dict[str, object]:
        return {}

    def pictures(self, batch: Batch, training: bool) -> tf.Tensor:
        """A batch's images in [-1, 1], with their colours distorted in Inception's training."""
        images = tf.cast(batch["image"], tf.float32) / 255.0
        if training and self.inception:
            images = colour.distort(images, batch["draws"])
        return normalise(images)

    def check_batch(self, images: int, replicas: int) -> None:
        """One image is enough: the task distinguishes its views."""

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return cross_entropy(targets, logits)

    def metrics(self, targets: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        return accuracies(targets, logits)

    def tile(self, inputs: dict[str, np.ndarray], targets: np.ndarray, example: int) -> tiles.Tile:
        picture = tiles.from_signed(inputs["images"][example])
        return tiles.Tile(picture, self.named(targets[example]))

    def overview(self, inputs: dict[str, np.ndarray], image: int) -> list[tiles.Tile]:
        return []

    def answers(self, targets: np.ndarray, logits: np.ndarray) -> tiles.Answers:
        return tiles.of_softmax(targets, logits, self.named)

    def logits(self, backbone: keras.Model, head: keras.Model, images: tf.Tensor) -> tf.Tensor:
        return head({"pre_logits": self.represent(backbone, images, training=False)["pre_logits"]})

    def represent(
        self, backbone: keras.Model, images: tf.Tensor, training: bool
    ) -> Representations:
        return backbone(normalise(images), training=training)


def normalise(images: tf.Tensor) -> tf.Tensor:
    """From [0, 1] to [-1, 1]."""
    return images * 2.0 - 1.0
