"""The interface of a pretext task, its options, and what tasks that end in a softmax share."""

import dataclasses
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from data.images import CentralCrop
from data.pipeline import View
from models.layers import WeightDecay
from training.options import option

Batch = dict[str, tf.Tensor]
Representations = dict[str, tf.Tensor]

PATCH_TASKS = ("jigsaw", "relative_patch_location")
EMBEDDING_TASKS = ("exemplar", *PATCH_TASKS)
LARGEST_SIDE = 8192  # pixels
ACCURACIES = ("accuracy", "loss")  # what `accuracies` returns


@dataclasses.dataclass(frozen=True)
class TaskOptions:
    """The options of all tasks; each reads those that apply to it.

    Attributes:
        weight_decay: of the head's kernels, as 0.5 · weight_decay · ‖W‖²; the perceptron of the
            patch tasks has its own (`pretext.patch_task`).
        synchronized_batch_norm: of the patch tasks' head: whether the replicas of a strategy share
            their batch statistics.
        num_classes: of supervised: how many classes the data set has, 0 if it has no labels; None
            before the data set is opened.
    """

    resize_size: int = option(
        256,
        "Pixels of the smaller side before cropping; 0 keeps the image's size. For jigsaw and "
        "relative_patch_location, of both sides. auto: 256, for these two 292.",
        auto=True,
        minimum=0,
        maximum=LARGEST_SIDE,
    )
    crop_size: int = option(
        224,
        "Pixels of the crop's sides. Jigsaw and relative_patch_location cut their patches out of "
        "it. auto: 224, for these two 255.",
        auto=True,
        minimum=1,
        maximum=LARGEST_SIDE,
    )
    augmentation: str = option(
        "inception",
        "For rotation and supervised: inception (random area, aspect ratio, flip and colour) or "
        "crop (random position and flip).",
        choices=("inception", "crop"),
        only_for=("rotation", "supervised"),
    )
    embedding_size: int = option(
        1000,
        "For exemplar, jigsaw, relative_patch_location: size of the embedding of a view or patch.",
        minimum=1,
        maximum=65_536,
        only_for=EMBEDDING_TASKS,
    )
    grey_probability: float = option(
        2 / 3,
        "For exemplar, jigsaw, relative_patch_location: the probability of converting a view or "
        "patch to greyscale.",
        minimum=0,
        maximum=1,
        only_for=EMBEDDING_TASKS,
    )
    views_per_image: int = option(
        8,
        "For exemplar: random augmentations of each image.",
        minimum=2,
        maximum=1024,
        only_for=("exemplar",),
    )
    margin: float = option(
        0.5,
        "For exemplar: the margin of the triplet loss, between squared distances.",
        minimum=1e-6,
        maximum=1e6,
        only_for=("exemplar",),
    )
    global_negatives: bool = option(
        False,
        "For exemplar: mine triplets among the images of all devices, not of each separately.",
        only_for=("exemplar",),
    )
    patch_size: int = option(
        64,
        "For jigsaw, relative_patch_location: pixels of a patch's sides.",
        minimum=1,
        maximum=LARGEST_SIDE,
        only_for=PATCH_TASKS,
    )
    patches_per_side: int = option(
        3,
        "For jigsaw, relative_patch_location: the crop is divided into a grid of this many a side.",
        minimum=2,
        maximum=64,
        only_for=PATCH_TASKS,
    )
    permutations: int = option(
        100,
        "For jigsaw: how many permutations are told apart.",
        minimum=2,
        maximum=10_000,
        only_for=("jigsaw",),
    )
    permutations_per_image: int = option(
        16,
        "For jigsaw: permutations shown of an image per epoch.",
        minimum=1,
        maximum=10_000,
        only_for=("jigsaw",),
    )
    permutations_seed: int = option(
        0,
        "For jigsaw: the seed that the permutations are generated from.",
        minimum=0,
        maximum=2**31 - 1,
        only_for=("jigsaw",),
    )
    permutations_file: str | None = option(
        None,
        "For jigsaw: read the permutations from a file in the published binary format.",
        path=True,
        only_for=("jigsaw",),
    )
    weight_decay: float = 1e-4
    synchronized_batch_norm: bool = False
    num_classes: int | None = None


def check_embedded_views(options: TaskOptions) -> None:
    """Raises a ValueError for invalid options of exemplar and the patch tasks, which convert views
    to greyscale and embed them.
    """
    if not 0 <= options.grey_probability <= 1:
        raise ValueError(f"--grey_probability={options.grey_probability} must be between 0 and 1")
    if options.embedding_size < 1:
        raise ValueError(f"--embedding_size={options.embedding_size} must be at least 1")


class PretextTask(Protocol):
    """A task: the views and targets made from a batch of images, the head, the loss.

    Attributes:
        name: as in `--task`.
        metric_names: the names of what `metrics` returns.
        chance: the first metric of a network that guesses.
        train_view: what the host cuts out of an image for training.
        pretext_view: what the host cuts out for the pretext metrics on held-out images.
        eval_view: what a probe should feed to the export: a central crop.
        draws: how many uniform random numbers accompany an image for `views`.
        constants: tables that are exported with the network, by name.
    """

    name: str
    metric_names: tuple[str, ...]
    chance: float
    train_view: View
    pretext_view: View
    eval_view: CentralCrop
    draws: int
    constants: dict[str, np.ndarray]

    def backbone_options(self, architecture: str) -> dict[str, object]:
        """The arguments of `models.build` that the task requires, whatever the user's options."""

    def check_batch(self, images: int, replicas: int) -> None:
        """Raises a ValueError if a batch is too small for the task.

        Args:
            images: of a replica's batch or micro-batch.
            replicas: how many there are.
        """

    def head(self, features: int) -> keras.Model:
        """The functional model from what `views` returns to logits.

        Its input is that dict with `pre_logits`, (views, features), in place of `images`.
        """

    def views(self, batch: Batch, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Makes the network's inputs and their targets from a batch, on the device.

        Args:
            batch: as `data.pipeline.training_batches` gives it, N images.
            training: whether to augment; on held-out images only what the task itself consists of
                is random, with the same draws at every evaluation.

        Returns:
            A dict with `images`, float32, (views, H, W, 3), and anything else the head takes;
            and the targets. Views of one image lie side by side.
        """

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """The mean loss, a float32 scalar, without weight decay."""

    def metrics(self, targets: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """Values by example, each of shape (examples,); examples of one image side by side."""

    def logits(self, backbone: keras.Model, head: keras.Model, images: tf.Tensor) -> tf.Tensor:
        """The trained network's logits for whole images; arguments as for `represent`."""

    def represent(
        self, backbone: keras.Model, images: tf.Tensor, training: bool
    ) -> Representations:
        """The representations of whole images, by layer.

        Args:
            backbone: as `models.build` makes it.
            images: float32 in [0, 1], RGB, (N, H, W, 3).
            training: whether batch normalisation takes the batch's statistics.
        """


def linear_head(features: int, classes: int, weight_decay: float) -> keras.Model:
    """The logits layer: with a bias, float32 whatever the backbone computes in.

    Args:
        features: the size of `pre_logits`.
        classes: how many logits.
        weight_decay: of the kernel, as 0.5 · weight_decay · ‖W‖².

    Returns:
        A functional model from `{"pre_logits": (N, features)}` to logits, (N, classes).
    """
    pre_logits = keras.Input((features,), name="pre_logits")
    logits = keras.layers.Dense(
        classes,
        kernel_regularizer=WeightDecay(weight_decay),
        dtype="float32",
        name="logits",
    )(pre_logits)
    return keras.Model({"pre_logits": pre_logits}, logits, name="head")


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The mean softmax cross-entropy: targets (N,) of integers, logits (N, classes)."""
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    )


def accuracies(targets: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
    """`accuracy`, 1 where the largest logit is the target's and 0 elsewhere, and `loss`: (N,)."""
    predicted = tf.argmax(logits, axis=-1, output_type=targets.dtype)
    return {
        "accuracy": tf.cast(predicted == targets, tf.float32),
        "loss": tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits),
    }
