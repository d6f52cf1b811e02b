"""What jigsaw and relative patch location share: the patches, the head, the average over patches.

Images are resized to 292×292, and a random 255×255 of them is divided into 3×3 cells (the sizes are
flags). Every patch passes through the network once, and a linear layer makes its embedding; the
tasks differ in what they concatenate and predict. Views are not mirrored, as in the released code.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from data import images as host
from models.layers import BatchNormalization, WeightDecay
from pretext import patches, tiles
from pretext.task import (
    ACCURACIES,
    Batch,
    Representations,
    TaskOptions,
    accuracies,
    check_embedded_views,
    cross_entropy,
)

# The released code probes on a central 192×192 of images whose smaller side has 224 pixels.
RESIZE_PER_CROP = 224 / 192
PERCEPTRON_WEIGHT_DECAY = 5e-4


class PatchTask:
    """The part of a `pretext.task.PretextTask` that both patch tasks share.

    Held-out images are shown as in training, from the central crop: patches at random
    positions in their cells, some of them grey, by draws that depend on the image alone and so are
    the same after every epoch.

    Raises:
        ValueError: the patches do not fit into the crop, or an option is out of range.
    """

    metric_names = ACCURACIES

    def __init__(self, options: TaskOptions) -> None:
        patches.check(options.crop_size, options.patch_size, options.patches_per_side)
        check_embedded_views(options)
        self.options = options
        self.patches = options.patches_per_side**2
        self.grid = {
            "patches_per_side": options.patches_per_side,
            "patch_size": options.patch_size,
        }
        resize_size, crop_size = options.resize_size, options.crop_size
        self.train_view = host.RandomCrop(resize_size, crop_size, flip=False, keep_aspect=False)
        self.pretext_view = host.CentralCrop(
            resize_size, crop_size, keep_aspect=False, method="bilinear"
        )
        whole = options.patches_per_side * options.patch_size
        self.eval_view = host.CentralCrop(round(whole * RESIZE_PER_CROP), whole)
        self.draws = self.patches * patches.DRAWS
        self.constants: dict[str, np.ndarray] = {}

    def backbone_options(self, architecture: str) -> dict[str, object]:
        """The released code's smaller strides for patches; VGG has no such options."""
        options: dict[str, object] = {"image_size": self.options.patch_size}
        if architecture != "vgg19_bn":
            options |= {"root_stride": 1, "block_strides": (2, 2, 1)}
        return options

    def embeddings(self, pre_logits: keras.KerasTensor) -> keras.KerasTensor:
        """The linear layer from (N · patches, features) to (N, patches, embedding_size)."""
        embeddings = keras.layers.Dense(
            self.options.embedding_size,
            kernel_regularizer=WeightDecay(self.options.weight_decay),
            name="embedding",
        )(pre_logits)
        return keras.ops.reshape(embeddings, (-1, self.patches, self.options.embedding_size))

    def perceptron(self, input_size: int, num_classes: int) -> keras.Model:
        """The last part of the head: from rows of concatenated embeddings to logits."""
        return patch_head(
            input_size,
            num_classes,
            synchronized_batch_norm=self.options.synchronized_batch_norm,
        )

    def patch_views(self, batch: Batch) -> tf.Tensor:
        """(N, crop, crop, 3) images to (N · patches, patch, patch, 3) standardised patches."""
        views = patches.random_patches(
            batch["image"],
            batch["draws"][:, : self.patches * patches.DRAWS],
            grey_probability=self.options.grey_probability,
            **self.grid,
        )
        return tf.reshape(views, (-1, *views.shape[2:]))

    def check_batch(self, images: int, replicas: int) -> None:
        """One image is enough: the task distinguishes its views."""

    def loss(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return cross_entropy(targets, logits)

    def metrics(self, targets: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        return accuracies(targets, logits)

    def board(
        self, inputs: dict[str, np.ndarray], image: int, places: Sequence[int | None]
    ) -> np.ndarray:
        """An image's patches as the network sees them: by place the patch's number, or None."""
        views = inputs["images"][image * self.patches : (image + 1) * self.patches]
        pictures = [
            None if each is None else tiles.from_standardised(views[each]) for each in places
        ]
        return tiles.board(pictures, self.options.patches_per_side)

    def overview(self, inputs: dict[str, np.ndarray], image: int) -> list[tiles.Tile]:
        in_place = self.board(inputs, image, range(self.patches))
        return [tiles.Tile(in_place, f"patches 0 to {self.patches - 1}, in place")]

    def answers(self, targets: np.ndarray, logits: np.ndarray) -> tiles.Answers:
        return tiles.of_softmax(targets, logits, self.named)

    def represent(
        self, backbone: keras.Model, images: tf.Tensor, training: bool
    ) -> Representations:
        """The average over the patches in the middle of their cells, in colour (section 3.3)."""
        return patches.average(self._regular(backbone, images, training), self.patches)

    def represent_patches(
        self, backbone: keras.Model, images: tf.Tensor, training: bool
    ) -> Representations:
        """The representations of the same patches one by one, by layer (N, patches, …).

        A probe pools each patch's map before averaging; maximum and average do not commute.
        """
        return patches.by_image(self._regular(backbone, images, training), self.patches)

    def regular_pre_logits(self, backbone: keras.Model, images: tf.Tensor) -> tf.Tensor:
        """The `pre_logits` of the patches in the middle of their cells, one by one."""
        return self._regular(backbone, images, training=False)["pre_logits"]

    def _regular(self, backbone: keras.Model, images: tf.Tensor, training: bool) -> Representations:
        views = patches.regular_patches(images * 255.0, **self.grid)
        return backbone(tf.reshape(views, (-1, *views.shape[2:])), training=training)


def patch_head(
    input_size: int,
    num_classes: int,
    *,
    hidden_size: int = 4096,
    dropout: float = 0.5,
    synchronized_batch_norm: bool = False,
) -> keras.Model:
    """Linear layer, batch normalisation, ReLU, dropout, linear layer.

    The paper's "two hidden layer" perceptron (section 3.2) counts the embeddings themselves as the
    first. Momentum 0.997, epsilon 1e-5, weight decay 5e-4 (as 0.5·wd·‖W‖²) and the initial values
    (kernels from a truncated normal distribution of standard deviation 0.005, hidden biases 0.1)
    are the released code's; they are fixed and differ from the backbone's.

    Args:
        input_size: of the concatenated embeddings, C · K for K patches.
        num_classes: number of permutations or positions.
        hidden_size: units of the hidden layer.
        dropout: the fraction of hidden units that is dropped in training.
        synchronized_batch_norm: whether the replicas of a strategy share their batch statistics.

    Returns:
        A functional model from (examples, input_size) to float32 logits (examples, num_classes).

    Raises:
        ValueError: if a size is not positive or the dropout not in [0, 1).
    """
    sizes = {"input_size": input_size, "num_classes": num_classes, "hidden_size": hidden_size}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} of the patch head must be positive, got {size}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout of the patch head must be in [0, 1), got {dropout}")

    def linear(units: int, bias: float, **options) -> keras.layers.Dense:
        return keras.layers.Dense(
            units,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.005),
            bias_initializer=keras.initializers.Constant(bias),
            kernel_regularizer=WeightDecay(PERCEPTRON_WEIGHT_DECAY),
            **options,
        )

    embeddings = keras.Input((input_size,), name="embeddings")
    x = linear(hidden_size, 0.1, name="hidden")(embeddings)
    x = BatchNormalization(
        momentum=0.997, epsilon=1e-5, synchronized=synchronized_batch_norm, name="hidden_bn"
    )(x)
    x = keras.layers.ReLU(name="hidden_relu")(x)
    x = keras.layers.Dropout(dropout, name="hidden_dropout")(x)
    logits = linear(num_classes, 0.0, dtype="float32", name="logits")(x)
    return keras.Model(embeddings, logits, name="patch_head")
