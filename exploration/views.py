"""Two random views of every image of a sample, as the network's own task augments them."""

import dataclasses

import numpy as np
import tensorflow as tf
from etils import epath

from data import images
from data.records import Records, chosen
from evaluate.representations import ExtractOptions
from evaluate.saved_models import PATCH_TASKS
from pretext import colour

# Of a random crop where the network is probed on whole images: the share of Inception's 224 of 256.
RESIZE_PER_CROP = 8 / 7


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What is done to an image before a view of it goes through the network.

    Attributes:
        cut: makes the view's pixels.
        colours: whether Inception's random brightness and saturation follow.
        source: where this comes from, for the page.
    """

    cut: images.RandomCrop | images.InceptionCrop
    colours: bool
    source: str

    def __str__(self) -> str:
        side = f"{self.cut.crop_size}×{self.cut.crop_size} pixels"
        if isinstance(self.cut, images.InceptionCrop):
            kind = f"Inception crops (random area, aspect ratio and flip) of {side}"
        else:
            kind = f"random crops of {side} of images resized to {self.cut.resize_size}"
            kind += ", mirrored half the time" if self.cut.flip else ""
        return kind + (", with random brightness and saturation" if self.colours else "")


@dataclasses.dataclass(frozen=True)
class RandomView:
    """One of the views of an image: a function of the seed, the view's number and the image.

    Attributes:
        augmentation: makes it.
        number: which of an image's views it is.
        seed: of all random choices.
    """

    augmentation: Augmentation
    number: int
    seed: int

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A `data.pipeline.View`: float32, 0 … 255."""
        for number in (self.seed, self.number):
            seed = tf.random.experimental.stateless_fold_in(seed, number)
        cut_seed, colour_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        pixels = tf.cast(self.augmentation.cut(encoded, cut_seed), tf.float32)
        if not self.augmentation.colours:
            return pixels
        draws = tf.random.stateless_uniform([1, colour.DRAWS], colour_seed)
        return colour.distort(pixels[None] / 255.0, draws)[0] * 255.0


def augmentation(saved_model: str, options: ExtractOptions) -> Augmentation:
    """The augmentation of the task that a network was trained with, at the size of its probing.

    Exports of this project say what it was, in their model card or in `flags.cfg` beside them; of
    any other network random crops and flips are taken. Views to train patch tasks on are not
    mirrored.

    Args:
        saved_model: the network's directory.
        options: `resize_size` and `crop_size` are those that images are measured at.
    """
    flags = recorded_flags(saved_model)
    task = flags.get("task")
    source = f"as in training with --task={task}" if task else "the network's own are not known"
    if task == "exemplar" or (
        task in ("rotation", "supervised") and flags.get("augmentation") == "inception"
    ):
        return Augmentation(images.InceptionCrop(options.crop_size), colours=True, source=source)
    resize_size = max(options.resize_size, round(options.crop_size * RESIZE_PER_CROP))
    cut = images.RandomCrop(resize_size, options.crop_size, flip=task not in PATCH_TASKS)
    return Augmentation(cut, colours=False, source=source)


def recorded_flags(saved_model: str) -> dict[str, str]:
    """The flags of the run that exported a network, by name; empty where they are not recorded."""
    root = epath.Path(saved_model)
    for file in (root / "README.md", root.parent / "flags.cfg"):
        try:
            lines = file.read_text().splitlines()
        except (OSError, UnicodeDecodeError, tf.errors.OpError):
            continue
        flags = dict(line[2:].split("=", 1) for line in lines if line[:2] == "--" and "=" in line)
        if "task" in flags:
            return flags
    return {}


@dataclasses.dataclass(frozen=True)
class Sample:
    """Some of a split's records, and which of them they are: int64, (M,), sorted."""

    records: Records
    positions: np.ndarray


def sample(records: Records, count: int, seed: int) -> Sample:
    """At most `count` of a split's images, drawn by the seed, in their order."""
    if records.size <= count:
        return Sample(records, np.arange(records.size))
    positions = np.random.default_rng(seed).choice(records.size, count, replace=False)
    which = np.zeros(records.size, bool)
    which[positions] = True
    return Sample(chosen(records, which, f"{count} of seed {seed}"), np.flatnonzero(which))
