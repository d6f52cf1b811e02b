"""From encoded bytes to the uint8 pixels that a view of an image consists of.

These run on the host, one image at a time, inside `tf.data`. A view is a callable from encoded
bytes and a stateless seed to uint8 pixels of a fixed shape; there is one class per way of cutting
the rectangle out. Everything else that happens to an image happens on the device.
"""

import dataclasses

import tensorflow as tf

CHANNELS = 3


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes JPEG, PNG, BMP or the first frame of a GIF into RGB, uint8, (H, W, 3)."""
    return tf.io.decode_image(encoded, channels=CHANNELS, expand_animations=False)


def resize_smaller_side(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes an image, keeping its shape, so that its smaller side has `size` pixels.

    Args:
        image: uint8, (H, W, 3).
        size: pixels; 0 leaves the image as it is.

    Returns:
        uint8, bilinear with half-pixel centres; the longer side is rounded to the nearest pixel
        (the released code does the same).
    """
    if not size:
        return image
    height_width = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = size / tf.reduce_min(height_width)
    return _resize(image, tf.cast(tf.round(height_width * scale), tf.int32))


@dataclasses.dataclass(frozen=True)
class CentralCrop:
    """The middle of the image: smaller side to `resize_size`, then the centre of `crop_size`.

    Attributes:
        resize_size: pixels; 0 leaves the image's own size.
        crop_size: pixels of the view's sides.
    """

    resize_size: int
    crop_size: int

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        del seed
        image = resize_smaller_side(decode(encoded), self.resize_size)
        _check_size(image, self.crop_size)
        top_left = (tf.shape(image)[:2] - self.crop_size) // 2
        return _crop(image, top_left, self.crop_size)


@dataclasses.dataclass(frozen=True)
class RandomCrop:
    """A random place: smaller side to `resize_size`, a random square of `crop_size`, a flip.

    Attributes:
        resize_size: pixels; 0 leaves the image's own size.
        crop_size: pixels of the view's sides.
        flip: whether the view is mirrored left to right half the time.
    """

    resize_size: int
    crop_size: int
    flip: bool = True

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        image = resize_smaller_side(decode(encoded), self.resize_size)
        _check_size(image, self.crop_size)
        span = tf.cast(tf.shape(image)[:2] - self.crop_size + 1, tf.float32)
        draws = tf.random.stateless_uniform([3], seed)
        view = _crop(image, tf.cast(draws[:2] * span, tf.int32), self.crop_size)
        return _flip(view, draws[2]) if self.flip else view


@dataclasses.dataclass(frozen=True)
class InceptionCrop:
    """The Inception recipe: a rectangle of random area and aspect, resized, and a flip.

    Attributes:
        crop_size: pixels of the view's sides.
        area: smallest and largest share of the image that the rectangle covers.
        aspect: smallest and largest width / height.
    """

    crop_size: int
    area: tuple[float, float] = (0.05, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        image = decode(encoded)
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.shape(image),
            tf.zeros([0, 0, 4]),
            seed,
            min_object_covered=0.0,
            area_range=self.area,
            aspect_ratio_range=self.aspect,
            max_attempts=100,
            use_image_if_no_bounding_boxes=True,
        )
        view = _resize(tf.slice(image, begin, size), [self.crop_size, self.crop_size])
        view = tf.ensure_shape(view, [self.crop_size, self.crop_size, CHANNELS])
        flip_seed = tf.random.experimental.stateless_fold_in(seed, 1)
        return _flip(view, tf.random.stateless_uniform([], flip_seed))


def _resize(image: tf.Tensor, size: tf.Tensor | list[int]) -> tf.Tensor:
    resized = tf.image.resize(image, size, method="bilinear")
    return tf.saturate_cast(tf.round(resized), tf.uint8)


def _crop(image: tf.Tensor, top_left: tf.Tensor, size: int) -> tf.Tensor:
    view = tf.image.crop_to_bounding_box(image, top_left[0], top_left[1], size, size)
    return tf.ensure_shape(view, [size, size, CHANNELS])


def _flip(image: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    return tf.where(draw < 0.5, image, image[:, ::-1])


def _check_size(image: tf.Tensor, crop_size: int) -> None:
    smaller = tf.reduce_min(tf.shape(image)[:2])
    tf.debugging.assert_greater_equal(
        smaller, crop_size, message=f"the image is smaller than the crop of {crop_size} pixels"
    )
