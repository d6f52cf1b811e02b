"""The supervised baseline: the same training with labels instead of a pretext task.

[C] ResNet50, batch 256, learning rate 0.1, 90 epochs with decays after 30, 60 and 80.
"""

import keras
import numpy as np
import tensorflow as tf

from pretext import whole_images
from pretext.classification import ACCURACIES, accuracies, cross_entropy, linear_head
from pretext.task import Batch, Representations, TaskOptions


class Supervised:
    """The baseline; see `pretext.task.PretextTask` for what its parts mean.

    Raises:
        ValueError: the data set has no labels.
    """

    name = "supervised"
    metric_names = ACCURACIES

    def __init__(self, options: TaskOptions) -> None:
        if options.num_classes == 0:
            raise ValueError(
                "--task=supervised needs labels and the data set has none: a folder needs a "
                "sub-folder for every class"
            )
        self.options = options
        self.train_view = whole_images.train_view(options)
        self.pretext_view = self.eval_view = whole_images.central_view(options)
        self.draws = whole_images.draws(options)
        self.constants: dict[str, np.ndarray] = {}

    def backbone_options(self, architecture: str) -> dict[str, object]:
        return {}

    def head(self, features: int) -> keras.Model:
        return linear_head(features, self.options.num_classes, self.options.weight_decay)

    def views(self, batch: Batch, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        pictures = whole_images.pictures(batch, self.options, training)
        return {"images": pictures}, batch["label"]

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
