import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import data
from data import images, pipeline, usable_images
from data.unreadable import UnreadableImages

SIZE = 24
VIEW = images.RandomCrop(0, SIZE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for number in range(50):
        pixels = random.integers(0, 256, (30, 32, 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{number:02}.png")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    (root / "empty.png").touch()
    Image.fromarray(pixels[:10]).save(root / "small.png")
    return str(root)


def training(folder, **options):
    records = data.load("folder", "all", folder)
    settings = {"batch_size": 8, "epochs": 3, "seed": 5, "draws": 2} | options
    batches = pipeline.training_batches(records, VIEW, **settings)
    return list(batches.as_numpy_iterator())


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_shapes_and_types(folder):
    batches = training(folder)
    assert len(batches) == 3 * (53 // 8)
    assert batches[0]["image"].shape == (8, SIZE, SIZE, 3)
    assert batches[0]["image"].dtype == np.uint8
    assert batches[0]["draws"].shape == (8, 2)


@pytest.mark.parametrize("start", [1, 6, 11])
def test_starting_at_a_step_gives_what_the_whole_run_gives(folder, start):
    assert_same(training(folder)[start:], training(folder, start_step=start))


def test_what_is_skipped_at_a_restart_is_not_even_read(folder):
    read = []

    def reading(path):
        tf.py_function(lambda path: read.append(path.numpy()), [path], [])
        return tf.io.read_file(path)

    records = dataclasses.replace(data.load("folder", "all", folder), read=reading)
    settings = {"batch_size": 8, "epochs": 2, "seed": 5, "start_step": 6 + 4}
    assert len(list(pipeline.training_batches(records, VIEW, **settings))) == 2
    assert len(set(read)) == 2 * 8


def test_epochs_and_seeds_differ_and_the_global_seed_does_not_matter(folder):
    import keras

    batches = training(folder)
    assert np.any(batches[0]["draws"] != batches[6]["draws"])
    assert np.any(batches[0]["draws"] != training(folder, seed=6)[0]["draws"])
    keras.utils.set_random_seed(123)
    assert_same(batches, training(folder))


def test_hosts_share_a_batch(folder):
    whole = training(folder)
    halves = [training(folder, shard=pipeline.Shard(index, 2), replicas=2) for index in range(2)]
    for step in range(len(whole)):
        together = np.concatenate([half[step]["draws"] for half in halves])
        assert set(together[:, 0]) == set(whole[step]["draws"][:, 0])


def test_unreadable_images_are_replaced_and_named(folder):
    unreadable = UnreadableImages()
    batches = training(folder, unreadable=unreadable)
    assert all(batch["valid"].all() for batch in batches)
    assert all(batch["image"].reshape(8, -1).any(axis=1).all() for batch in batches)
    assert set(unreadable.reasons) == {"broken.jpg", "empty.png", "small.png"}
    assert "3 images could not be read: broken.jpg" in unreadable.summary()
    assert "smaller than the crop" in unreadable.reasons["small.png"]


def test_evaluation_sees_every_image_once_in_order(folder):
    records = data.load("folder", "all", folder)
    view = images.CentralCrop(0, SIZE)
    batches = list(pipeline.evaluation_batches(records, view, batch_size=16).as_numpy_iterator())
    assert [len(batch["valid"]) for batch in batches] == [16] * 4
    assert sum(batch["valid"].sum() for batch in batches) == 50
    rest = pipeline.evaluation_batches(records, view, batch_size=16, start=32)
    assert_same(batches[2:], list(rest.as_numpy_iterator()))


def test_a_batch_of_one_unreadable_image_gets_another(folder):
    """A micro-batch, or a replica's part, can be that small."""
    unreadable = UnreadableImages()
    batches = training(folder, replicas=8, unreadable=unreadable)
    assert len(batches) == 3 * (53 // 8) * 8
    assert all(batch["valid"].all() and batch["image"].any() for batch in batches)
    assert all(batch["image"].shape == (1, SIZE, SIZE, 3) for batch in batches)
    assert set(unreadable.reasons) == {"broken.jpg", "empty.png", "small.png"}
    # A restart finds the same ones, whatever TensorFlow's global seed.
    tf.random.set_seed(3)
    assert_same(batches[16:], training(folder, replicas=8, start_step=2))


@pytest.mark.parametrize("make", [pipeline.training_batches, pipeline.evaluation_batches])
def test_nothing_but_unreadable_images(tmp_path, make):
    for number in range(40):
        (tmp_path / f"{number:02}.png").write_bytes(b"")
    records = data.load("folder", "all", str(tmp_path))
    unreadable = UnreadableImages()
    more = {"epochs": 1, "seed": 0} if make is pipeline.training_batches else {}
    batches = make(records, VIEW, batch_size=4, unreadable=unreadable, **more)
    if make is pipeline.evaluation_batches:
        assert not any(batch["valid"].any() for batch in batches.as_numpy_iterator())
        return
    message = "all images of a batch of 4, .* were unreadable; [0-9]+ images could not be read"
    with pytest.raises(ValueError, match=message), unreadable.explained(4):
        next(iter(batches))


def test_what_fails_with_every_image_is_told_at_once(folder, tmp_path):
    records = data.load("folder", "all", folder)
    usable_images.check_first(records, VIEW)
    message = (
        r"^none of the first 32 images of split all of folder can be used; 32 images could not be "
        r"read: .*\.png \(the image is smaller than the crop of 64 pixels\), .*, …$"
    )
    with pytest.raises(ValueError, match=message):
        usable_images.check_first(records, images.CentralCrop(0, 64))


def test_fewer_images_than_a_batch(folder):
    with pytest.raises(ValueError, match="fewer than one batch of 64"):
        training(folder, batch_size=64)
