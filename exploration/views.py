"""Two random views of every image of a sample, as the network's own task augments them."""

import dataclasses

import tensorflow as tf
from etils import epath

from evaluate.representations import ExtractOptions
from evaluate.saved_models import PATCH_TASKS
from pretext import colour, random_cuts
from pretext.random_cuts import RandomCut


@dataclasses.dataclass(frozen=True)
class RandomView:
    """One of the views of an image: a function of the seed, the view's number and the image.

    Attributes:
        cut: makes it.
        number: which of an image's views it is.
        seed: of all random choices.
    """

    cut: RandomCut
    number: int
    seed: int

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """A `data.View`: float32, 0 … 255."""
        for number in (self.seed, self.number):
            seed = tf.random.experimental.stateless_fold_in(seed, number)
        cut_seed, colour_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        draws = tf.random.stateless_uniform([colour.DRAWS], colour_seed)
        return self.cut(encoded, cut_seed, draws)


def cut(saved_model: str, options: ExtractOptions) -> tuple[RandomCut, str]:
    """How views are cut: as by the task that a network was trained with.

    Exports of this project say what it was, in their model card or in `flags.cfg` beside them; of
    any other network random crops and flips are taken. Views to train patch tasks on are not
    mirrored.

    Args:
        saved_model: the network's directory.
        options: `resize_size` and `crop_size` are those that images are measured at.

    Returns:
        What makes a view, and where that comes from, for the page.
    """
    flags = recorded_flags(saved_model)
    task = flags.get("task")
    source = f"as in training with --task={task}" if task else "the network's own are not known"
    if task == "exemplar" or (
        task in ("rotation", "supervised") and flags.get("augmentation") == "inception"
    ):
        return random_cuts.inception(options.crop_size), source
    flip = task not in PATCH_TASKS
    return random_cuts.crop(options.resize_size, options.crop_size, flip=flip), source


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
