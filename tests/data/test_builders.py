import os
import tempfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

import data
from data import builders, splits


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


class HiddenLabels(TinyDigits):
    """As above, but nobody knows the labels of its test images, and one is wrong in `odd`."""

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples(80),
            "test": self._labelled(20, [-1]),
            "odd": self._labelled(20, [0, 1, 1, -1]),
        }

    def _labelled(self, count, labels):
        for number in range(count):
            image = np.full((8, 8, 1), number, np.uint8)
            yield number, {"image": image, "label": labels[number % len(labels)]}


def test_labels_that_are_none(tmp_path):
    records = data.load("hidden_labels", "test", str(tmp_path))
    assert (records.size, records.num_classes) == (20, 0)
    assert {int(entry["label"]) for entry in records.entries()} == {-1}
    assert data.load("hidden_labels", "train", str(tmp_path)).num_classes == 2
    wrong = data.load("hidden_labels", "odd", str(tmp_path))
    told = "a label in split odd of hidden_labels is not from 0 to 1$"
    with pytest.raises(ValueError, match=told), wrong.explained():
        list(wrong.entries())


SPLITS = (
    "train[:0%]",
    "train[50%:10%]",
    "train+",
    "train[",
    f"train[:{10**30}]",
    "train+train",
    "train[:50%]+train[40%:]",
    "train\n",
    "",
    "train[0:-500]",
    "test+train[50%:10%]",
)


@pytest.mark.parametrize("split", SPLITS)
def test_splits_that_are_none(tmp_path_factory, split):
    root = tmp_path_factory.getbasetemp() / "digits"
    with pytest.raises(ValueError, match=r"split") as error:
        data.load("tiny_digits", split, str(root))
    assert "\n" not in str(error.value)


def test_names_that_are_none(tmp_path):
    names = (
        "",
        " ",
        "scenes\n",
        "sc\udcffenes",
        "../scenes",
        "scenes/",
        "scenes/seed=3",
        "a" * 500,
    )
    for name in (*names, "huggingface:mnist", "scenes:1.0.0:2", "scenes/tiny/more", "nope:x/y"):
        with pytest.raises(ValueError, match=r"data set|no such|cannot be opened") as error:
            data.load(name, "train", str(tmp_path))
        assert str(error.value).isprintable()


def test_directories_that_are_none(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for place in ("file", "file/below", "x" * 300, "nul\0"):
        with pytest.raises(ValueError, match="tiny_digits") as error:
            data.load("tiny_digits", "train", str(tmp_path / place))
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="--data_dir=hdfs://nowhere/x: the installed TensorFlow"):
        data.load("tiny_digits", "train", "hdfs://nowhere/x")


def test_what_is_left_of_a_data_set_blocks_nobody(tmp_path):
    place = tmp_path / "tiny_digits" / "1.0.0"
    place.mkdir(parents=True)
    assert data.load("tiny_digits", "trainval", str(tmp_path)).size == 80
    (place / "dataset_info.json").unlink()
    with pytest.raises(ValueError, match=r"1.0.0 does not hold a complete data set .*: delete it"):
        data.load("tiny_digits", "trainval", str(tmp_path))


SHARD = "tiny_digits-train.tfrecord-00000-of-00001"


def damage(place, case):
    """Damages one thing of a prepared data set."""
    shard = place / SHARD
    content = shard.read_bytes()
    if case == "gone":
        shard.unlink()
    elif case == "pipe":
        shard.unlink()
        os.mkfifo(shard)
    elif case == "cut":
        shard.write_bytes(content[:-10])
    elif case == "cut between two images":
        length = int.from_bytes(content[:8], "little")
        shard.write_bytes(content[length + 16 :])
    elif case == "flipped bit":
        shard.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    else:
        (place / "dataset_info.json").write_text(case)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("gone", f"{SHARD} cannot be read"),
        ("pipe", f"{SHARD} is not a regular file"),
        ("cut", f"{SHARD} is damaged"),
        ("cut between two images", f"{SHARD} is damaged: it holds 79 examples instead of 80"),
        ("flipped bit", f"{SHARD} is damaged.*corrupted record"),
        ("", "tiny_digits cannot be opened in .*: the name, the directory or what was"),
        ("null", "tiny_digits cannot be opened in"),
        ('{"splits": 5}', "tiny_digits cannot be opened in"),
        ("{}", "tiny_digits has no such configuration or version"),
    ],
)
def test_damage_to_a_prepared_data_set(tmp_path, case, message):
    builders.prepared("tiny_digits", str(tmp_path))
    damage(tmp_path / "tiny_digits" / "1.0.0", case)
    with pytest.raises(ValueError, match=message) as error:
        data.load("tiny_digits", "trainval", str(tmp_path))
    assert "\n" not in str(error.value)


def test_damage_behind_the_first_images_names_the_file(tmp_path):
    builders.prepared("tiny_digits", str(tmp_path))
    shard = tmp_path / "tiny_digits" / "1.0.0" / SHARD
    content = shard.read_bytes()
    shard.write_bytes(content[:-10] + bytes([content[-10] ^ 1]) + content[-9:])
    records = data.load("tiny_digits", "trainval", str(tmp_path))
    with pytest.raises(ValueError, match=f"{SHARD} is damaged"), records.explained():
        list(records.entries())


def test_a_preparation_that_fails_leaves_nothing_and_says_one_line(tmp_path, monkeypatch, capfd):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with pytest.raises(ValueError, match=r"imagenet2012 is not prepared") as error:
        data.load("imagenet2012", "train", str(tmp_path / "data"))
    assert "\n" not in str(error.value)
    assert not list(scratch.iterdir())
    assert not capfd.readouterr().err
