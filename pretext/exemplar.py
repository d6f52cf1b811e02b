"""Exemplar: every image is a class of its own (section 3.2; Dosovitskiy et al. 2014).

Eight random augmentations of each image (translation, scale, aspect, flip, contrast and colour:
the Inception recipe, all four colour operations; then converted to greyscale with probability 2/3,
and standardised) are pulled together and pushed away from those of other images by a triplet loss
with semi-hard negatives. The 1000-dimensional logits are the embedding, each scaled to length 1.
"""

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from data import images as host
from models.layers import WeightDecay
from pretext import colour, replicas
from pretext.task import Batch, Representations, TaskOptions, check_embedded_views
from pretext.triplet import check_margin, semi_hard_triplet_loss

DRAWS = colour.DRAWS + 1  # of a view: its colours, and whether it is converted to greyscale
HELD_OUT_VIEWS = 2
CANDIDATES = 64  # among which the other view of an image is retrieved


class Exemplar:
    """The exemplar task; see `pretext.task.PretextTask` for what its parts mean.

    The targets are the images' indices in the batch, (N, views), −1 for padding.

    Raises:
        ValueError: fewer than two views per image, or an option is out of range.
    """

    name = "exemplar"
    metric_names = ("retrieval",)
    chance = 1 / CANDIDATES

    def __init__(self, options: TaskOptions) -> None:
        if options.views_per_image < 2:
            raise ValueError(
                f"--views_per_image={options.views_per_image} must be at least 2: exemplar "
                "compares views of one image"
            )
        check_margin(options.margin)
        check_embedded_views(options)
        self.options = options
        crop = host.InceptionCrop(options.crop_size)
        self.train_view = host.Views(crop, options.views_per_image)
        self.pretext_view = host.Views(crop, HELD_OUT_VIEWS)
        self.eval_view = host.CentralCrop(options.resize_size, options.crop_size)
        self.draws = options.views_per_image * DRAWS
        self.constants: dict[str, np.ndarray] = {}

    def backbone_options(self, architecture: str) -> dict[str, object]:
        return {}

    def check_batch(self, images: int, replicas: int) -> None:
        """Raises a ValueError, which names the flags, if a batch has no negatives.

        Args:
            images: of a replica's batch or micro-batch.
            replicas: how many there are.
        """
        if images * (replicas if self.options.global_negatives else 1) < 2:
            raise ValueError(
                "--task=exemplar needs two images to compare and a device's batch has one: use a "
                "larger --batch_size or a smaller --gradient_accumulation"
                + (", or --global_negatives" if replicas > 1 else "")
            )

    def head(self, features: int) -> keras.Model:
        pre_logits = keras.Input((features,), name="pre_logits")
        logits = keras.layers.Dense(
            self.options.embedding_size,
            kernel_regularizer=WeightDecay(self.options.weight_decay),
            dtype="float32",
            name="logits",
        )(pre_logits)
        embedding = keras.layers.UnitNormalization(dtype="float32", name="embedding")(logits)
        return keras.Model({"pre_logits": pre_logits}, embedding, name="head")

    def views(self, batch: Batch, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Held-out views are distorted too: to be invariant to that is the task."""
        views = batch["image"].shape[1]
        images = tf.reshape(batch["image"], (-1, *batch["image"].shape[2:]))
        draws = tf.reshape(batch["draws"][:, : views * DRAWS], (-1, DRAWS))
        images = colour.distort(tf.cast(images, tf.float32) / 255.0, draws, fast=False)
        images = colour.grey(images, draws[:, colour.DRAWS], self.options.grey_probability)
        index = tf.range(tf.shape(batch["image"])[0])
        targets = tf.tile(tf.where(batch["valid"] > 0, index, -1)[:, None], [1, views])
        return {"images": colour.standardise(images * 255.0)}, targets

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """With global negatives, every replica computes the one loss of all replicas' images."""
        labels = tf.reshape(targets, [-1])
        if self.options.global_negatives:
            # An index in a replica's batch identifies an image only together with the replica.
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            first = tf.cast(replica, labels.dtype) * tf.shape(targets)[0]
            labels = tf.where(labels < 0, labels, labels + first)
            logits, labels = replicas.gather(logits), replicas.gather(labels)
        return semi_hard_triplet_loss(logits, labels, self.options.margin)

    def metrics(self, targets: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """`retrieval`: whether a view's closest of 64 is the next view of its image; see below."""
        images, views = targets.shape
        others = views * ((images or CANDIDATES) - 1)
        if others < CANDIDATES - 1:
            logging.warning(
                "retrieval among %d views and not %d: a device's batch has only %d images",
                others + 1,
                CANDIDATES,
                images,
            )
        return {"retrieval": retrieval(targets, logits)}

    def logits(self, backbone: keras.Model, head: keras.Model, images: tf.Tensor) -> tf.Tensor:
        """The embeddings of whole images, (N, embedding_size), of length 1."""
        return head({"pre_logits": self.represent(backbone, images, training=False)["pre_logits"]})

    def represent(
        self, backbone: keras.Model, images: tf.Tensor, training: bool
    ) -> Representations:
        return backbone(colour.standardise(images * 255.0), training=training)


def retrieval(targets: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
    """Whether a view is closer to the next view of its image than to 63 views of other images.

    The 63 are views of the images that follow in the batch, around its end. Where there are fewer
    (33 images with two views are enough), there are fewer to choose from. A tie is a failure.

    Args:
        targets: (N, views) integers; −1 for padding, which is never a candidate.
        embeddings: (N · views, D) of length 1, the views of an image side by side.

    Returns:
        (N · views,) float32 of 0 and 1; chance level is 1/64.
    """
    views = targets.shape[1]
    by_image = tf.reshape(embeddings, (-1, views, embeddings.shape[-1]))
    next_view = tf.reduce_sum(by_image * tf.roll(by_image, -1, axis=1), axis=-1)

    # How many images further on in the batch every image is, not counting padding.
    valid = targets[:, 0] >= 0
    index = tf.cumsum(tf.cast(valid, tf.int32))
    ahead = tf.math.floormod(index[None, :] - index[:, None], tf.maximum(index[-1], 1))
    order = (ahead[:, :, None] - 1) * views + tf.range(views)
    chosen = valid[None, :, None] & (order >= 0) & (order < CANDIDATES - 1)

    products = tf.matmul(embeddings, embeddings, transpose_b=True)
    products = tf.reshape(products, (-1, views, tf.shape(targets)[0], views))
    products = tf.where(chosen[:, None], products, -float("inf"))
    closest = tf.reduce_max(products, axis=(2, 3))
    return tf.reshape(tf.cast(next_view > closest, tf.float32), [-1])
