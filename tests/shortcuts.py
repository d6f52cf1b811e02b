"""Trains every pretext task on nothing but noise, where only a shortcut can beat chance.

    python -m tests.shortcuts [STEPS]

Every pixel of every image is drawn on its own, and no image is seen twice. A network that answers
better than by chance sees traces of how views are made: of resizing, cropping, turning. Prints
the accuracy over the last half of the steps (400 by default, a minute each) beside chance; exits
with 1 where the difference is more than the tolerance.
"""

import dataclasses
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf

import pretext
from data import pipeline
from data.records import Records
from pretext.task import PretextTask
from pretext.trainer import PretextTrainer
from tests.pretext import tiny
from training.momentum import Momentum

# Oblong, and no whole multiple of anything that they are resized to.
SIZE = 50, 61
OPTIONS = pretext.TaskOptions(
    resize_size=45,
    crop_size=39,
    patch_size=9,
    embedding_size=16,
    permutations=20,
    permutations_per_image=8,
    views_per_image=4,
)
# Images that all have one size, and to which size, crop and patch docs/shortcuts.md brings them.
SAME_SIZE = 96, 96
SAME_SIZE_OPTIONS = ((92, 84, 22), (72, 66, 17))
CHANCE = {"rotation": 1 / 4, "exemplar": 1 / 64, "jigsaw": 1 / 20, "relative_patch_location": 1 / 8}
BATCH = 32
STANDARD_ERRORS = 5


def noise(images: int, size: tuple[int, int] = SIZE) -> Records:
    """Images whose pixels are independent and uniform, made while they are read."""

    def read(number: tf.Tensor) -> tf.Tensor:
        pixels = tf.random.stateless_uniform([*size, 3], [number, 7], 0, 256, tf.int32)
        return tf.io.encode_png(tf.cast(pixels, tf.uint8))

    def entries() -> tf.data.Dataset:
        numbers = tf.data.Dataset.range(images)
        return numbers.map(
            lambda n: {
                "image": n,
                "label": tf.constant(-1, tf.int64),
                "id": tf.strings.as_string(n),
            }
        )

    return Records("noise", "train", images, "noise", (), entries, read)


def accuracy_on_noise(
    task: PretextTask, steps: int, seed: int = 0, size: tuple[int, int] = SIZE
) -> tuple[float, float]:
    """The task's first metric on images not seen before, over the last half of the steps.

    Returns:
        The mean over the steps and its standard error.
    """
    keras.utils.set_random_seed(seed)
    trainer = PretextTrainer(task, tiny.network(16))
    trainer.compile(optimizer=Momentum(0.05))
    trainer.optimizer.build(trainer.trainable_variables)
    batches = pipeline.training_batches(
        noise(steps * BATCH, size),
        task.train_view,
        batch_size=BATCH,
        epochs=1,
        seed=seed,
        draws=task.draws,
    )
    step = tf.function(trainer.train_step)
    values = [float(step(batch)[task.metric_names[0]]) for batch in batches]
    values = values[steps // 2 :]
    return float(np.mean(values)), float(np.std(values) / len(values) ** 0.5)


def main(steps: int) -> bool:
    at_chance = True
    for name, chance in CHANCE.items():
        task = pretext.build(name, OPTIONS)
        accuracy, error = accuracy_on_noise(task, steps)
        passed = abs(accuracy - chance) <= STANDARD_ERRORS * error
        at_chance &= passed
        verdict = "at chance" if passed else "NOT AT CHANCE"
        print(f"{name:<25}{accuracy:.4f} ± {error:.4f}  chance {chance:.4f}  {verdict}")
    print("Relative patch location where all images have 96×96 pixels (docs/shortcuts.md):")
    for resize_size, crop_size, patch_size in SAME_SIZE_OPTIONS:
        sizes = {"resize_size": resize_size, "crop_size": crop_size, "patch_size": patch_size}
        options = dataclasses.replace(OPTIONS, embedding_size=64, **sizes)
        task = pretext.build("relative_patch_location", options)
        accuracy, error = accuracy_on_noise(task, steps, size=SAME_SIZE)
        print(f"resized to {resize_size:<14}{accuracy:.4f} ± {error:.4f}  chance 0.1250")
    return at_chance


if __name__ == "__main__":
    sys.exit(not main(int(sys.argv[1]) if len(sys.argv) > 1 else 400))
