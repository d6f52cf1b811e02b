"""VGG19 with batch normalisation: section 3.1 of the paper."""

import functools

import keras

from models.layers import BatchNormalization, Convolution, WeightDecay

CONVOLUTIONS = (2, 2, 4, 4, 4)
WIDTHS = (8, 16, 32, 64, 64)


def vgg19_bn(
    *,
    widening_factor: int = 4,
    image_size: int = 224,
    representation_size: int | None = None,
    weight_decay: float = 1e-4,
    synchronized_batch_norm: bool = False,
) -> keras.Model:
    """VGG19-BN; k = 8 is the original network.

    The first fully-connected layer is a convolution over the whole map that five poolings leave, so
    the network takes images of one size only. There is no dropout.

    Args:
        widening_factor: k. The stages have 8·k, 16·k, 32·k, 64·k, 64·k channels, the two
            fully-connected layers 512·k.
        image_size: height and width of the images, at least 32.
        representation_size: size of an extra linear layer's output that becomes `pre_logits`.
        weight_decay: wd of the penalty 0.5·wd·‖W‖² on the kernels, in `model.losses`. (The 5e-4 of
            the released code's signature is never reached there.)
        synchronized_batch_norm: whether replicas share their batch statistics.

    Returns:
        A functional model from float images (N, image_size, image_size, 3), usually in [-1, 1], to
        a dict of `block1` … `block4`, the inputs of the 2nd … 5th max-pooling with 16·k, 32·k,
        64·k and 64·k channels, and `pre_logits`, (N, 512·k) or (N, representation_size): the input
        of the task's logits. (The released code names the inputs of the 1st … 4th pooling.)
    """
    k = widening_factor
    regularizer = WeightDecay(weight_decay)
    normalization = functools.partial(BatchNormalization, synchronized=synchronized_batch_norm)

    def normalize_relu(x, name):
        return keras.layers.ReLU(name=f"{name}_relu")(normalization(name=f"{name}_norm")(x))

    def fully_connected(x, name):
        x = keras.layers.Conv2D(
            512 * k, x.shape[1], use_bias=False, kernel_regularizer=regularizer, name=name
        )(x)
        return normalize_relu(x, name)

    images = x = keras.Input((image_size, image_size, 3), name="images")
    outputs = {}
    for stage, (count, width) in enumerate(zip(CONVOLUTIONS, WIDTHS, strict=True), start=1):
        for i in range(1, count + 1):
            name = f"stage{stage}_conv{i}"
            x = Convolution(width * k, 3, kernel_regularizer=regularizer, name=name)(x)
            x = normalize_relu(x, name)
        if stage > 1:
            outputs[f"block{stage - 1}"] = x
        x = keras.layers.MaxPooling2D(name=f"stage{stage}_pool")(x)
    x = fully_connected(x, "fc6")
    x = fully_connected(x, "fc7")
    x = keras.layers.Flatten(name="flatten")(x)
    if representation_size is not None:
        layer = keras.layers.Dense(
            representation_size, kernel_regularizer=regularizer, name="representation"
        )
        x = layer(x)
    outputs["pre_logits"] = x
    return keras.Model(images, outputs, name="vgg19_bn")
