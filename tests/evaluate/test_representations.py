import json

import numpy as np
import pytest
import tensorflow as tf
from etils import epath

import data
from evaluate import representations, saved_models

OPTIONS = representations.ExtractOptions(
    layers=("pixels", "mean", "map"), resize_size=36, crop_size=32, batch_size=16
)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> saved_models.SavedModel:
    """A SavedModel of nobody's: the mean colour and a large map."""
    root = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def representation(images):
        return {"mean": tf.reduce_mean(images, [1, 2]), "map": tf.tile(images, [1, 1, 1, 4])}

    path = str(tmp_path_factory.mktemp("models") / "saved_model")
    root.representation = representation
    tf.saved_model.save(root, path, signatures={"representation": representation})
    return saved_models.load(path)


@pytest.fixture
def records(labelled_folder):
    return data.load("folder", "all", labelled_folder)


def test_every_readable_image_has_its_row(model, records, tmp_path):
    made = representations.extract(model, records, OPTIONS, epath.Path(tmp_path / "a"))
    assert made.labels.tolist() == [0] * 60 + [1] * 60
    assert made.unreadable == 1
    assert made.layers["mean"].shape == (120, 3)
    # 32·32·12 values are more than 9000: a window of 2, of which the largest values stay.
    assert made.layers["map"].shape == (120, 16 * 16 * 12)
    assert made.layers["pixels"].shape == (120, 32 * 32 * 3)
    pixels = made.layers["pixels"].reshape(120, 32, 32, 3)
    assert 0.1 < pixels.mean() < 1
    np.testing.assert_allclose(made.layers["mean"], pixels.mean((1, 2)), atol=1e-5)
    largest = pixels.reshape(120, 16, 2, 16, 2, 3).max((2, 4))
    np.testing.assert_allclose(made.layers["map"][:, :3], largest.reshape(120, -1)[:, :3])


def test_an_interrupted_extraction_continues(model, records, tmp_path, monkeypatch):
    whole = representations.extract(model, records, OPTIONS, epath.Path(tmp_path / "whole"))
    monkeypatch.setattr(representations, "SECONDS_BETWEEN_HEADERS", 0.0)
    append, calls = representations.Files.append, []

    def killed(files, batch, done):
        calls.append(done)
        if len(calls) == 4:
            # As a kill leaves it: something written that the header does not count.
            for file in files.open_files.values():
                file.write(b"half a row")
                file.flush()
            raise KeyboardInterrupt
        append(files, batch, done)

    directory = epath.Path(tmp_path / "continued")
    monkeypatch.setattr(representations.Files, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        representations.extract(model, records, OPTIONS, directory)
    assert json.loads((directory / "header.json").read_text())["records"] == 48
    continued = representations.extract(model, records, OPTIONS, directory)
    assert calls[4] == 64
    for layer in OPTIONS.layers:
        np.testing.assert_array_equal(continued.layers[layer], whole.layers[layer])
    np.testing.assert_array_equal(continued.labels, whole.labels)

    calls.clear()
    representations.extract(model, records, OPTIONS, directory)
    assert not calls, "a finished extraction is used again"


def test_another_description_is_extracted_anew(model, records, labelled_folder, tmp_path):
    directory = epath.Path(tmp_path)
    representations.extract(model, records, OPTIONS, directory)
    half = data.load("folder", "val", labelled_folder)
    made = representations.extract(model, half, OPTIONS, directory)
    assert len(made.labels) + made.unreadable == half.size


def test_several_replicas_give_the_same(model, records, tmp_path, mirrored):
    one = representations.extract(model, records, OPTIONS, epath.Path(tmp_path / "one"))
    with mirrored.scope():
        loaded = saved_models.load(model.path)
    two = representations.extract(loaded, records, OPTIONS, epath.Path(tmp_path / "two"), mirrored)
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_allclose(one.layers["mean"], two.layers["mean"], rtol=1e-6)


def test_what_is_no_model(tmp_path):
    with pytest.raises(ValueError, match="is no SavedModel"):
        saved_models.load(str(tmp_path))
    root = tf.Module()
    root.f = tf.function(lambda x: x, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(root, str(tmp_path / "m"))
    with pytest.raises(ValueError, match="has no signature 'representation'"):
        saved_models.load(str(tmp_path / "m"))
