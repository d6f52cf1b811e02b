"""From encoded bytes to the pixels of a view.

These run on the host, one image at a time, inside `tf.data`. A view is a callable from encoded
bytes and a stateless seed to pixels of a fixed shape, 0 … 255; there is one class per way of
cutting the rectangle out. Everything else that happens to an image happens on the device.

Views to train a network on are uint8, resized bilinearly, and decode no more of a JPEG than they
need (see `data.decoding`). Views that representations are measured on, those that a probe is
trained on among them, are resized by area from the fully decoded image and are float32, both as in
the released code. To round them to uint8 would add noise of 0.29 rms and save no time on the host:
what it saves in copying it spends in rounding. (It would save memory: a batch of 2048 views of
224×224 takes 1.2 GB and not 0.3.)
"""

import dataclasses
from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from data.decoding import CHANNELS, EncodedImage, decode, open_image, ratio_of, rectangle  # noqa: F401

# `area`: a new pixel is the mean of the old ones that it covers; float32, because means are seldom
# whole. `bilinear`: between the four old ones around its centre, without antialiasing; rounded.
Method = Literal["area", "bilinear"]
# From encoded bytes, a scalar string, and a stateless seed, int64 (2,), to pixels.
View = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def resize_smaller_side(image: tf.Tensor, size: int, method: Method = "area") -> tf.Tensor:
    """Resizes an image, keeping its aspect ratio, so that its smaller side has `size` pixels.

    Args:
        image: uint8, (H, W, 3).
        size: pixels; 0 keeps the image's own size.
        method: `area` gives the values of the released code.

    Returns:
        float32 by area (rounding leaves [0, 255] by 1e-3 at most), uint8 bilinearly. The longer
        side is rounded to the nearest pixel, as in the released code.
    """
    return _resize(image, _resized(tf.shape(image)[:2], size, keep_aspect=True), method)


@dataclasses.dataclass(frozen=True)
class CentralCrop:
    """The middle of the image: resized, then the centre of `crop_size`.

    Attributes:
        resize_size: pixels of the smaller side; 0 keeps the image's own size.
        crop_size: pixels of the view's sides.
        keep_aspect: whether the longer side follows; else both get `resize_size` pixels.
        method: `area` to measure representations, whose views are float32; `bilinear` for uint8.
    """

    resize_size: int
    crop_size: int
    keep_aspect: bool = True
    method: Method = "area"

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        del seed
        image = open_image(encoded)
        resized = _resized(image.height_width, self.resize_size, self.keep_aspect)
        _check_size(resized, self.crop_size)
        top_left = (resized - self.crop_size) // 2
        if not self.resize_size:
            return _square(image, top_left, self.crop_size, self.method)
        whole = rectangle(image, tf.zeros_like(resized), image.height_width)
        return _crop(_resize(whole, resized, self.method), top_left, self.crop_size)


@dataclasses.dataclass(frozen=True)
class RandomCrop:
    """A random square: the image resized, `crop_size` pixels a side cut out, a flip.

    Attributes:
        resize_size: pixels of the smaller side; 0 keeps the image's own size.
        crop_size: pixels of the view's sides.
        flip: whether the view is mirrored left to right half the time.
        keep_aspect: whether the longer side follows; else both get `resize_size` pixels.
        method: `bilinear` to train a network: uint8 views of a JPEG decoded no larger than needed;
            `area` for float32 views of all of its pixels.
    """

    resize_size: int
    crop_size: int
    flip: bool = True
    keep_aspect: bool = True
    method: Method = "bilinear"

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        image = open_image(encoded)
        resized = _resized(image.height_width, self.resize_size, self.keep_aspect)
        _check_size(resized, self.crop_size)
        span = tf.cast(resized - self.crop_size + 1, tf.float32)
        draws = tf.random.stateless_uniform([3], seed)
        top_left = tf.cast(draws[:2] * span, tf.int32)
        if self.resize_size:
            # To decode the square alone and resample just that was tried: finding its pixels
            # between those of the image costs more than decoding the rest of it.
            exact = self.method == "area"
            ratio = None if exact else ratio_of(image, image.height_width, resized)
            whole = rectangle(image, tf.zeros_like(resized), image.height_width, ratio)
            view = _crop(_resize(whole, resized, self.method), top_left, self.crop_size)
        else:
            view = _square(image, top_left, self.crop_size, self.method)
        return _flip(view, draws[2]) if self.flip else view


@dataclasses.dataclass(frozen=True)
class InceptionCrop:
    """The Inception recipe: a rectangle of random area and aspect, resized, and a flip.

    TensorFlow draws width / height uniformly, so from [3/4, 4/3] it draws wide rectangles more
    often than tall ones, and a network that sees along which axis a view was squeezed knows
    something about how it was turned. Half of the rectangles are therefore drawn for the transposed
    image: an aspect and its inverse are equally likely.

    As in the released code, no rectangle covers less than a tenth of the image, however small the
    area drawn: one that does is drawn again, up to 100 times, after which the view is the whole
    image. That is the fate of every view of an image with one side more than 13⅓ times the other,
    because no rectangle of these aspect ratios is large enough there.

    Attributes:
        crop_size: pixels of the view's sides.
        area: smallest and largest share of the image's area that is drawn.
        aspect: smallest and largest width / height; their product should be 1.
        min_covered: the share of the image that a rectangle has to cover at least.
    """

    crop_size: int
    area: tuple[float, float] = (0.05, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    min_covered: float = 0.1

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        image = open_image(encoded)
        begin, size, mirrored = self.draw(image.height_width, seed)
        pixels = rectangle(image, begin, size, ratio_of(image, size, self.crop_size))
        return self.finish(pixels, mirrored)

    def draw(
        self, height_width: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Draws the random choices of a view.

        Args:
            height_width: of the image, int32, (2,).
            seed: two integers.

        Returns:
            Row and column of the rectangle's first pixel, its height and width, each int32, (2,);
            a number in [0, 1): the view is mirrored if it is 0.5 or more.
        """
        flip_seed = tf.random.experimental.stateless_fold_in(seed, 1)
        flip_draw, transpose_draw = tf.unstack(tf.random.stateless_uniform([2], flip_seed))
        # Swapping two axes is its own inverse.
        axes = tf.where(transpose_draw < 0.5, [0, 1], [1, 0])
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.concat([tf.gather(height_width, axes), [CHANNELS]], 0),
            # The object to be covered is the whole image, as in TF-Slim.
            tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
            seed,
            min_object_covered=self.min_covered,
            area_range=self.area,
            aspect_ratio_range=self.aspect,
            max_attempts=100,
        )
        return tf.gather(begin, axes), tf.gather(size, axes), flip_draw

    def finish(self, pixels: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
        """The view from the rectangle's pixels, uint8, (H, W, 3)."""
        view = _resize(pixels, [self.crop_size, self.crop_size], "bilinear")
        view = tf.ensure_shape(view, [self.crop_size, self.crop_size, CHANNELS])
        return _flip(view, mirrored)


@dataclasses.dataclass(frozen=True)
class Views:
    """Several views of one image, which is decoded once: uint8, (count, S, S, 3).

    Attributes:
        view: makes one of them.
        count: how many there are.
    """

    view: InceptionCrop
    count: int

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        image = open_image(encoded)
        seeds = [tf.random.experimental.stateless_fold_in(seed, i) for i in range(self.count)]
        drawn = [self.view.draw(image.height_width, each) for each in seeds]
        # Decoded as small as the smallest rectangle allows.
        smallest = tf.reduce_min(tf.stack([size for _, size, _ in drawn]), 0)
        ratio = ratio_of(image, smallest, self.view.crop_size)
        whole = rectangle(image, tf.zeros_like(smallest), image.height_width, ratio)
        views = []
        for begin, size, mirrored in drawn:
            first, last = begin // ratio, -(-(begin + size) // ratio)
            pixels = whole[first[0] : last[0], first[1] : last[1]]
            views.append(self.view.finish(pixels, mirrored))
        return tf.stack(views)


def _resized(height_width: tf.Tensor, size: int, keep_aspect: bool) -> tf.Tensor:
    """Height and width after resizing the smaller side, or both, to `size`; 0: no change."""
    if not size:
        return height_width
    if not keep_aspect:
        return tf.constant([size, size])
    height_width = tf.cast(height_width, tf.float32)
    scale = size / tf.reduce_min(height_width)
    return tf.cast(tf.round(height_width * scale), tf.int32)


def _resize(image: tf.Tensor, size: tf.Tensor | list[int], method: Method) -> tf.Tensor:
    if method == "area":
        return tf.cast(tf.image.resize(image, size, method="area"), tf.float32)
    resized = tf.image.resize(image, size, method="bilinear")
    # Interpolation between pixels of 0 to 255 needs no clipping.
    return tf.cast(tf.round(resized), tf.uint8)


def _square(image: EncodedImage, top_left: tf.Tensor, size: int, method: Method) -> tf.Tensor:
    view = rectangle(image, top_left, tf.constant([size, size]))
    view = tf.ensure_shape(view, [size, size, CHANNELS])
    return tf.cast(view, tf.float32) if method == "area" else view


def _crop(image: tf.Tensor, top_left: tf.Tensor, size: int) -> tf.Tensor:
    view = tf.image.crop_to_bounding_box(image, top_left[0], top_left[1], size, size)
    return tf.ensure_shape(view, [size, size, CHANNELS])


def _flip(image: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    # tf.reverse, because slicing by [:, ::-1] takes fifteen times as long.
    return tf.cond(draw < 0.5, lambda: image, lambda: tf.reverse(image, [1]))


def _check_size(height_width: tf.Tensor, crop_size: int) -> None:
    tf.debugging.assert_greater_equal(
        tf.reduce_min(height_width),
        crop_size,
        message=f"the image is smaller than the crop of {crop_size} pixels",
    )
