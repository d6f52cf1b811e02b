import pathlib

import numpy as np
import tensorflow as tf

import pretext
from pretext import rotation

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden" / "rotate.npz")
OPTIONS = pretext.TaskOptions(resize_size=20, crop_size=16)


def batch(images: int, draws: int) -> dict[str, tf.Tensor]:
    random = np.random.default_rng(0)
    return {
        "image": tf.constant(random.integers(0, 256, (images, 16, 16, 3)), tf.uint8),
        "draws": tf.constant(random.random((images, draws)), tf.float32),
    }


def test_turns_are_those_of_the_released_code():
    for suffix in ("", "2"):
        turned = rotation.turn(tf.constant(GOLDEN["input" + suffix][None]))
        np.testing.assert_array_equal(turned, GOLDEN["output" + suffix])


def test_views_of_an_image_lie_side_by_side_with_their_turns_as_targets():
    task = pretext.build("rotation", OPTIONS)
    made = batch(3, task.draws)
    inputs, targets = task.views(made, training=False)
    np.testing.assert_array_equal(targets, [0, 1, 2, 3] * 3)
    for row in range(12):
        image = made["image"][row // 4].numpy() / 127.5 - 1
        np.testing.assert_allclose(inputs["images"][row], np.rot90(image, row % 4), atol=1e-6)


def test_training_distorts_colour_and_evaluation_does_not():
    task = pretext.build("rotation", OPTIONS)
    made = batch(2, task.draws)
    plain, _ = task.views(made, training=False)
    distorted, _ = task.views(made, training=True)
    assert np.abs(plain["images"] - distorted["images"]).mean() > 0.01
    assert np.abs(distorted["images"]).max() <= 1
    crop = pretext.build("rotation", pretext.TaskOptions(20, 16, "crop"))
    same, _ = crop.views(made, training=True)
    np.testing.assert_array_equal(same["images"], plain["images"])
