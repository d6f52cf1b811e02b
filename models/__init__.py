"""The six architectures of the study: from a batch of images to five named outputs."""

import keras

from models import resnet

_FAMILY = {
    "resnet50_v1": resnet.resnet50_v1,
    "resnet50_v2": resnet.resnet50_v2,
    "resnet50_v2_minus": resnet.resnet50_v2_minus,
    "revnet50": None,
    "revnet50_minus": None,
    "vgg19_bn": None,
}
NAMES = tuple(_FAMILY)
_DEFAULTS = {
    "root_stride": 2,
    "block_strides": (2, 2, 2),
    "representation_size": None,
    "units": (3, 4, 6, 3),
    "reversible": True,
}


def build(
    name: str,
    *,
    widening_factor: int = 4,
    image_size: int = 224,
    root_stride: int = 2,
    block_strides: tuple[int, int, int] = (2, 2, 2),
    representation_size: int | None = None,
    weight_decay: float | None = None,
    units: tuple[int, int, int, int] = (3, 4, 6, 3),
    reversible: bool = True,
    synchronized_batch_norm: bool = False,
) -> keras.Model:
    """Builds one of the six networks.

    Args:
        name: one of `NAMES`.
        widening_factor: k, a positive integer that multiplies every number of channels.
        image_size: height and width of the images. ResNets and RevNets take any size later;
            VGG takes only this one.
        root_stride: stride of the root convolution (ResNet, RevNet); 1 for patches.
        block_strides: strides of blocks 2, 3 and 4 (ResNet, RevNet); (2, 2, 1) for patches.
        representation_size: size of an extra linear layer whose output becomes `pre_logits`;
            None for none.
        weight_decay: wd of the penalty 0.5·wd·‖W‖² on the kernels, found in `model.losses`; None
            for the architecture's own (1e-4, VGG 5e-4).
        units: number of units in the four blocks (ResNet, RevNet).
        reversible: whether the backward pass reconstructs activations instead of storing them
            (RevNet); the gradients are the same.
        synchronized_batch_norm: whether the replicas of a strategy share their batch statistics.

    Returns:
        A functional `keras.Model` from float images (N, H, W, 3), usually in [-1, 1], to a dict
        with the keys `block1`, `block2`, `block3`, `block4` (maps) and `pre_logits` (N, 512·k) or
        (N, representation_size). Kernels are Glorot-uniform; seed them with
        `keras.utils.set_random_seed`.

    Raises:
        ValueError: an unknown name, a number that is not positive, an image too small for the
            strides, or an option that the architecture does not have.
    """
    if name not in NAMES:
        raise ValueError(f"unknown architecture {name!r}, the known ones are {', '.join(NAMES)}")
    if _FAMILY[name] is None:
        raise ValueError(f"the architecture {name!r} is not built yet")
    options = {
        "root_stride": root_stride,
        "block_strides": tuple(block_strides),
        "representation_size": representation_size,
        "units": tuple(units),
        "reversible": reversible,
    }
    positive = {"widening_factor": [widening_factor], "image_size": [image_size]}
    positive |= {"root_stride": [root_stride], "block_strides": block_strides, "units": units}
    positive |= {"representation_size": [1 if representation_size is None else representation_size]}
    for option, values in positive.items():
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{option} must be a positive integer, got {value!r}")
    for option, length in {"block_strides": 3, "units": 4}.items():
        if len(options[option]) != length:
            raise ValueError(f"{option} must have {length} values, got {options[option]}")
    unsuited = {"reversible"}
    for option in sorted(unsuited):
        if options.pop(option) != _DEFAULTS[option]:
            raise ValueError(f"{name} has no option {option!r}: leave it at {_DEFAULTS[option]}")
    total = 2 * root_stride
    for stride in block_strides:
        total *= stride
    if image_size < total:
        raise ValueError(
            f"images of {image_size}×{image_size} are too small for the strides of {name}: "
            f"at least {total}×{total}"
        )
    return _FAMILY[name](
        widening_factor=widening_factor,
        weight_decay=1e-4 if weight_decay is None else weight_decay,
        synchronized_batch_norm=synchronized_batch_norm,
        **options,
    )
