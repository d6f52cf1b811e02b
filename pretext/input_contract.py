"""What an export takes: RGB images, float32 in [0, 1]; other inputs are refused where possible.

The checks are part of the exported functions. XLA drops those of values, because compiled code
cannot fail; those of shape and type remain.
"""

import tensorflow as tf

from pretext.task import Representations

# Rounding on the way from 8-bit pixels and back is not an error.
SLACK = 1e-3


def image_batch(size: int | None) -> tf.TensorSpec:
    """A batch of any number of RGB images of `size` pixels a side, or of any size."""
    return tf.TensorSpec([None, size, size, 3], tf.float32, name="images")


def checked(images: tf.Tensor, contract: tf.TensorSpec) -> tf.Tensor:
    """The same images, unless their shape or their values show that they are something else.

    Raises:
        tf.errors.InvalidArgumentError: at run time, for another shape, a value outside of [0, 1]
            or NaN.
    """
    # The function's signature says the same, but a caller can get around it.
    images = tf.ensure_shape(images, contract.shape)
    # A comparison with NaN is false.
    is_valid = tf.reduce_all((images >= -SLACK) & (images <= 1 + SLACK))
    message = (
        "images must be RGB, float32 in [0, 1] (divide 8-bit pixels by 255); smallest, largest:"
    )
    check = tf.debugging.Assert(
        is_valid, [message, tf.reduce_min(images), tf.reduce_max(images)], name="in_range"
    )
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(images)


def check_maps(layers: Representations) -> None:
    """Refuses images that are too small for the network, of which a map has no pixels left.

    Raises:
        tf.errors.InvalidArgumentError: at run time, if a map has no pixel.
    """
    for name, value in layers.items():
        if value.shape.rank == 4:
            tf.debugging.assert_positive(
                tf.shape(value)[1:3], f"images are too small: nothing is left of them in {name}"
            )
