"""What a pretext task is: the contract between a task's file, the trainer and the export."""

import dataclasses
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from data.images import CentralCrop
from data.pipeline import View

Batch = dict[str, tf.Tensor]
Representations = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class TaskOptions:
    """What the tasks can be told; each reads what concerns it.

    Attributes:
        resize_size: pixels of an image's smaller side before a square is cut out of it (the patch
            tasks resize both sides to it); 0 leaves the image's own size.
        crop_size: pixels of the square's sides.
        augmentation: of rotation and supervised: `inception` (a rectangle of random area and
            aspect, resized, flip, colour distortion) or `crop` (a random square, flip).
        weight_decay: of the head's kernels, as 0.5 · weight_decay · ‖W‖²; the perceptron of the
            patch tasks has its own (`pretext.heads`).
        num_classes: of supervised: how many classes the data set has, 0 if it has no labels; None
            as long as the data set is not opened.
        embedding_size: of exemplar's embedding, and of a patch's in the patch tasks.
        grey_probability: of exemplar's views and of patches to turn grey.
        views_per_image: of exemplar.
        margin: of exemplar's triplet loss.
        global_negatives: of exemplar: whether triplets are looked for among the images of all
            replicas, and not of each by itself.
        patch_size: of the patch tasks: pixels of a patch's sides.
        patches_per_side: of the patch tasks: side of the grid.
        permutations: of jigsaw: how many it tells apart.
        permutations_per_image: of jigsaw: how many of them are shown of each image.
        permutations_seed: of jigsaw: what they are generated from.
        permutations_file: of jigsaw: a file in the published format to read them from instead.
        synchronized_batch_norm: of the patch tasks' head: whether the replicas of a strategy share
            their batch statistics.
    """

    resize_size: int = 256
    crop_size: int = 224
    augmentation: str = "inception"
    weight_decay: float = 1e-4
    num_classes: int | None = None
    embedding_size: int = 1000
    grey_probability: float = 2 / 3
    views_per_image: int = 8
    margin: float = 0.5
    global_negatives: bool = False
    patch_size: int = 64
    patches_per_side: int = 3
    permutations: int = 100
    permutations_per_image: int = 16
    permutations_seed: int = 0
    permutations_file: str | None = None
    synchronized_batch_norm: bool = False


def check_embedded_views(options: TaskOptions) -> None:
    """Raises a ValueError for what exemplar and the patch tasks cannot do: they turn views grey
    and embed them.
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
        train_view: what the host cuts out of an image for training.
        pretext_view: what the host cuts out for the pretext metrics on held-out images.
        eval_view: what a probe should feed to the export: a central crop.
        draws: how many uniform random numbers an image brings along for `views`.
        constants: tables that the export carries beside the network, by name.
    """

    name: str
    metric_names: tuple[str, ...]
    train_view: View
    pretext_view: View
    eval_view: CentralCrop
    draws: int
    constants: dict[str, np.ndarray]

    def backbone_options(self, architecture: str) -> dict[str, object]:
        """What the task asks of `models.build`, beyond the user's choice."""

    def head(self, features: int) -> keras.Model:
        """The functional model from what `views` returns to logits.

        Its input is a dict with `pre_logits`, (views, features), in the place of `images`.
        """

    def views(self, batch: Batch, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Makes the network's inputs and their targets from a batch, on the device.

        Args:
            batch: as `data.pipeline.training_batches` gives it, N images.
            training: whether to augment; on held-out images only what the task itself consists
                of is random, by the same draws at every evaluation.

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
