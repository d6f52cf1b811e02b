"""ResNet50 v1, v2 and v2 (-): section 3.1 of the paper, and the released code for what it omits."""

import functools
from collections.abc import Sequence

import keras

from models.layers import BatchNormalization, Convolution, RootPooling, WeightDecay


def resnet50_v1(**options) -> keras.Model:
    """ResNet50 with post-activation bottlenecks (He et al. 2015). Options: see `resnet50`."""
    return resnet50(pre_activation=False, last_relu=True, name="resnet50_v1", **options)


def resnet50_v2(**options) -> keras.Model:
    """ResNet50 with pre-activation bottlenecks (He et al. 2016). Options: see `resnet50`."""
    return resnet50(pre_activation=True, last_relu=True, name="resnet50_v2", **options)


def resnet50_v2_minus(**options) -> keras.Model:
    """ResNet50 v2 without the ReLU before the global average pooling. Options: see `resnet50`."""
    return resnet50(pre_activation=True, last_relu=False, name="resnet50_v2_minus", **options)


def resnet50(
    *,
    pre_activation: bool,
    last_relu: bool,
    name: str,
    widening_factor: int = 4,
    root_stride: int = 2,
    block_strides: Sequence[int] = (2, 2, 2),
    representation_size: int | None = None,
    weight_decay: float = 1e-4,
    units: Sequence[int] = (3, 4, 6, 3),
    synchronized_batch_norm: bool = False,
) -> keras.Model:
    """A ResNet of bottleneck units.

    Args:
        pre_activation: v2, where normalisation and ReLU come before each convolution, or v1.
        last_relu: whether a ReLU stands before the global average pooling (of v2).
        name: the model's name.
        widening_factor: k. The root has 16·k channels, the blocks 64·k, 128·k, 256·k, 512·k.
        root_stride: stride of the root convolution; 1 for patches.
        block_strides: strides of blocks 2, 3 and 4; (2, 2, 1) for patches.
        representation_size: size of an extra linear layer's output that becomes `pre_logits`.
        weight_decay: wd of the penalty 0.5·wd·‖W‖² on the kernels, in `model.losses`.
        units: number of units of the four blocks.
        synchronized_batch_norm: whether replicas share their batch statistics.

    Returns:
        A functional model from float images (N, H, W, 3), usually in [-1, 1], to a dict of
        `block1` … `block4`, maps with 64·k, 128·k, 256·k and 512·k channels, and `pre_logits`,
        (N, 512·k) or (N, representation_size).
    """
    k = widening_factor
    regularizer = WeightDecay(weight_decay)
    convolution = functools.partial(Convolution, kernel_regularizer=regularizer)
    normalization = functools.partial(BatchNormalization, synchronized=synchronized_batch_norm)

    def normalize_relu(x, name):
        return keras.layers.ReLU(name=f"{name}_relu")(normalization(name=f"{name}_norm")(x))

    def unit_v1(x, filters, stride, name):
        shortcut = x
        if stride > 1 or x.shape[-1] != filters:
            shortcut = convolution(filters, 1, stride, name=f"{name}_shortcut")(x)
            shortcut = normalization(name=f"{name}_shortcut_norm")(shortcut)
        x = convolution(filters // 4, 1, name=f"{name}_conv1")(x)
        x = normalize_relu(x, f"{name}_conv1")
        x = convolution(filters // 4, 3, stride, name=f"{name}_conv2")(x)
        x = normalize_relu(x, f"{name}_conv2")
        x = convolution(filters, 1, name=f"{name}_conv3")(x)
        x = normalization(name=f"{name}_conv3_norm")(x)
        x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def unit_v2(x, filters, stride, name):
        shortcut = x
        x = normalize_relu(x, name)
        if stride > 1 or x.shape[-1] != filters:
            shortcut = convolution(filters, 1, stride, name=f"{name}_shortcut")(x)
        x = convolution(filters // 4, 1, name=f"{name}_conv1")(x)
        x = normalize_relu(x, f"{name}_conv1")
        x = convolution(filters // 4, 3, stride, name=f"{name}_conv2")(x)
        x = normalize_relu(x, f"{name}_conv2")
        x = convolution(filters, 1, name=f"{name}_conv3")(x)
        return keras.layers.Add(name=f"{name}_add")([x, shortcut])

    unit = unit_v2 if pre_activation else unit_v1
    images = keras.Input((None, None, 3), name="images")
    x = convolution(16 * k, 7, root_stride, name="root")(images)
    if not pre_activation:
        x = normalize_relu(x, "root")
    x = RootPooling(name="root_pool")(x)
    outputs = {}
    for block, (count, stride) in enumerate(zip(units, (1, *block_strides), strict=True), start=1):
        for i in range(1, count + 1):
            name_of_unit = f"block{block}_unit{i}"
            x = unit(x, 2 ** (block + 5) * k, stride if i == 1 else 1, name_of_unit)
        outputs[f"block{block}"] = x
    if pre_activation:
        x = normalization(name="last_norm")(x)
        if last_relu:
            x = keras.layers.ReLU(name="last_relu")(x)
    outputs["pre_logits"] = represent(x, representation_size, regularizer)
    return keras.Model(images, outputs, name=name)


def represent(x, size: int | None, regularizer: keras.regularizers.Regularizer):
    """Averages a map (N, H, W, C) over space, and maps it linearly to `size` values if given.

    The linear layer sets the size of the representation independently of the width (4.6).
    """
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    if size is None:
        return x
    return keras.layers.Dense(size, kernel_regularizer=regularizer, name="representation")(x)
