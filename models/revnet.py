"""RevNet50 and RevNet50 (-): section 3.1 of the paper, and the released code for what it omits."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from models.layers import PACKAGE, BatchNormalization, Convolution, RootPooling, WeightDecay
from models.resnet import represent
from models.reversible import ReversibleBlock


def revnet50(**options) -> keras.Model:
    """RevNet50 with a ReLU before the global average pooling. Options: see `revnet`."""
    return revnet(last_relu=True, name="revnet50", **options)


def revnet50_minus(**options) -> keras.Model:
    """RevNet50 without the ReLU before the global average pooling. Options: see `revnet`."""
    return revnet(last_relu=False, name="revnet50_minus", **options)


@keras.saving.register_keras_serializable(PACKAGE)
class Downsampling(keras.layers.Layer):
    """Average pooling by the stride, then as many channels of zeros on both sides.

    (N, H, W, C) to (N, ceil(H/stride), ceil(W/stride), filters): what stands between two reversible
    blocks. As in the released code, a window that reaches over the border averages the pixels that
    it covers.

    Args:
        filters: number of output channels, at least C.
        stride: size and stride of the pooling window.

    Raises:
        ValueError: a side has fewer pixels than the stride; where H and W are known at run time
            only, a tf.errors.InvalidArgumentError.
    """

    def __init__(self, filters: int, stride: int, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.stride = stride

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        height_width = inputs.shape[1:3]
        if None in height_width:
            tf.debugging.assert_greater_equal(
                tf.shape(inputs)[1:3],
                self.stride,
                "images are too small for the network's strides",
            )
        elif min(height_width) < self.stride:
            raise ValueError(
                f"images must be larger for the network's strides: a map of "
                f"{height_width[0]}×{height_width[1]} is left before a stride of {self.stride}"
            )
        x = tf.nn.avg_pool2d(inputs, self.stride, self.stride, padding="SAME")
        missing = self.filters - inputs.shape[-1]
        return tf.pad(x, [[0, 0], [0, 0], [0, 0], [missing // 2, missing - missing // 2]])

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        n, height, width, _ = input_shape
        sizes = (None if size is None else -(-size // self.stride) for size in (height, width))
        return (n, *sizes, self.filters)

    def get_config(self) -> dict:
        return super().get_config() | {"filters": self.filters, "stride": self.stride}


def revnet(
    *,
    last_relu: bool,
    name: str,
    widening_factor: int = 4,
    root_stride: int = 2,
    block_strides: Sequence[int] = (2, 2, 2),
    representation_size: int | None = None,
    weight_decay: float = 1e-4,
    units: Sequence[int] = (3, 4, 6, 3),
    reversible: bool = True,
    synchronized_batch_norm: bool = False,
) -> keras.Model:
    """A network of four reversible blocks.

    Args:
        last_relu: whether a ReLU stands before the global average pooling.
        name: the model's name.
        widening_factor: k. The root has 64·k channels (and no weight decay, as in the released
            code), the blocks 64·k, 128·k, 256·k, 512·k.
        root_stride: stride of the root convolution; 1 for patches.
        block_strides: strides of blocks 2, 3 and 4; (2, 2, 1) for patches.
        representation_size: size of an extra linear layer's output that becomes `pre_logits`.
        weight_decay: wd of the penalty 0.5·wd·‖W‖² on the kernels, in `model.losses`.
        units: number of units of the four blocks.
        reversible: whether the backward pass reconstructs activations instead of storing them.
        synchronized_batch_norm: whether replicas share their batch statistics.

    Returns:
        A functional model from float images (N, H, W, 3), usually in [-1, 1], to a dict of
        `block1` … `block4`, maps with 64·k, 128·k, 256·k and 512·k channels, and `pre_logits`,
        (N, 512·k) or (N, representation_size).
    """
    k = widening_factor
    images = keras.Input((None, None, 3), name="images")
    x = Convolution(64 * k, 7, root_stride, name="root")(images)
    x = RootPooling(name="root_pool")(x)
    outputs = {}
    for block, (count, stride) in enumerate(zip(units, (1, *block_strides), strict=True), start=1):
        if block > 1:
            x = Downsampling(2 ** (block + 5) * k, stride, name=f"block{block}_downsampling")(x)
        x = ReversibleBlock(
            count, weight_decay, reversible, synchronized_batch_norm, name=f"block{block}"
        )(x)
        outputs[f"block{block}"] = x
    x = BatchNormalization(synchronized=synchronized_batch_norm, name="last_norm")(x)
    if last_relu:
        x = keras.layers.ReLU(name="last_relu")(x)
    outputs["pre_logits"] = represent(x, representation_size, WeightDecay(weight_decay))
    return keras.Model(images, outputs, name=name)
