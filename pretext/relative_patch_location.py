"""Relative patch location: in which direction from the centre does a patch lie? (section 3.2)

The task is that of Doersch et al. (2015). The nine patches of an image pass through the network
once; each of the eight outer patches is paired with the centre one, and a perceptron with a hidden
layer predicts in which of the eight directions it lies.
"""

import keras
import tensorflow as tf

from pretext import patches
from pretext.patch_task import PatchTask
from pretext.task import Batch, TaskOptions


class RelativePatchLocation(PatchTask):
    """Relative patch location; see `pretext.task.PretextTask` for what its parts mean.

    Raises:
        ValueError: also if the grid has no patch in its centre.
    """

    name = "relative_patch_location"

    def __init__(self, options: TaskOptions) -> None:
        super().__init__(options)
        patches.check_centre(self.patches)
        self.locations = self.patches - 1
        self.chance = 1 / self.locations

    def head(self, features: int) -> keras.Model:
        pre_logits = keras.Input((features,), name="pre_logits")
        size = 2 * self.options.embedding_size
        pair = keras.layers.Lambda(
            lambda embeddings: tf.reshape(patches.pairs(embeddings), (-1, size)),
            output_shape=lambda _: (None, size),
            name="pairs",
        )
        logits = self.perceptron(size, self.locations)(pair(self.embeddings(pre_logits)))
        return keras.Model({"pre_logits": pre_logits}, logits, name="head")

    def views(self, batch: Batch, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        targets = tf.tile(tf.range(self.locations), [tf.shape(batch["image"])[0]])
        return {"images": self.patch_views(batch)}, targets

    def logits(self, backbone: keras.Model, head: keras.Model, images: tf.Tensor) -> tf.Tensor:
        """(N, locations, locations): a row for each outer patch, in reading order."""
        logits = head({"pre_logits": self.regular_pre_logits(backbone, images)})
        return tf.reshape(logits, (-1, self.locations, self.locations))
