"""Pooling of feature maps that are too large for a linear probe, to about 9000 values.

The paper evaluates blocks whose maps have up to 800 000 values (section 4.5); the released code
pools every map of more than 9000. Its `max` and `avg` are followed exactly. Its adaptive kinds
draw their bins at random, those here are always the same: bin i of S over a side of H pixels
reaches from floor(i·H / S) to ceil((i + 1)·H / S). For a network that sees an image as
patches the map of each patch is pooled, and the results are averaged.
"""

import math

import tensorflow as tf

KINDS = ("max", "avg", "adaptive_max", "adaptive_avg")
MAX_FEATURES = 9000


def pool(maps: tf.Tensor, kind: str = "max", max_features: int = MAX_FEATURES) -> tf.Tensor:
    """Pools maps of more than `max_features` values and flattens them.

    Args:
        maps: (N, H, W, C) or (N, C), float; only N may be unknown when a graph is traced.
        kind: one of `KINDS`. `max` and `avg` slide a square window in steps of its own size,
            ceil(√(H·W·C / max_features)) pixels, and drop the pixels beyond the last full window.
            `adaptive_max` and `adaptive_avg` cut the map into round(√(max_features / C)) bins a
            side, which may give more than `max_features` values, and use every pixel.
        max_features: maps with no more values than this are only flattened.

    Returns:
        (N, D) features in the order rows, columns, channels; D follows from `pooled_shape`.

    Raises:
        ValueError: as `pooled_shape`.
    """
    shape = tuple(maps.shape[1:])
    height, width, channels = pooled_shape(shape, kind, max_features)
    if len(shape) == 3 and (height, width) != shape[:2]:
        if kind.startswith("adaptive_"):
            reduce = tf.reduce_max if kind == "adaptive_max" else tf.reduce_mean
            maps = _pool_axis(maps, 1, height, reduce)
            maps = _pool_axis(maps, 2, width, reduce)
        else:
            window = _window(shape, max_features)
            pooling = tf.nn.max_pool2d if kind == "max" else tf.nn.avg_pool2d
            maps = pooling(maps, ksize=window, strides=window, padding="VALID")
    return tf.reshape(maps, (-1, height * width * channels))


def pool_patches(maps: tf.Tensor, kind: str = "max", max_features: int = MAX_FEATURES) -> tf.Tensor:
    """Pools the map of every patch by itself, then averages over the patches of an image.

    This is the released code's order; pooling by maximum and averaging do not commute.

    Args:
        maps: (N, patches, H, W, C) or (N, patches, C), float; only N may be unknown.
        kind, max_features: as for `pool`; the size of one patch's map counts.

    Returns:
        (N, D) as `pool` gives for one patch.

    Raises:
        ValueError: as `pooled_shape`.
    """
    pooled = pool(tf.reshape(maps, (-1, *maps.shape[2:])), kind, max_features)
    return tf.reduce_mean(tf.reshape(pooled, (-1, maps.shape[1], pooled.shape[-1])), axis=1)


def pooled_shape(
    shape: tuple[int, ...], kind: str = "max", max_features: int = MAX_FEATURES
) -> tuple[int, int, int]:
    """The (height, width, channels) to which `pool` brings a map of (H, W, C) or (C,).

    Raises:
        ValueError: an unknown kind, another number of dimensions, or an unknown dimension.
    """
    if kind not in KINDS:
        raise ValueError(f"Unknown pooling {kind!r}; there are {', '.join(KINDS)}.")
    if len(shape) not in (1, 3) or None in shape:
        raise ValueError(f"A map must be (height, width, channels) or (channels,), not {shape}.")
    if max_features < 1:
        raise ValueError(f"Maps can be pooled to 1 feature or more, not {max_features}.")
    if len(shape) == 1:
        return 1, 1, shape[0]
    height, width, channels = shape
    if height * width * channels <= max_features:
        return height, width, channels
    if kind.startswith("adaptive_"):
        bins = max(round(math.sqrt(max_features / channels)), 1)
        return min(bins, height), min(bins, width), channels
    window_height, window_width = _window(shape, max_features)
    return height // window_height, width // window_width, channels


def _window(shape: tuple[int, int, int], max_features: int) -> tuple[int, int]:
    """Height and width of the window, no larger than the map."""
    height, width, channels = shape
    side = math.ceil(math.sqrt(height * width * channels / max_features))
    return min(side, height), min(side, width)


def _pool_axis(maps: tf.Tensor, axis: int, bins: int, reduce) -> tf.Tensor:
    """Bins are rectangles, so that the two axes can be pooled one after the other."""
    size = maps.shape[axis]
    pooled = []
    for number in range(bins):
        start, stop = number * size // bins, -(-(number + 1) * size // bins)
        part = maps[:, start:stop] if axis == 1 else maps[:, :, start:stop]
        pooled.append(reduce(part, axis=axis))
    return tf.stack(pooled, axis=axis)
