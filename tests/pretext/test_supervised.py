import numpy as np
import pytest
import tensorflow as tf

import pretext
from data import images
from tests.pretext import tiny

OPTIONS = pretext.TaskOptions(resize_size=40, crop_size=36, class_names=tuple("abcde"))


@pytest.fixture(scope="module")
def task():
    return pretext.build("supervised", OPTIONS)


def test_targets_are_the_labels_and_held_out_images_are_left_alone(task):
    batch = tiny.batch(task)
    inputs, targets = task.views(batch, training=False)
    np.testing.assert_array_equal(targets, batch["label"])
    expected = batch["image"].numpy() / 127.5 - 1
    np.testing.assert_allclose(inputs["images"], expected, atol=1e-5)
    distorted = task.views(batch, training=True)[0]["images"].numpy()
    assert np.abs(distorted - expected).mean() > 0.02
    assert distorted.min() >= -1
    assert distorted.max() <= 1


def test_views_follow_the_draws_alone(task):
    tiny.assert_same_draws_same_views(task, tiny.batch(task))


def test_everything_compiles(task):
    tiny.assert_compiles(task, tiny.batch(task))


def test_head_has_an_output_for_every_class(task):
    head = task.head(7)
    assert head({"pre_logits": tf.ones((2, 7))}).shape == (2, 5)
    targets = tf.constant([1, 4], tf.int64)
    accuracy = task.metrics(targets, tf.constant([[0, 9, 0, 0, 0], [0, 9, 0, 0, 0.0]]))["accuracy"]
    np.testing.assert_array_equal(accuracy, [1, 0])


def test_augmentation_is_a_choice():
    inception = pretext.build("supervised", OPTIONS)
    assert inception.train_view == images.InceptionCrop(36)
    crop = pretext.build(
        "supervised", pretext.TaskOptions(40, 36, "crop", class_names=tuple("abcde"))
    )
    assert crop.train_view == images.RandomCrop(40, 36)
    assert crop.draws == 0
    batch = tiny.batch(crop)
    training, held_out = (crop.views(batch, training)[0]["images"] for training in (True, False))
    np.testing.assert_array_equal(training, held_out)


def test_whole_images_are_scaled(task):
    backbone = tiny.network()
    pixels = np.random.RandomState(0).uniform(size=(2, 36, 36, 3)).astype(np.float32)
    result = task.represent(backbone, tf.constant(pixels), training=False)
    expected = backbone(pixels * 2 - 1, training=False)
    for layer in tiny.LAYERS:
        np.testing.assert_allclose(result[layer], expected[layer], atol=1e-5)


def test_images_without_labels_get_one_line():
    with pytest.raises(ValueError, match="needs labels and the data set has none") as raised:
        pretext.build("supervised", pretext.TaskOptions(class_names=()))
    assert "\n" not in str(raised.value)


def test_one_class_is_nothing_to_tell_apart():
    with pytest.raises(ValueError, match=r"--task=supervised needs two classes .* has one$"):
        pretext.build("supervised", pretext.TaskOptions(class_names=("a",)))
