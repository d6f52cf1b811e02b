"""`train.py` with a network of four convolutions, which compiles in a moment.

    python -m tests.pretext.tiny_train --workdir=…

takes all of its flags; `--widening_factor` multiplies the channels.
"""

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import keras

import train
from pretext.network import NetworkOptions
from pretext.task import PretextTask
from tests.pretext import tiny
from training import command_line


def build(task: PretextTask, options: NetworkOptions, image_size: int) -> keras.Model:
    """In place of `pretext.network.build_backbone`."""
    return tiny.network(8 * options.widening_factor, name=options.architecture)


if __name__ == "__main__":
    train.build_backbone = build
    command_line.run("train.py", train.main)
