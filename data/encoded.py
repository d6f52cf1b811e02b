"""An image that is still encoded: its size, and the pixels of any rectangle of it.

A JPEG is decoded where it is needed: rows below a rectangle are not read at all, and those above
it and the columns beside it are read without being turned into pixels; where a rectangle is to be
made much smaller, it is decoded at a half, a quarter or an eighth of its size. JPEGs are decoded
with the accurate integer transform, which is libjpeg's own default and so what other programs
show; TensorFlow's default, the fast one, is off by up to 4 of 255 and, measured, no faster here.

Images of other kinds are decoded whole: PNG (16-bit ones by their upper byte, alpha left out,
palettes looked up), BMP, the first frame of a GIF, and whatever else the installed TensorFlow can
read, such as WebP from 2.21 on. What a file is, its first bytes say, not its name.
"""

from typing import NamedTuple

import tensorflow as tf

from data import exif

CHANNELS = 3
RATIOS = (1, 2, 4, 8)  # what libjpeg can leave out
END_OF_IMAGE = b"\xff\xd9"


class Encoded(NamedTuple):
    """An image whose header was looked at.

    Attributes:
        encoded: the bytes of the file, a scalar string.
        height_width: int32, (2,), of the upright image.
        orientation: how the stored pixels have to be turned; see `data.exif`.
        in_parts: whether a part of it can be decoded: a JPEG that is there to its last byte.
        stored: the stored pixels of all of it where it cannot, else none; uint8, (H, W, 3).
    """

    encoded: tf.Tensor
    height_width: tf.Tensor
    orientation: tf.Tensor
    in_parts: tf.Tensor
    stored: tf.Tensor


def look_at(encoded: tf.Tensor) -> Encoded:
    """Reads the header of a file, and all of it unless it can be decoded in parts.

    Raises:
        tf.errors.InvalidArgumentError: the file is no image, or not all of one.
    """
    encoded = tf.convert_to_tensor(encoded)
    is_jpeg = tf.io.is_jpeg(encoded)
    # One that was cut off would pass where a rectangle ends above the cut; whether an image is
    # readable should not depend on the rectangle.
    end = tf.maximum(tf.strings.length(encoded) - 2, 0)
    in_parts = is_jpeg & (tf.strings.substr(encoded, end, 2) == END_OF_IMAGE)

    def header() -> tuple[tf.Tensor, tf.Tensor]:
        nothing = tf.zeros([0, 0, CHANNELS], tf.uint8)
        return tf.image.extract_jpeg_shape(encoded)[:2], nothing

    def whole() -> tuple[tf.Tensor, tf.Tensor]:
        pixels = _decode_whole(encoded)
        return tf.shape(pixels)[:2], pixels

    height_width, stored = tf.cond(in_parts, header, whole)
    orientation = tf.cond(
        is_jpeg, lambda: exif.orientation(encoded), lambda: tf.constant(exif.UPRIGHT)
    )
    height_width = tf.ensure_shape(height_width, [2])
    height_width = tf.where(exif.swap_sides(orientation), height_width[::-1], height_width)
    return Encoded(encoded, height_width, orientation, in_parts, stored)


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a whole image of any kind into upright RGB, uint8, (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: the file is no image, or not all of one.
    """
    image = look_at(encoded)
    return rectangle(image, tf.zeros_like(image.height_width), image.height_width)


def ratio_of(image: Encoded, size: tf.Tensor, at_least: int | tf.Tensor) -> tf.Tensor:
    """How many pixels of a rectangle may become one while it is decoded.

    Args:
        image: as `look_at` gives it.
        size: height and width of the rectangle, int32, (2,).
        at_least: to how many pixels it will be made smaller: a number for both sides, or (2,).

    Returns:
        The largest of `RATIOS` that leaves `at_least` on both sides; 1 for what is decoded whole.
    """
    fits = tf.reduce_min(size // at_least)
    ratio = tf.reduce_max(tf.where(tf.constant(RATIOS) <= fits, RATIOS, 1))
    return tf.where(image.in_parts, ratio, 1)


def rectangle(
    image: Encoded, begin: tf.Tensor, size: tf.Tensor, ratio: tf.Tensor | None = None
) -> tf.Tensor:
    """The pixels of a rectangle.

    Args:
        image: as `look_at` gives it.
        begin: row and column of the rectangle's first pixel, int32, (2,).
        size: its height and width; all of it must be inside of the image.
        ratio: as `ratio_of` gives it; the edges move outwards to whole pixels of those that are
            left. At ratio 1, a pixel at the edge can be off by a few of 255 from that of the
            whole image: libjpeg interpolates colour between neighbouring blocks, and does not
            decode the neighbour. None for the pixels of the whole image, to the bit.

    Returns:
        uint8, (size[0], size[1], 3) divided by the ratio.
    """

    before = after = tf.constant(0)
    if ratio is None:
        before = tf.minimum(begin, 1)
        after = tf.minimum(image.height_width - begin - size, 1)
    there, extent = exif.stored_rectangle(
        begin - before, size + before + after, image.height_width, image.orientation
    )

    def part(ratio: int) -> tf.Tensor:
        first, last = there // ratio, -(-(there + extent) // ratio)
        return tf.image.decode_and_crop_jpeg(
            image.encoded,
            tf.concat([first, last - first], 0),
            CHANNELS,
            ratio=ratio,
            dct_method="INTEGER_ACCURATE",
        )

    def smaller_part() -> tf.Tensor:
        branches = [lambda ratio=ratio: part(ratio) for ratio in RATIOS[1:]]
        return tf.switch_case(tf.searchsorted(RATIOS[1:], [ratio])[0], branches)

    def any_part() -> tf.Tensor:
        if ratio is None:
            return part(1)
        return tf.cond(ratio == 1, lambda: part(1), smaller_part)

    pixels = tf.cond(image.in_parts, any_part, lambda: _slice(image.stored, there, extent))
    pixels = exif.turn_upright(pixels, image.orientation)
    if ratio is None:
        pixels = _slice(pixels, before, size)
    return tf.ensure_shape(pixels, [None, None, CHANNELS])


def _decode_whole(encoded: tf.Tensor) -> tf.Tensor:
    """The stored pixels of an image of any kind."""

    def jpeg() -> tf.Tensor:
        return tf.io.decode_jpeg(encoded, CHANNELS, dct_method="INTEGER_ACCURATE")

    def other() -> tf.Tensor:
        return tf.io.decode_image(encoded, CHANNELS, expand_animations=False)

    is_bitmap = tf.strings.substr(encoded, 0, 2) == b"BM"
    return tf.cond(
        tf.io.is_jpeg(encoded),
        jpeg,
        lambda: tf.cond(is_bitmap, lambda: _bitmap(encoded), other),
    )


def _slice(pixels: tf.Tensor, begin: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return tf.slice(pixels, tf.concat([begin, [0]], 0), tf.concat([size, [CHANNELS]], 0))


def _bitmap(encoded: tf.Tensor) -> tf.Tensor:
    """A Windows bitmap; TensorFlow takes the numbers of a palette's colours for brightness."""
    header = tf.cast(tf.io.decode_raw(tf.strings.substr(encoded, 0, 54), tf.uint8), tf.int32)
    bits, compression, header_size = header[28], header[30], header[14]
    with tf.control_dependencies(
        [
            tf.debugging.assert_equal(
                (compression == 0) | (compression == 3), True, "a compressed bitmap is not read"
            )
        ]
    ):
        pixels = tf.io.decode_image(encoded, CHANNELS, expand_animations=False)

    def look_up() -> tf.Tensor:
        begin = 14 + header_size
        palette = tf.io.decode_raw(tf.strings.substr(encoded, begin, 4 * 256), tf.uint8)
        colours = tf.reshape(palette[: tf.size(palette) // 4 * 4], [-1, 4])[:, 2::-1]
        return tf.gather(colours, tf.cast(pixels[..., 0], tf.int32))

    return tf.cond(bits == 8, look_up, lambda: pixels)
