"""The six architectures of the study: from a batch of images to five named outputs."""

import inspect
import math
import numbers

import keras

from models import resnet, revnet, vgg
from models.saved import load as load

_BUILDERS = {
    "resnet50_v1": resnet.resnet50_v1,
    "resnet50_v2": resnet.resnet50_v2,
    "resnet50_v2_minus": resnet.resnet50_v2_minus,
    "revnet50": revnet.revnet50,
    "revnet50_minus": revnet.revnet50_minus,
    "vgg19_bn": vgg.vgg19_bn,
}
# The options that only some of them have.
_OPTIONS = {
    "resnet50": ("root_stride", "block_strides", "units"),
    "revnet50": ("root_stride", "block_strides", "units", "reversible"),
    "vgg19_bn": ("image_size",),
}
NAMES = tuple(_BUILDERS)


def build(
    name: str,
    *,
    widening_factor: int = 4,
    image_size: int = 224,
    root_stride: int = 2,
    block_strides: tuple[int, int, int] = (2, 2, 2),
    representation_size: int | None = None,
    weight_decay: float = 1e-4,
    units: tuple[int, int, int, int] = (3, 4, 6, 3),
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
    options = dict(locals())
    del options["name"]
    if name not in NAMES:
        raise ValueError(f"unknown architecture {name!r}: must be one of {', '.join(NAMES)}")
    _check_numbers(options)
    own = _OPTIONS[name if name in _OPTIONS else name.split("_")[0]]
    for option in ("root_stride", "block_strides", "units", "reversible"):
        default = inspect.signature(build).parameters[option].default
        given = options[option]
        given = tuple(given) if isinstance(given, list) else given
        if option not in own and given != default:
            raise ValueError(f"{name} has no {option}: must be left at {default}, got {given}")
    smallest = 32 if name == "vgg19_bn" else 2 * root_stride * math.prod(block_strides)
    if image_size < smallest:
        raise ValueError(
            f"image_size must be at least {smallest} for the strides of {name}, got {image_size}"
        )
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay}")
    shared = "widening_factor", "representation_size", "weight_decay", "synchronized_batch_norm"
    return _BUILDERS[name](**{key: value for key, value in options.items() if key in shared + own})


def _check_numbers(options: dict) -> None:
    for option in ("widening_factor", "image_size", "root_stride"):
        if not _is_positive_integer(options[option]):
            raise ValueError(f"{option} must be a positive integer, got {options[option]!r}")
    size = options["representation_size"]
    if size is not None and not _is_positive_integer(size):
        raise ValueError(f"representation_size must be a positive integer or None, got {size!r}")
    for option, length in {"block_strides": 3, "units": 4}.items():
        values = options[option]
        is_sequence = isinstance(values, tuple | list) and len(values) == length
        if not is_sequence or not all(map(_is_positive_integer, values)):
            raise ValueError(f"{option} must be {length} positive integers, got {values!r}")


def _is_positive_integer(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value > 0
