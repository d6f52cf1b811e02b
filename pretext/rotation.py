"""Rotation: the network predicts by how much an image was rotated (section 3.2; Gidaris et al.
2018).

All four copies of an image, rotated by 0°, 90°, 180° and 270°, are in the batch, and a softmax over
four classes predicts the rotation. Rotating comes last, after every resize and crop, so that
nothing but the content of the image gives the answer away.
"""

import keras
import tensorflow as tf

from pretext.task import Batch, linear_head
from pretext.whole_images import WholeImageTask

TURNS = 4


class Rotation(WholeImageTask):
    """The rotation task; see `pretext.task.PretextTask` for what its parts mean."""

    name = "rotation"
    chance = 1 / TURNS

    def head(self, features: int) -> keras.Model:
        return linear_head(features, TURNS, self.options.weight_decay)

    def views(self, batch: Batch, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        views = turn(self.pictures(batch, training))
        targets = tf.tile(tf.range(TURNS), [tf.shape(batch["image"])[0]])
        return {"images": views}, targets


def turn(images: tf.Tensor) -> tf.Tensor:
    """All four rotations of every image, those of one image side by side.

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
