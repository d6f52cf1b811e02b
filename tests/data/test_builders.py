import numpy as np
import pytest
import tensorflow_datasets as tfds

import data
from data import splits


class TinyDigits(tfds.core.GeneratorBasedBuilder):
    """A data set of a hundred small grey PNGs, found by name as any other of TFDS."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1)),
                    "label": tfds.features.ClassLabel(names=["even", "odd"]),
                }
            )
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(80), "test": self._generate_examples(20)}

    def _generate_examples(self, count):
        for number in range(count):
            yield number, {"image": np.full((8, 8, 1), number, np.uint8), "label": number % 2}


def ids(records):
    return {entry["id"] for entry in records.entries().as_numpy_iterator()}


def test_a_tfds_data_set_by_name(tmp_path):
    train = data.load("tiny_digits", "train", str(tmp_path))
    val = data.load("tiny_digits", "val", str(tmp_path))
    assert (train.size, val.size) == (72, 8)
    assert train.class_names == ("even", "odd")
    assert not ids(train) & ids(val)
    assert ids(train) | ids(val) == ids(data.load("tiny_digits", "trainval", str(tmp_path)))
    assert data.load("tiny_digits", "test", str(tmp_path)).size == 20
    assert data.load("tiny_digits", "train[:25%]", str(tmp_path)).size == 20
    assert train.fingerprint != val.fingerprint


def test_own_validation_is_at_most_fifty_thousand():
    assert splits.tfds_split("val", "imagenet2012", {"train": 1_281_167}) == "train[:50000]"
    sizes = {"train": 1_281_167, "validation": 50_000, "test": 100_000}
    assert splits.tfds_split("test", "imagenet2012", sizes) == "validation"
    assert splits.tfds_split("test", "other", sizes) == "test"


def test_bad_names(tmp_path):
    with pytest.raises(
        ValueError, match=r"unknown data set cifar11: use scenes, folder, .*cifar10"
    ):
        data.load("cifar11", "train", str(tmp_path))
    for name in ("scenes/none", "tiny_digits:7.0.0"):
        with pytest.raises(ValueError, match="no such configuration or version") as error:
            data.load(name, "train", str(tmp_path))
        assert "\n" not in str(error.value)
    assert data.load("scenes/tiny:1.0.0", "trainval", str(tmp_path)).size == 200
    with pytest.raises(ValueError, match="has no split nonsense: use train, val, trainval, test"):
        data.load("tiny_digits", "nonsense", str(tmp_path))
    with pytest.raises(ValueError, match="is empty"):
        data.load("tiny_digits", "train[:0]", str(tmp_path))


def test_a_data_set_that_cannot_be_prepared(tmp_path):
    with pytest.raises(ValueError, match=r"imagenet2012 is not prepared in .*could not be"):
        data.load("imagenet2012", "train", str(tmp_path))
