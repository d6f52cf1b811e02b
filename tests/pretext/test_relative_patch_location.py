from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import pretext
from tests.pretext import tiny

GOLDEN = Path(__file__).parent.parent / "golden"
SIZES = {"resize_size": 40, "crop_size": 36, "patch_size": 8, "embedding_size": 6}


@pytest.fixture(scope="module")
def task():
    return pretext.build("relative_patch_location", pretext.TaskOptions(**SIZES))


def test_eight_pairs_from_one_pass(task):
    inputs, targets = task.views(tiny.batch(task), training=True)
    assert inputs["images"].shape == (4 * 9, 8, 8, 3)
    np.testing.assert_array_equal(targets, np.tile(np.arange(8), 4))
    assert task.head(7)({"pre_logits": tf.ones((36, 7))}).shape == (32, 8)
    metrics = task.metrics(targets, tf.one_hot(targets, 8))
    np.testing.assert_array_equal(metrics["accuracy"], np.ones(32))


def test_patches_are_standardised_and_two_thirds_grey(task):
    images = task.views(tiny.batch(task, images=40), training=True)[0]["images"].numpy()
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(images.std(axis=(1, 2, 3)), 1, atol=1e-4)
    assert abs((np.ptp(images, axis=-1).max(axis=(1, 2)) < 1e-4).mean() - 2 / 3) < 0.1


def test_views_follow_the_draws_alone_held_out_as_in_training(task):
    batch = tiny.batch(task)
    tiny.assert_same_draws_same_views(task, batch)
    held_out, training = (task.views(batch, training)[0]["images"] for training in (False, True))
    np.testing.assert_array_equal(held_out, training)


def test_everything_compiles(task):
    tiny.assert_compiles(task, tiny.batch(task))


def pairs_of(embeddings):
    """What the head makes of given embeddings, (N · 9, C), before its perceptron."""
    channels = embeddings.shape[-1]
    options = pretext.TaskOptions(**(SIZES | {"embedding_size": channels}))
    head = pretext.build("relative_patch_location", options).head(channels)
    head.get_layer("embedding").set_weights([np.eye(channels), np.zeros(channels)])
    return keras.Model(head.input, head.get_layer("pairs").output)({"pre_logits": embeddings})


@pytest.mark.parametrize("embeddings", ["embed1", "embed2", "embed_idx"])
def test_pairs_as_in_the_released_code(embeddings):
    recorded = np.load(GOLDEN / "patch_permute.npz")
    values = recorded[embeddings]
    values = values.reshape(-1, values.shape[-1]).astype(np.float32)
    expected = recorded[f"out_{embeddings}_relative"]
    np.testing.assert_allclose(
        pairs_of(values), expected.reshape(-1, expected.shape[-1]), rtol=1e-6
    )


def test_locations_as_in_the_released_code():
    locations = np.load(GOLDEN / "patch_locations.npz")["perms"]
    np.testing.assert_array_equal(pairs_of(np.arange(9, dtype=np.float32)[:, None]), locations)


def test_whole_images_are_the_average_of_their_patches(task):
    backbone = tiny.network()
    pixels = np.random.RandomState(0).uniform(size=(3, 24, 24, 3)).astype(np.float32)
    tiles = pixels.reshape(3, 3, 8, 3, 8, 3).swapaxes(2, 3).reshape(27, 8, 8, 3)
    single = backbone(tf.image.per_image_standardization(tiles * 255), training=False)
    result = task.represent(backbone, tf.constant(pixels), training=False)
    for layer in tiny.LAYERS:
        expected = single[layer].numpy().reshape(3, 9, *single[layer].shape[1:]).mean(axis=1)
        np.testing.assert_allclose(result[layer], expected, atol=1e-4)
    head = task.head(32)
    logits = task.logits(backbone, head, tf.constant(pixels))
    assert logits.shape == (3, 8, 8)
    expected = head({"pre_logits": single["pre_logits"][9:18]})
    np.testing.assert_allclose(logits[1], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patches_per_side": 4}, "must be odd, but the grid has 16 patches"),
        ({"patches_per_side": 1}, "patches per side must be at least 2"),
        ({"patch_size": 13}, "need at least 39 pixels a side, got 36"),
        ({"crop_size": 44}, "does not fit into --resize_size=40"),
    ],
)
def test_mistakes_get_one_line(options, message):
    with pytest.raises(ValueError, match=message) as raised:
        pretext.build("relative_patch_location", pretext.TaskOptions(**(SIZES | options)))
    assert "\n" not in str(raised.value)
