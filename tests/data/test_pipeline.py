import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import data
from data import images, pipeline
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


def test_fewer_images_than_a_batch(folder):
    with pytest.raises(ValueError, match="fewer than one batch of 64"):
        training(folder, batch_size=64)
