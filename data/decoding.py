"""The size of an encoded image, and the pixels of any rectangle of it.

A JPEG is decoded only where it is needed: rows below a rectangle are not read at all, and those
above it and the columns beside it are read but not converted to pixels; a rectangle that will be
made much smaller is decoded at a half, a quarter or an eighth of its size. JPEGs are decoded
with the accurate integer transform, which is libjpeg's own default and so what other programs
show; TensorFlow's default, the fast one, is off by up to 4 of 255 and, measured, no faster here.

Images of other kinds are decoded whole: PNG (16-bit ones by their upper byte, alpha left out,
palettes looked up), BMP, the first frame of a GIF, and whatever else the installed TensorFlow can
read, such as WebP (the first frame, alpha left out) from 2.21 on. The kind of a file is known from
its first bytes, not from its name.

A truncated JPEG is decoded as far as it goes, as viewers do, if nine tenths of its pixels are
present; a progressive one, which has all pixels from its first scan on, if it reaches a scan that
adds the last bits of a coefficient. Otherwise it counts as unreadable.
"""

from typing import NamedTuple

import tensorflow as tf

from data import exif

CHANNELS = 3
RATIOS = (1, 2, 4, 8)  # by which libjpeg can scale down
END_OF_IMAGE = b"\xff\xd9"
START_OF_SCAN = b"\xff\xda"
# What libjpeg gives where data are missing, all coefficients being 0: in grey or RGB, and in CMYK.
NO_DATA = (128, 63, 64)
MISSING_AT_MOST = 0.1


class EncodedImage(NamedTuple):
    """An encoded image whose header has been read.

    Attributes:
        encoded: the bytes of the file, a scalar string.
        height_width: int32, (2,), of the upright image.
        orientation: 1 to 8, how the stored pixels are oriented; see `data.exif`.
        in_parts: whether it can be decoded in parts: a JPEG that ends with the end-of-image marker.
        stored: all stored pixels where it cannot, else empty; uint8, (H, W, 3).
    """

    encoded: tf.Tensor
    height_width: tf.Tensor
    orientation: tf.Tensor
    in_parts: tf.Tensor
    stored: tf.Tensor


def open_image(encoded: tf.Tensor) -> EncodedImage:
    """Reads the header of an image, and decodes it now unless it can be decoded in parts.

    Raises:
        tf.errors.InvalidArgumentError: the file is not an image, or too much of it is missing.
    """
    encoded = tf.convert_to_tensor(encoded)
    is_jpeg = tf.io.is_jpeg(encoded)
    # A truncated file would pass where the rectangle ends above the cut; whether an image is
    # readable should not depend on the rectangle.
    in_parts = is_jpeg & _ends_with_its_end(encoded)

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
    return EncodedImage(encoded, height_width, orientation, in_parts, stored)


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a whole image of any kind into upright RGB, uint8, (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: the file is not an image, or too much of it is missing.
    """
    image = open_image(encoded)
    return rectangle(image, tf.zeros_like(image.height_width), image.height_width)


def is_truncated(encoded: tf.Tensor) -> tf.Tensor:
    """Whether a file is a JPEG that ends before its image does, a scalar bool.

    Args:
        encoded: the bytes of a file of any kind, a scalar string.
    """

    def after_its_end() -> tf.Tensor:
        # Bytes may follow the end. Neither marker occurs within a scan; a thumbnail's come before.
        return _last(encoded, END_OF_IMAGE) <= _last(encoded, START_OF_SCAN)

    suspect = tf.io.is_jpeg(encoded) & ~_ends_with_its_end(encoded)
    return tf.cond(suspect, after_its_end, lambda: tf.constant(False))


def ratio_of(image: EncodedImage, size: tf.Tensor, at_least: int | tf.Tensor) -> tf.Tensor:
    """By how much a rectangle may be scaled down while it is decoded.

    Args:
        image: from `open_image`.
        size: height and width of the rectangle, int32, (2,).
        at_least: the size that it will be resized to: a number for both sides, or (2,).

    Returns:
        The largest of `RATIOS` that leaves `at_least` pixels on both sides; 1 where the image is
        not decoded in parts.
    """
    fits = tf.reduce_min(size // at_least)
    ratio = tf.reduce_max(tf.where(tf.constant(RATIOS) <= fits, RATIOS, 1))
    return tf.where(image.in_parts, ratio, 1)


def rectangle(
    image: EncodedImage, begin: tf.Tensor, size: tf.Tensor, ratio: tf.Tensor | None = None
) -> tf.Tensor:
    """The pixels of a rectangle.

    Args:
        image: from `open_image`.
        begin: row and column of the rectangle's first pixel, int32, (2,).
        size: its height and width; it must lie inside the image.
        ratio: from `ratio_of`; the edges move outwards to whole pixels of the scaled image. At
            ratio 1, a pixel at the edge can be off by a few of 255 from that of the whole image:
            libjpeg interpolates colour between neighbouring blocks, and does not decode the
            neighbour. None for exactly the pixels of the whole image.

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


def _ends_with_its_end(jpeg: tf.Tensor) -> tf.Tensor:
    end = tf.maximum(tf.strings.length(jpeg) - 2, 0)
    return tf.strings.substr(jpeg, end, 2) == END_OF_IMAGE


def _last(jpeg: tf.Tensor, marker: bytes) -> tf.Tensor:
    """The index of the last such marker, int64; -1 if there is none."""
    data = tf.io.decode_raw(jpeg, tf.uint8)
    found = tf.where((data[:-1] == marker[0]) & (data[1:] == marker[1]))[:, 0]
    return tf.reduce_max(tf.concat([found, tf.constant([-1], tf.int64)], 0))


def _decode_whole(encoded: tf.Tensor) -> tf.Tensor:
    """The stored pixels of an image of any kind."""

    def jpeg() -> tf.Tensor:
        return tf.cond(
            is_truncated(encoded), lambda: _decode_beginning(encoded), lambda: _decode_jpeg(encoded)
        )

    def other() -> tf.Tensor:
        return tf.cond(
            tf.strings.substr(encoded, 0, 4) == b"RIFF",
            lambda: _webp(encoded),
            lambda: tf.io.decode_image(encoded, CHANNELS, expand_animations=False),
        )

    is_bitmap = tf.strings.substr(encoded, 0, 2) == b"BM"
    return tf.cond(
        tf.io.is_jpeg(encoded),
        jpeg,
        lambda: tf.cond(is_bitmap, lambda: _bitmap(encoded), other),
    )


def _decode_jpeg(jpeg: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_jpeg(jpeg, CHANNELS, dct_method="INTEGER_ACCURATE")


def _decode_beginning(jpeg: tf.Tensor) -> tf.Tensor:
    """The stored pixels of a truncated JPEG."""
    # A file whose space was allocated before its content arrived ends with zeros.
    data = tf.io.decode_raw(jpeg, tf.uint8)
    length = tf.reduce_max(tf.where(data != 0)) + 1
    pixels = _decode_jpeg(tf.strings.substr(jpeg, 0, tf.cast(length, tf.int32)) + END_OF_IMAGE)

    # The lower half of the last byte of a scan's header is the number of bits left to later scans.
    scan = tf.cast(_last(jpeg, START_OF_SCAN), tf.int32)
    header = tf.cast(tf.io.decode_raw(tf.strings.substr(jpeg, scan + 2, 2), tf.uint8), tf.int32)
    last_byte = tf.strings.substr(jpeg, scan + 1 + 256 * header[0] + header[1], 1)
    bits_left = tf.io.decode_raw(last_byte, tf.uint8)[0] % 16

    is_grey = tf.reduce_all(pixels == pixels[..., :1], -1)
    of_no_data = tf.reduce_any(pixels[..., :1] == tf.constant(NO_DATA, tf.uint8), -1)
    missing = tf.reduce_mean(tf.cast(is_grey & of_no_data, tf.float32))
    enough = tf.debugging.assert_equal(
        (missing <= MISSING_AT_MOST) & (bits_left == 0),
        True,
        message="the file is cut short, and too much of the image is missing",
    )
    with tf.control_dependencies([enough] if enough is not None else []):
        return tf.identity(pixels)


def _slice(pixels: tf.Tensor, begin: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return tf.slice(pixels, tf.concat([begin, [0]], 0), tf.concat([size, [CHANNELS]], 0))


def _webp(encoded: tf.Tensor) -> tf.Tensor:
    """A WebP file (RFC 9649); TensorFlow decodes it with the channels that it has, or not at all.

    It decodes an animation only with alpha, and for one without it aborts the process unless the
    number of channels is given: so the flag for alpha is set (section 2.7).
    """
    kind = tf.strings.substr(encoded, 8, 8)
    begin = tf.strings.substr(encoded + bytes(21), 0, 21)
    flags = tf.cast(tf.io.decode_raw(tf.strings.substr(begin, 20, 1), tf.uint8), tf.int32)[0]

    def animated() -> tf.Tensor:
        with_alpha = tf.constant([bytes([flags | 16]) for flags in range(256)])[flags]
        file = tf.strings.substr(begin, 0, 20) + with_alpha + tf.strings.substr(encoded, 21, -1)
        return tf.io.decode_image(file, CHANNELS + 1, expand_animations=False)[..., :CHANNELS]

    def still() -> tf.Tensor:
        return tf.io.decode_image(encoded, expand_animations=False)[..., :CHANNELS]

    return tf.cond((kind == b"WEBPVP8X") & (flags // 2 % 2 == 1), animated, still)


def _bitmap(encoded: tf.Tensor) -> tf.Tensor:
    """A Windows bitmap; TensorFlow takes the indices of a palette for grey levels."""
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
