"""A random view of an image, cut as a task cuts its training images, at the size of its probing.

Two of them show whether a network recognises an image again (`evaluate.neighbour_stability`).
"""

import dataclasses

import tensorflow as tf

from data import images as host
from pretext import colour

# Of the random crop of a network that is probed on whole images: Inception's 256 of 224.
RESIZE_PER_CROP = 8 / 7


@dataclasses.dataclass(frozen=True)
class RandomCut:
    """Cuts a view out of an encoded image: float32, 0 … 255, (S, S, 3).

    Attributes:
        cut: makes the pixels.
        colours: whether Inception's random brightness and saturation follow.
    """

    cut: host.RandomCrop | host.InceptionCrop
    colours: bool

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """The view of a stateless seed, int64 (2,), and of draws, (`colour.DRAWS`,) in [0, 1)."""
        pixels = tf.cast(self.cut(encoded, seed), tf.float32)
        if not self.colours:
            return pixels
        return colour.distort(pixels[None] / 255.0, draws[None])[0] * 255.0

    def __str__(self) -> str:
        side = f"{self.cut.crop_size}×{self.cut.crop_size} pixels"
        if isinstance(self.cut, host.InceptionCrop):
            kind = f"Inception crops (random area, aspect ratio and flip) of {side}"
        else:
            kind = f"random crops of {side} of images resized to {self.cut.resize_size}"
            kind += ", mirrored half the time" if self.cut.flip else ""
        return kind + (", with random brightness and saturation" if self.colours else "")


def inception(crop_size: int) -> RandomCut:
    """Inception crops with colours, as in rotation, exemplar and the supervised baseline."""
    return RandomCut(host.InceptionCrop(crop_size), colours=True)


def crop(resize_size: int, crop_size: int, *, flip: bool) -> RandomCut:
    """Random squares of images that are a seventh larger, or as much larger as they are probed."""
    resize_size = max(resize_size, round(crop_size * RESIZE_PER_CROP))
    return RandomCut(host.RandomCrop(resize_size, crop_size, flip=flip), colours=False)
