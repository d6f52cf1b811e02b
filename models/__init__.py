"""The six architectures of the study: from a batch of images to five named outputs."""

import math
import numbers

import keras

from models import resnet, revnet, vgg
from models.saved import load as load

ROOT_STRIDE = 2
BLOCK_STRIDES = (2, 2, 2)
UNITS = (3, 4, 6, 3)

_BUILDERS = {
    "resnet50_v1": resnet.resnet50_v1,
    "resnet50_v2": resnet.resnet50_v2,
    "resnet50_v2_minus": resnet.resnet50_v2_minus,
    "revnet50": revnet.revnet50,
    "revnet50_minus": revnet.revnet50_minus,
    "vgg19_bn": vgg.vgg19_bn,
}
NAMES = tuple(_BUILDERS)


def build(
    name: str,
    *,
    widening_factor: int = 4,
    image_size: int = 224,
    root_stride: int = ROOT_STRIDE,
    block_strides: tuple[int, int, int] = BLOCK_STRIDES,
    representation_size: int | None = None,
    weight_decay: float = 1e-4,
    units: tuple[int, int, int, int] = UNITS,
    reversible: bool = True,
    synchronized_batch_norm: bool = False,
) -> keras.Model:
    """Builds one of the six networks.

    Args:
        name: one of `NAMES`.
        widening_factor: k, a positive integer that multiplies every number of channels.
        image_size: height and width of the images. ResNets and RevNets take any other size too;
            VGG takes only this one.
        root_stride: stride of the root convolution (ResNet, RevNet); 1 for patches.
        block_strides: strides of blocks 2, 3 and 4 (ResNet, RevNet); (2, 2, 1) for patches.
        representation_size: size of an extra linear layer whose output becomes `pre_logits`;
            None for none.
        weight_decay: wd of the penalty 0.5·wd·‖W‖² on the kernels, found in `model.losses`; all
            kernels but that of RevNet's root.
        units: number of units in the four blocks (ResNet, RevNet).
        reversible: whether the backward pass reconstructs activations instead of storing them
            (RevNet); the gradients are the same.
        synchronized_batch_norm: whether the replicas of a strategy share their batch statistics.

    Returns:
        A functional `keras.Model` from float images (N, H, W, 3), usually in [-1, 1], to a dict
        with the keys `block1`, `block2`, `block3`, `block4` (maps) and `pre_logits` (N, 512·k) or
        (N, representation_size). Kernels are Glorot-uniform; seed them with
        `keras.utils.set_random_seed`. Layers have the same names in every build.

    Raises:
        ValueError: an unknown name, a number that is not a positive integer, a wrong number of
            strides or units, an image too small for the strides, or an option that the
            architecture does not have.
    """
    if name not in NAMES:
        raise ValueError(f"unknown architecture {name!r}: must be one of {', '.join(NAMES)}")
    _check_integer("widening_factor", widening_factor)
    _check_integer("image_size", image_size)
    _check_integer("root_stride", root_stride)
    if representation_size is not None and not _is_positive_integer(representation_size):
        raise ValueError(
            f"representation_size must be a positive integer or None, got {representation_size!r}"
        )
    _check_integers("block_strides", block_strides, 3)
    _check_integers("units", units, 4)

    smallest = 2 * root_stride * math.prod(block_strides)
    own = {"root_stride": root_stride, "block_strides": block_strides, "units": units}
    if name == "vgg19_bn":
        _check_default(name, "root_stride", root_stride, ROOT_STRIDE)
        _check_default(name, "block_strides", tuple(block_strides), BLOCK_STRIDES)
        _check_default(name, "units", tuple(units), UNITS)
        smallest = 32
        own = {"image_size": image_size}
    if name.startswith("revnet"):
        own["reversible"] = reversible
    else:
        _check_default(name, "reversible", reversible, True)
    if image_size < smallest:
        raise ValueError(
            f"image_size must be at least {smallest} for the strides of {name}, got {image_size}"
        )
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay}")
    return _BUILDERS[name](
        widening_factor=widening_factor,
        representation_size=representation_size,
        weight_decay=weight_decay,
        synchronized_batch_norm=synchronized_batch_norm,
        **own,
    )


def _check_integer(option: str, value: object) -> None:
    if not _is_positive_integer(value):
        raise ValueError(f"{option} must be a positive integer, got {value!r}")


def _check_integers(option: str, values: object, length: int) -> None:
    is_sequence = isinstance(values, tuple | list) and len(values) == length
    if not is_sequence or not all(map(_is_positive_integer, values)):
        raise ValueError(f"{option} must be {length} positive integers, got {values!r}")


def _check_default(name: str, option: str, given: object, default: object) -> None:
    """Raises a ValueError for an option that the architecture does not have, unless unchanged."""
    if given != default:
        raise ValueError(f"{name} has no {option}: must be left at {default}, got {given}")


def _is_positive_integer(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value > 0
