"""What rotation and the supervised baseline share: whole images, augmented, scaled to [-1, 1]."""

import tensorflow as tf

from data import images as host
from data.pipeline import View
from pretext import colour
from pretext.task import Batch, TaskOptions


def train_view(options: TaskOptions) -> View:
    """What the host cuts out for training: an Inception crop, or a random square."""
    if options.augmentation == "inception":
        return host.InceptionCrop(options.crop_size)
    return host.RandomCrop(options.resize_size, options.crop_size)


def central_view(options: TaskOptions) -> host.CentralCrop:
    """What the host cuts out for everything but training."""
    return host.CentralCrop(options.resize_size, options.crop_size)


def draws(options: TaskOptions) -> int:
    """How many random numbers `pictures` needs for an image."""
    return colour.DRAWS if options.augmentation == "inception" else 0


def pictures(batch: Batch, options: TaskOptions, training: bool) -> tf.Tensor:
    """A batch's images in [-1, 1], with their colours distorted in Inception's training."""
    images = tf.cast(batch["image"], tf.float32) / 255.0
    if training and options.augmentation == "inception":
        images = colour.distort(images, batch["draws"])
    return normalise(images)


def normalise(images: tf.Tensor) -> tf.Tensor:
    """From [0, 1] to [-1, 1]."""
    return images * 2.0 - 1.0
