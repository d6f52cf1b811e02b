"""Multiplications, weights and activations of the networks of `models/`, by counting.

Building the widest takes gigabytes; these are sums over their convolutions. A test compares them
with the networks themselves at k = 1.
"""

import dataclasses
from collections.abc import Iterator

NAMES = (
    *("resnet50_v1", "resnet50_v2", "resnet50_v2_minus", "revnet50", "revnet50_minus"),
    "vgg19_bn",
)
UNITS = (3, 4, 6, 3)
VGG_CONVOLUTIONS = ((2, 8), (2, 16), (4, 32), (4, 64), (4, 64))


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one forward pass of one image or patch.

    Attributes:
        multiplications: multiply-adds of convolutions and linear layers.
        weights: kernels, biases, and the four numbers of batch normalisation per channel.
        activations: numbers kept for the backward pass: in front of and behind each
            normalisation with its ReLU, and what a reversible block does not reconstruct.
    """

    multiplications: int = 0
    weights: int = 0
    activations: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.multiplications + other.multiplications,
            self.weights + other.weights,
            self.activations + other.activations,
        )


def network(
    architecture: str,
    widening_factor: int,
    image_size: int,
    *,
    patches: bool = False,
    representation_size: int = 0,
) -> Cost:
    """The cost of an architecture of `models.NAMES`, without the task's head.

    Args:
        architecture: the name.
        widening_factor: k.
        image_size: pixels of the sides of what passes through the network.
        patches: whether it has the smaller strides of the patch tasks.
        representation_size: of the extra linear layer; 0 for none.

    Raises:
        ValueError: there is no such architecture.
    """
    k = widening_factor
    if architecture not in NAMES:
        raise ValueError(f"there is no estimate for the architecture {architecture}")
    if architecture == "vgg19_bn":
        total = _sum(_vgg(k, image_size))
    else:
        strides = (1, 2, 2, 1) if patches else (1, 2, 2, 2)
        root_size = image_size if patches else _halved(image_size)
        layers = _revnet if architecture.startswith("revnet") else _resnet
        total = _sum(layers(architecture, k, root_size, strides))
    if representation_size:
        total += dense(512 * k, representation_size)
    return total


def dense(inputs: int, outputs: int, times: int = 1) -> Cost:
    """A linear layer with a bias, applied so many times."""
    return Cost(times * inputs * outputs, inputs * outputs + outputs, times * outputs)


def _resnet(architecture: str, k: int, size: int, strides: tuple[int, ...]) -> Iterator[Cost]:
    pre_activation = architecture != "resnet50_v1"
    channels = 16 * k
    yield _convolution(size, 7, 3, channels) + Cost(activations=size * size * channels)
    if not pre_activation:
        yield _normalization(channels, size, maps=1)
    size = _halved(size)
    for block, (units, stride) in enumerate(zip(UNITS, strides, strict=True)):
        filters, inner = 64 * 2**block * k, 16 * 2**block * k
        for unit in range(units):
            step = stride if unit == 0 else 1
            if pre_activation:
                yield _normalization(channels, size)
            after = -(-size // step)
            if step > 1 or channels != filters:
                yield _convolution(after, 1, channels, filters)
                if not pre_activation:
                    yield _normalization(filters, after, maps=1)
            yield _convolution(size, 1, channels, inner) + _normalization(inner, size)
            yield _convolution(after, 3, inner, inner) + _normalization(inner, after)
            yield _convolution(after, 1, inner, filters)
            if not pre_activation:
                yield _normalization(filters, after)
            channels, size = filters, after
    if pre_activation:
        yield _normalization(channels, size)


def _revnet(_: str, k: int, size: int, strides: tuple[int, ...]) -> Iterator[Cost]:
    channels = 64 * k
    yield _convolution(size, 7, 3, channels) + Cost(activations=size * size * channels)
    size = _halved(size)
    largest = 0
    for block, (units, stride) in enumerate(zip(UNITS, strides, strict=True)):
        channels, size = 64 * 2**block * k, size // stride
        half, inner = channels // 2, channels // 8
        unit = (
            _normalization(half, size)
            + _convolution(size, 1, half, inner)
            + _normalization(inner, size)
            + _convolution(size, 3, inner, inner)
            + _normalization(inner, size)
            + _convolution(size, 1, inner, half)
        )
        largest = max(largest, unit.activations)
        yield Cost(units * unit.multiplications, units * unit.weights)
        yield Cost(activations=2 * size * size * channels)  # The block's input and its output.
    yield Cost(activations=largest)  # One unit at a time is computed again.
    yield _normalization(channels, size)


def _vgg(k: int, size: int) -> Iterator[Cost]:
    channels = 3
    for count, width in VGG_CONVOLUTIONS:
        for _ in range(count):
            yield _convolution(size, 3, channels, width * k) + _normalization(width * k, size)
            channels = width * k
        size //= 2
        yield Cost(activations=size * size * channels)
    for inputs in (size * size * channels, 512 * k):
        yield Cost(inputs * 512 * k, inputs * 512 * k) + _normalization(512 * k, 1)


def _convolution(size: int, kernel: int, channels: int, filters: int) -> Cost:
    """A convolution without bias to a map of size × size."""
    weights = kernel * kernel * channels * filters
    return Cost(size * size * weights, weights)


def _normalization(channels: int, size: int, maps: int = 2) -> Cost:
    """Batch normalisation, with its ReLU for two maps."""
    return Cost(0, 4 * channels, maps * size * size * channels)


def _halved(size: int) -> int:
    return -(-size // 2)


def _sum(costs: Iterator[Cost]) -> Cost:
    return sum(costs, Cost())
