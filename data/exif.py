"""How a photograph has to be turned to stand upright: the orientation tag of a JPEG's Exif data.

Cameras store pixels as the sensor lies and note beside them how it was held. Rotation learns which
way is up, so a photograph that lies on its side would be a wrong label: pixels are turned as the
tag says. (The released code ignores the tag; few of ImageNet's files carry one.)

All of it is TensorFlow operations, so that it works in `tf.data` and on the workers of a tf.data
service. Sources: CIPA DC-008 (Exif 2.32), section 4.5; ITU-T T.81, annex B.
"""

import tensorflow as tf

UPRIGHT = 1
ORIENTATION_TAG = 0x0112
# How most files without Exif data begin: a JFIF segment of 16 bytes, then a table.
JFIF = b"\xff\xe0\x00\x10"
TABLE = b"\xff\xdb"
ENTRY = 12  # bytes of an entry of an image file directory


def orientation(jpeg: tf.Tensor) -> tf.Tensor:
    """The orientation of a JPEG file, 1 to 8 as in the Exif standard; 1 if it has no such tag.

    Args:
        jpeg: the bytes of the file, a scalar string.

    Raises:
        tf.errors.InvalidArgumentError: the file ends before its image begins.
    """
    plain = (tf.strings.substr(jpeg, 2, 4) == JFIF) & (tf.strings.substr(jpeg, 20, 2) == TABLE)
    return tf.cond(plain, lambda: tf.constant(UPRIGHT), lambda: _tag(_exif(jpeg)))


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


def _exif(jpeg: tf.Tensor) -> tf.Tensor:
    """The Exif segment's TIFF structure, a scalar string; empty if there is none."""

    def segment(at: tf.Tensor) -> tf.Tensor:
        """Marker, type and length of the segment at a place."""
        return tf.cast(tf.io.decode_raw(tf.strings.substr(jpeg, at, 4), tf.uint8), tf.int32)

    def length(head: tf.Tensor) -> tf.Tensor:
        return 256 * head[2] + head[3]

    def found(at: tf.Tensor, head: tf.Tensor) -> tf.Tensor:
        return (head[1] == 0xE1) & (tf.strings.substr(jpeg, at + 4, 6) == b"Exif\x00\x00")

    def going_on(at: tf.Tensor, head: tf.Tensor) -> tf.Tensor:
        # Before the image there are application segments, comments and fill bytes.
        kind = head[1]
        skipped = ((kind >= 0xE0) & (kind <= 0xEF)) | (kind == 0xFE) | (kind == 0xFF)
        return (head[0] == 0xFF) & skipped & ~found(at, head)

    def next_segment(at: tf.Tensor, head: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        at += tf.where(head[1] == 0xFF, 1, 2 + length(head))
        return at, segment(at)

    start = tf.constant(2)
    at, head = tf.while_loop(going_on, next_segment, (start, segment(start)))
    return tf.cond(
        found(at, head),
        lambda: tf.strings.substr(jpeg, at + 10, tf.maximum(length(head) - 8, 0)),
        lambda: tf.constant(b""),
    )


def _tag(tiff: tf.Tensor) -> tf.Tensor:
    """The orientation in a TIFF structure; 1 if it holds none or makes no sense."""
    # What a damaged structure points at beyond its end is 0, which is no orientation.
    data = tf.cast(tf.io.decode_raw(tiff, tf.uint8), tf.int32)
    data = tf.concat([data, tf.zeros([8], tf.int32)], 0)
    little_endian = data[0] == ord("I")

    def number(high_to_low: tf.Tensor) -> tf.Tensor:
        """Numbers from their bytes along the last axis."""
        order = tf.where(little_endian, high_to_low[..., ::-1], high_to_low)
        return tf.reduce_sum(order * (256 ** tf.range(order.shape[-1])[::-1]), -1)

    start = tf.clip_by_value(number(tf.reshape(data[4:8], [4])), 0, tf.size(data) - 2)
    entries = data[start + 2 :]
    count = tf.minimum(number(tf.reshape(data[start : start + 2], [2])), tf.size(entries) // ENTRY)
    entries = tf.reshape(entries[: count * ENTRY], [-1, ENTRY])
    values = number(entries[:, 8:10])
    values = tf.where((number(entries[:, 0:2]) == ORIENTATION_TAG) & (values <= 8), values, 0)
    return tf.maximum(tf.reduce_max(tf.concat([values, [0]], 0)), UPRIGHT)
