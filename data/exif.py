"""The orientation tag in a JPEG's Exif data, by which a photograph is turned upright.

Cameras store pixels as the sensor lies and record beside them how the camera was held. Rotation
learns which way is up, so a photograph on its side would be a wrong label: pixels are turned as the
tag says. (The released code ignores the tag; few of ImageNet's files carry one.)

All of it is TensorFlow operations, so that it works in `tf.data` and on the workers of a tf.data
service. Sources: CIPA DC-008 (Exif 2.32), sections 4.5 and 4.6; ITU-T T.81, annex B.
"""

import tensorflow as tf

UPRIGHT = 1
ORIENTATION_TAG = 0x0112
# Exif data are one segment of at most 64 KiB near the beginning, before the first scan.
HEADER_BYTES = 2**17
START_OF_SCAN = b"\xff\xda"
EXIF = b"Exif\x00\x00"
DIRECTORY_BYTES = 512  # that hold the entries before the orientation's
# A TIFF header's first four bytes and the first directory: the number of its entries, entries of 12
# bytes (their types are 1 to 13, which the offset behind the last one is not), then the
# orientation's eight fixed bytes (tag 0x0112, type 3, count 1) and its value. A thumbnail has a
# directory of its own, the second. `\C` is any byte.
ORIENTATION = (
    r"^II\*\x00\C\C(?:\C\C[\x01-\x0d]\x00\C{8})*?"
    r"\x12\x01\x03\x00\x01\x00\x00\x00([\x01-\x08])\x00\C*$"
    r"|^MM\x00\*\C\C(?:\C\C\x00[\x01-\x0d]\C{8})*?"
    r"\x01\x12\x00\x03\x00\x00\x00\x01\x00([\x01-\x08])\C*$"
)


def orientation(jpeg: tf.Tensor) -> tf.Tensor:
    """The orientation of a JPEG file, 1 to 8 as in the Exif standard; 1 if it has no valid tag.

    Args:
        jpeg: the bytes of the file, a scalar string.
    """
    header = tf.strings.substr(jpeg, 0, HEADER_BYTES)
    header = tf.strings.split(header, START_OF_SCAN, maxsplit=1)[0]
    tiff = tf.strings.split(header, EXIF, maxsplit=1)[-1]
    offset = tf.minimum(_first_directory(tiff), tf.strings.length(tiff))
    directory = tf.strings.substr(tiff, offset, DIRECTORY_BYTES)
    start = tf.strings.substr(tiff, 0, 4) + directory
    value = tf.strings.regex_replace(start, ORIENTATION, r"\1\2")
    return tf.cond(
        tf.strings.length(value) == 1,
        lambda: tf.cast(tf.io.decode_raw(value, tf.uint8)[0], tf.int32),
        lambda: tf.constant(UPRIGHT),
    )


def _first_directory(tiff: tf.Tensor) -> tf.Tensor:
    """The offset of the first directory, bytes 4 to 7 of a TIFF header; 2¹⁶ if it is larger."""
    padded = tf.strings.substr(tiff + bytes(8), 0, 8)
    header = tf.cast(tf.io.decode_raw(padded, tf.uint8), tf.int32)
    number = tf.where(header[0] == ord("I"), header[7:3:-1], header[4:8])
    is_in_segment = (number[0] == 0) & (number[1] == 0)
    return tf.where(is_in_segment, 256 * number[2] + number[3], 2**16)


def swap_sides(orientation: tf.Tensor) -> tf.Tensor:
    """Whether the upright image is as wide as the stored one is high."""
    return orientation >= 5


def turn_upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Stored pixels, (H, W, C), to the upright image."""

    def turned() -> tf.Tensor:
        axes = tf.where(swap_sides(orientation), [1, 0, 2], [0, 1, 2])
        return tf.reverse(tf.transpose(image, axes), tf.where(_flips(orientation))[:, 0])

    return tf.cond(orientation == UPRIGHT, lambda: image, turned)


def stored_rectangle(
    begin: tf.Tensor, size: tf.Tensor, height_width: tf.Tensor, orientation: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Where a rectangle of the upright image lies in the stored one.

    Args:
        begin: row and column of its first pixel, int32, (2,).
        size: its height and width.
        height_width: those of the upright image.
        orientation: as `orientation` gives it.

    Returns:
        The same as `begin` and `size`, of the stored image.
    """

    def turned() -> tuple[tf.Tensor, tf.Tensor]:
        there = tf.where(_flips(orientation), height_width - begin - size, begin)
        swapped = swap_sides(orientation)
        return tf.where(swapped, there[::-1], there), tf.where(swapped, size[::-1], size)

    return tf.cond(orientation == UPRIGHT, lambda: (begin, size), turned)


def _flips(orientation: tf.Tensor) -> tf.Tensor:
    """Whether rows and whether columns are in reverse, after sides have been swapped."""
    rows = (orientation == 3) | (orientation == 4) | (orientation >= 7)
    columns = (orientation == 2) | (orientation == 3) | (orientation == 6) | (orientation == 7)
    return tf.stack([rows, columns])
