"""Rotation: the network tells by how much an image was turned (section 3.2; Gidaris et al. 2018).

All four copies of an image, turned by 0°, 90°, 180° and 270°, are in the batch, and a softmax over
four classes says which is which. Turning comes last, after every resize and crop, so that nothing
but the content of the image gives the answer away.
"""

import keras
import numpy as np
import tensorflow as tf

from pretext import whole_images
from pretext.classification import ACCURACIES, accuracies, cross_entropy, linear_head
from pretext.task import Batch, Representations, TaskOptions

TURNS = 4


class Rotation:
    """The rotation task; see `pretext.task.PretextTask` for what its parts mean."""

    name = "rotation"
    metric_names = ACCURACIES

    def __init__(self, options: TaskOptions) -> None:
        self.options = options
        self.train_view = whole_images.train_view(options)
        self.pretext_view = self.eval_view = whole_images.central_view(options)
        self.draws = whole_images.draws(options)
        self.constants: dict[str, np.ndarray] = {}

    def backbone_options(self, architecture: str) -> dict[str, object]:
        return {}

    def head(self, features: int) -> keras.Model:
        return linear_head(features, TURNS, self.options.weight_decay)

    def views(self, batch: Batch, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        pictures = whole_images.pictures(batch, self.options, training)
        views = turn(pictures)
        targets = tf.tile(tf.range(TURNS), [tf.shape(pictures)[0]])
        return {"images": views}, targets

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return cross_entropy(targets, logits)

    def metrics(self, targets: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        return accuracies(targets, logits)

    def logits(self, backbone: keras.Model, head: keras.Model, images: tf.Tensor) -> tf.Tensor:
        return head({"pre_logits": self.represent(backbone, images, training=False)["pre_logits"]})

    def represent(
        self, backbone: keras.Model, images: tf.Tensor, training: bool
    ) -> Representations:
        return backbone(whole_images.normalise(images), training=training)


def turn(images: tf.Tensor) -> tf.Tensor:
    """All four turns of every image, the turns of one image side by side.

    Args:
        images: (N, S, S, C), square.

    Returns:
        (4·N, S, S, C); view 4·n + k is `numpy.rot90(images[n], k)`.
    """
    # Transposing and reversing, because tf.image.rot90 branches on the device.
    transposed = tf.transpose(images, [0, 2, 1, 3])
    turns = [
        images,
        tf.reverse(transposed, [1]),
        tf.reverse(images, [1, 2]),
        tf.reverse(transposed, [2]),
    ]
    shape = images.shape
    return tf.reshape(tf.stack(turns, axis=1), [-1, shape[1], shape[2], shape[3]])
