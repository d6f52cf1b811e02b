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


def resize_square(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes an image to `size` pixels on both sides, whatever its shape; 0 leaves it as it is."""
    return _resize(image, [size, size]) if size else image


@dataclasses.dataclass(frozen=True)
class CentralCrop:
    """The middle of the image: resized, then the centre of `crop_size`.

    Attributes:
        resize_size: pixels of the smaller side; 0 leaves the image's own size.
        crop_size: pixels of the view's sides.
        keep_aspect: whether the longer side follows; else both get `resize_size` pixels.
    """

    resize_size: int
    crop_size: int
    keep_aspect: bool = True

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        del seed
        resize = resize_smaller_side if self.keep_aspect else resize_square
        image = resize(decode(encoded), self.resize_size)
        _check_size(image, self.crop_size)
        top_left = (tf.shape(image)[:2] - self.crop_size) // 2
        return _crop(image, top_left, self.crop_size)


@dataclasses.dataclass(frozen=True)
class RandomCrop:
    """A random place: resized, a random square of `crop_size`, a flip.

    Attributes:
        resize_size: pixels of the smaller side; 0 leaves the image's own size.
        crop_size: pixels of the view's sides.
        flip: whether the view is mirrored left to right half the time.
        keep_aspect: whether the longer side follows; else both get `resize_size` pixels.
    """

    resize_size: int
    crop_size: int
    flip: bool = True
    keep_aspect: bool = True

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        resize = resize_smaller_side if self.keep_aspect else resize_square
        image = resize(decode(encoded), self.resize_size)
        _check_size(image, self.crop_size)
        span = tf.cast(tf.shape(image)[:2] - self.crop_size + 1, tf.float32)
        draws = tf.random.stateless_uniform([3], seed)
        view = _crop(image, tf.cast(draws[:2] * span, tf.int32), self.crop_size)
        return _flip(view, draws[2]) if self.flip else view


@dataclasses.dataclass(frozen=True)
class InceptionCrop:
    """The Inception recipe: a rectangle of random area and aspect, resized, and a flip.

    TensorFlow draws width / height uniformly, so of [3/4, 4/3] it takes wide rectangles more often
    than tall ones, and a network that sees by which axis a view was squeezed knows something about
    how it was turned. Half of the rectangles are therefore drawn for the transposed image: an
    aspect and its inverse are equally likely.

    Attributes:
        crop_size: pixels of the view's sides.
        area: smallest and largest share of the image that the rectangle covers.
        aspect: smallest and largest width / height; the product of both should be 1.
    """

    crop_size: int
    area: tuple[float, float] = (0.05, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self.cut(decode(encoded), seed)

    def cut(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The view of an image that is decoded already, uint8, (H, W, 3)."""
        flip_seed = tf.random.experimental.stateless_fold_in(seed, 1)
        flip_draw, transpose_draw = tf.unstack(tf.random.stateless_uniform([2], flip_seed))
        axes = tf.where(transpose_draw < 0.5, [0, 1, 2], [1, 0, 2])
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.gather(tf.shape(image), axes),
            tf.zeros([0, 0, 4]),
            seed,
            min_object_covered=0.0,
            area_range=self.area,
            aspect_ratio_range=self.aspect,
            max_attempts=100,
            use_image_if_no_bounding_boxes=True,
        )
        # Swapping two axes is its own inverse; the size of the channels is given as -1, all.
        rectangle = tf.slice(image, tf.gather(begin, axes), tf.gather(size, axes))
        view = _resize(rectangle, [self.crop_size, self.crop_size])
        view = tf.ensure_shape(view, [self.crop_size, self.crop_size, CHANNELS])
        return _flip(view, flip_draw)


@dataclasses.dataclass(frozen=True)
class Views:
    """Several views of one image, which is decoded once: uint8, (count, S, S, 3).

    Attributes:
        view: what cuts one of them.
        count: how many.
    """

    view: InceptionCrop
    count: int

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        image = decode(encoded)
        seeds = [tf.random.experimental.stateless_fold_in(seed, i) for i in range(self.count)]
        return tf.stack([self.view.cut(image, each) for each in seeds])


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
