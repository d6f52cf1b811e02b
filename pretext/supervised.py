"""The supervised baseline: the same training with labels instead of a pretext task.

Released code: ResNet50, batch 256, learning rate 0.1, 90 epochs with decays after 30, 60 and 80.
"""

import keras
import tensorflow as tf

from pretext.task import Batch, TaskOptions, linear_head
from pretext.whole_images import WholeImageTask


class Supervised(WholeImageTask):
    """The baseline; see `pretext.task.PretextTask` for what its parts mean.

    Raises:
        ValueError: the data set has no labels, or one class alone.
    """

    name = "supervised"

    def __init__(self, options: TaskOptions) -> None:
        if options.num_classes == 0:
            raise ValueError(
                "--task=supervised needs labels and the data set has none: a folder needs a "
                "sub-folder for every class"
            )
        if options.num_classes == 1:
            raise ValueError(
                "--task=supervised needs two classes to tell apart, and the data set has one"
            )
        super().__init__(options)
        self.chance = 1 / (options.num_classes or 1)

    def head(self, features: int) -> keras.Model:
        return linear_head(features, self.options.num_classes, self.options.weight_decay)

    def views(self, batch: Batch, training: bool) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        return {"images": self.pictures(batch, training)}, batch["label"]
