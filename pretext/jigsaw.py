"""Jigsaw: the network predicts how nine patches were shuffled (section 3.2; Noroozi & Favaro 2016).

The nine patches of an image pass through the network once. Their embeddings are concatenated in the
order of each of 16 permutations, drawn for the image from a fixed set of 100, and a perceptron with
a hidden layer predicts which permutation it is. (The released code draws 8 for a whole batch.)
"""

import keras
import numpy as np
import tensorflow as tf

from pretext import patches, permutations
from pretext.patch_task import PatchTask
from pretext.task import Batch, TaskOptions


class Jigsaw(PatchTask):
    """The jigsaw task; see `pretext.task.PretextTask` for what its parts mean.

    The export carries `permutations`, int32, (permutations, patches): row r is class r, and its
    entry p is the patch in position p.

    Raises:
        ValueError: also if there are not as many permutations as asked for.
    """

    name = "jigsaw"

    def __init__(self, options: TaskOptions) -> None:
        super().__init__(options)
        self.permutations = _permutations(options)
        if not 1 <= options.permutations_per_image <= options.permutations:
            raise ValueError(
                f"--permutations_per_image={options.permutations_per_image} must be between 1 and "
                f"--permutations={options.permutations}"
            )
        self.chance = 1 / options.permutations
        self.draws += options.permutations
        self.constants = {"permutations": self.permutations}

    def head(self, features: int) -> keras.Model:
        pre_logits = keras.Input((features,), name="pre_logits")
        order = keras.Input((None, self.patches), dtype="int32", name="permutations")
        size = self.patches * self.options.embedding_size
        concatenate = keras.layers.Lambda(
            lambda inputs: tf.reshape(patches.concatenate_permuted(*inputs), (-1, size)),
            output_shape=lambda _: (None, size),
            name="concatenate",
        )
        rows = concatenate([self.embeddings(pre_logits), order])
        logits = self.perceptron(size, len(self.permutations))(rows)
        return keras.Model({"pre_logits": pre_logits, "permutations": order}, logits, name="head")

    def views(self, batch: Batch, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        # The indices of the largest draws are a random choice without repetition.
        draws = batch["draws"][:, -len(self.permutations) :]
        chosen = tf.math.top_k(draws, self.options.permutations_per_image).indices
        inputs = {
            "images": self.patch_views(batch),
            "permutations": tf.gather(tf.constant(self.permutations), chosen),
        }
        return inputs, tf.reshape(chosen, [-1])

    def logits(self, backbone: keras.Model, head: keras.Model, images: tf.Tensor) -> tf.Tensor:
        """Takes images for puzzles: (N, permutations), the order in which their patches appear."""
        pre_logits = self.regular_pre_logits(backbone, images)
        as_they_stand = tf.broadcast_to(
            tf.range(self.patches), (tf.shape(images)[0], 1, self.patches)
        )
        return head({"pre_logits": pre_logits, "permutations": as_they_stand})


def _permutations(options: TaskOptions) -> np.ndarray:
    """The set of permutations, from the file or else from the seed."""
    size, count = options.patches_per_side**2, options.permutations
    if not options.permutations_file:
        try:
            return permutations.generate(count, size, options.permutations_seed)
        except ValueError as error:
            raise ValueError(
                f"--permutations={count}, --patches_per_side={options.patches_per_side}, "
                f"--permutations_seed={options.permutations_seed}: {error}"
            ) from error
    table = permutations.read_file(options.permutations_file)
    if table.shape[1] != size:
        raise ValueError(
            f"{options.permutations_file} holds permutations of {table.shape[1]} patches, "
            f"but --patches_per_side={options.patches_per_side} gives {size}"
        )
    if not 2 <= count <= len(table):
        raise ValueError(
            f"--permutations={count} must be between 2 and the {len(table)} of "
            f"{options.permutations_file}"
        )
    return table[:count]
