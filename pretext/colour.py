"""Colour operations on batches, with factors of their own for every image.

Inception's colour distortion (rotation, exemplar, supervised), the greyscale of views and patches,
and their standardisation. `tf.image` has these for one image at a time, or with one factor for the
batch; here the factors come from uniform draws, an array per batch, so that equal draws give equal
images on every device. There is no branching: what does not apply to an image leaves it unchanged
by a factor or a selection, so that everything compiles with static shapes.
"""

import numpy as np
import tensorflow as tf

BRIGHTNESS_DELTA = 32 / 255
SATURATION_RANGE = CONTRAST_RANGE = (0.5, 1.5)
HUE_DELTA = 0.2

# The four orders of TF-slim's Inception preprocessing, and the two of its fast mode (of which it
# draws the second three times out of four).
ORDERS = (
    ("brightness", "saturation", "hue", "contrast"),
    ("saturation", "brightness", "contrast", "hue"),
    ("contrast", "hue", "brightness", "saturation"),
    ("hue", "saturation", "contrast", "brightness"),
)
FAST_ORDERS = (("brightness", "saturation"), *(("saturation", "brightness"),) * 3)

# The shortest sequences that contain all the orders: an image takes the steps of its own order.
STEPS = (
    *("hue", "saturation", "brightness", "contrast", "saturation"),
    *("hue", "brightness", "contrast", "saturation"),
)
FAST_STEPS = ("brightness", "saturation", "brightness")

DRAWS = 5  # of `distort`, per image: brightness, saturation, hue, contrast, order


def distort(images: tf.Tensor, draws: tf.Tensor, *, fast: bool = True) -> tf.Tensor:
    """Inception's random colour distortion, every image by its own draws.

    Brightness is shifted by at most 32/255, saturation scaled by 0.5 … 1.5, hue rotated by at most
    0.2 of the circle, contrast scaled by 0.5 … 1.5, in one of four orders (TF-slim's
    `distort_color`, as in the released code); the result is clipped once, at the end.

    Args:
        images: (N, H, W, 3) floats in [0, 1].
        draws: (N, 5) uniform draws from [0, 1), for brightness, saturation, hue, contrast, order.
        fast: only brightness and saturation, as the released code does.

    Returns:
        (N, H, W, 3) float32 in [0, 1].
    """
    images, draws = tf.cast(images, tf.float32), tf.cast(draws, tf.float32)
    operations = {
        "brightness": (adjust_brightness, (2 * draws[:, 0] - 1) * BRIGHTNESS_DELTA),
        "saturation": (adjust_saturation, _between(draws[:, 1], SATURATION_RANGE)),
        "hue": (adjust_hue, (2 * draws[:, 2] - 1) * HUE_DELTA),
        "contrast": (adjust_contrast, _between(draws[:, 3], CONTRAST_RANGE)),
    }
    orders, steps = (FAST_ORDERS, FAST_STEPS) if fast else (ORDERS, STEPS)
    order = tf.cast(draws[:, 4] * len(orders), tf.int32)
    taken = tf.gather(tf.constant(_steps_taken(orders, steps)), order)
    for i, name in enumerate(steps):
        operation, amounts = operations[name]
        images = tf.where(taken[:, i, None, None, None], operation(images, amounts), images)
    return tf.clip_by_value(images, 0.0, 1.0)


def adjust_brightness(images: tf.Tensor, deltas: tf.Tensor) -> tf.Tensor:
    """Adds to every image (N, H, W, 3) its delta (N,), without clipping."""
    return images + deltas[:, None, None, None]


def adjust_contrast(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Scales (N, H, W, 3) around the mean of every image's channel by the factors (N,)."""
    mean = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    return (images - mean) * factors[:, None, None, None] + mean


def adjust_saturation(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Multiplies the saturation in HSV, at most to 1, by the factors (N,), as `tf.image` does.

    Hue and value stay. All channels then move on the line between their grey, (v, v, v), and the
    colour, so no conversion to HSV is needed.
    """
    value = tf.reduce_max(images, axis=-1, keepdims=True)
    spread = value - tf.reduce_min(images, axis=-1, keepdims=True)
    # Shifted below 0, a pixel has no saturation; tf.image makes it grey too.
    saturation = tf.math.divide_no_nan(spread, tf.maximum(value, 0.0))
    scale = tf.minimum(factors[:, None, None, None], tf.math.reciprocal_no_nan(saturation))
    return value + (images - value) * scale


def adjust_hue(images: tf.Tensor, deltas: tf.Tensor) -> tf.Tensor:
    """Turns the hue in HSV by the deltas (N,), in parts of the circle, as `tf.image` does.

    The largest and the smallest channel of a pixel keep their values, also outside [0, 1].
    """
    red, green, blue = tf.unstack(images, axis=-1)
    largest = tf.maximum(tf.maximum(red, green), blue)
    smallest = tf.minimum(tf.minimum(red, green), blue)
    spread = largest - smallest
    # The hue counts sixths of the circle: 0 is red, 2 green, 4 blue.
    sixths = tf.where(
        largest == red,
        tf.math.divide_no_nan(green - blue, spread),
        tf.where(
            largest == green,
            2 + tf.math.divide_no_nan(blue - red, spread),
            4 + tf.math.divide_no_nan(red - green, spread),
        ),
    )
    sixths = tf.math.floormod(sixths + 6 * deltas[:, None, None], 6.0)
    shares = (abs(sixths - 3) - 1, 2 - abs(sixths - 2), 2 - abs(sixths - 4))
    turned = [smallest + spread * tf.clip_by_value(share, 0.0, 1.0) for share in shares]
    return tf.stack(turned, axis=-1)


def grey(images: tf.Tensor, draws: tf.Tensor, probability: float = 2 / 3) -> tf.Tensor:
    """Converts to greyscale, the mean of R, G and B, each image whose draw is below `probability`.

    The mean is taken in float, and each patch is converted or not by its own draw. (In the released
    code the uint8 mean overflows for exemplar, and one draw decides for the whole image.)

    Args:
        images: (…, H, W, 3): views (N, H, W, 3) or patches (N, K, H, W, 3).
        draws: (…) uniform draws from [0, 1), one for each image or patch.
        probability: of converting an image to greyscale; 2/3 in the paper.

    Returns:
        Float32 of the same shape.
    """
    images = tf.cast(images, tf.float32)
    chosen = (draws < probability)[..., None, None, None]
    return tf.where(chosen, tf.reduce_mean(images, axis=-1, keepdims=True), images)


def standardise(images: tf.Tensor) -> tf.Tensor:
    """Brings every image or patch (…, H, W, 3) to zero mean and unit deviation, in float32.

    As `tf.image.per_image_standardization`: the deviation counts as at least 1/√(H·W·3), so that a
    constant image becomes 0. This is the only place where the range of the values matters: in
    0 … 255, as in the released code, even the faintest texture of a patch is brought to full
    contrast, in 0 … 1 what deviates by less than two grey levels stays faint.
    """
    images = tf.cast(images, tf.float32)
    centred = images - tf.reduce_mean(images, axis=(-3, -2, -1), keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=(-3, -2, -1), keepdims=True)
    values = tf.cast(tf.reduce_prod(tf.shape(images)[-3:]), tf.float32)
    return centred * tf.math.rsqrt(tf.maximum(variance, 1.0 / values))


def _between(draws: tf.Tensor, limits: tuple[float, float]) -> tf.Tensor:
    return limits[0] + (limits[1] - limits[0]) * draws


def _steps_taken(orders: tuple, steps: tuple) -> np.ndarray:
    """(orders, steps) booleans: whether an image of that order takes that step."""
    taken = np.zeros((len(orders), len(steps)), bool)
    for row, order in zip(taken, orders, strict=True):
        position = 0
        for name in order:
            position = steps.index(name, position)
            row[position] = True
            position += 1
    return taken
