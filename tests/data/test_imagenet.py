import functools
import json
import os
import pathlib
import tarfile

import pytest
import tensorflow as tf

import data
from data import builders, imagenet, imagenet_names, overlap, splits
from tests.data import miniatures

LAYOUTS = ("TFDS", "TFRecords", "TFRecords in folders", "tree", "tree, flat validation")


@pytest.fixture(scope="module")
def directories(tmp_path_factory) -> dict[str, str]:
    """The same images in every layout."""
    roots = {layout: tmp_path_factory.mktemp("imagenet") for layout in LAYOUTS}
    archives = tmp_path_factory.mktemp("archives")
    miniatures.write_imagenet_archives(archives)
    builders.prepared("imagenet2012", str(roots["TFDS"]), str(archives))
    miniatures.write_imagenet_tfrecords(roots["TFRecords"])
    in_folders = roots["TFRecords in folders"]
    miniatures.write_imagenet_tfrecords(in_folders, shards=(3, 1))
    for split in ("train", "validation"):
        (in_folders / split).mkdir()
        for file in in_folders.glob(f"{split}-*"):
            file.rename(in_folders / split / file.name)
    miniatures.write_imagenet_tree(roots["tree"])
    miniatures.write_imagenet_tree(roots["tree, flat validation"], flat_validation=True)
    return {layout: str(root) for layout, root in roots.items()}


def contents(records) -> dict[str, tuple[int, bytes]]:
    """Label and encoded image by id; there must be as many as promised."""
    entries = records.entries().map(lambda entry: {**entry, "image": records.read(entry["image"])})
    read = [(e["id"].decode(), (int(e["label"]), e["image"])) for e in entries.as_numpy_iterator()]
    assert len(read) == len(dict(read)) == records.size
    return dict(read)


@pytest.mark.parametrize("split", splits.NAMES)
def test_every_layout_has_the_same_images(directories, split):
    training, validation = miniatures.imagenet()
    expected = validation if split == "test" else training
    read = {
        layout: contents(data.load("imagenet2012", split, directory))
        for layout, directory in directories.items()
    }
    first = read["TFDS"]
    assert len(first) == {"train": 54, "val": 6, "trainval": 60, "test": 8}[split]
    for name, (label, encoded) in first.items():
        assert encoded == expected[name]
        assert label == imagenet_names.wordnet_ids().index(imagenet_names.wordnet_id(name))
    for layout, images in read.items():
        assert images == first, layout
    # A folder's own classes are those that are there; its images and splits are the same.
    assert contents(data.load("folder", split, directories["tree"])).keys() == first.keys()


def test_validation_is_held_out_by_the_files_names(directories):
    train, val, trainval = (
        set(contents(data.load("imagenet2012", split, directories["TFRecords"])))
        for split in ("train", "val", "trainval")
    )
    assert not train & val
    assert train | val == trainval
    names = sorted(trainval, key=lambda name: int(splits.name_hashes(name)))
    assert val == set(names[:6])
    # Recorded, since a run that goes on must find its split again.
    assert names[0] == "n01443537_163.JPEG"


def test_the_index_is_kept_and_follows_the_files(tmp_path, monkeypatch):
    miniatures.write_imagenet_tfrecords(tmp_path / "shards")
    before = data.load("imagenet2012", "val", str(tmp_path / "shards"))
    kept = tmp_path / "shards" / "index-train.json"
    assert kept.exists()
    with monkeypatch.context() as patch:
        patch.setattr("data.record_index._make", None)
        assert contents(data.load("imagenet2012", "val", str(tmp_path / "shards"))) == contents(
            before
        )
        whole = kept.read_text()
        index = json.loads(whole)
        index["index"]["held_out"][0][1] += 1
        for other in (whole[:100], "null", "[1]", "[" * 100_000, json.dumps(index)):
            kept.write_text(other)
            with pytest.raises(TypeError):  # It would be made.
                data.load("imagenet2012", "val", str(tmp_path / "shards"))
    miniatures.write_imagenet_tfrecords(tmp_path / "shards", file_names=False)
    after = data.load("imagenet2012", "val", str(tmp_path / "shards"))
    assert after.fingerprint != before.fingerprint


def test_an_index_of_a_directory_that_cannot_be_written(tmp_path, monkeypatch):
    miniatures.write_imagenet_tfrecords(tmp_path / "shards")
    (tmp_path / "shards" / "index-train.json").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data.load("imagenet2012", "val", str(tmp_path / "shards")).size == 6
    assert len(list((tmp_path / "cache").glob("*/index-*.json"))) == 1


def test_records_without_file_names(tmp_path, capsys):
    miniatures.write_imagenet_tfrecords(tmp_path, file_names=False)
    parts = {
        split: contents(data.load("imagenet2012", split, str(tmp_path)))
        for split in ("train", "val", "trainval")
    }
    assert "some examples have no image/filename" in capsys.readouterr().err
    assert len(parts["val"]) == 6
    assert parts["train"] | parts["val"] == parts["trainval"]


TRAINING, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"


def wrong_archives(root: pathlib.Path, case: str) -> None:
    """A manual directory with one thing wrong."""
    miniatures.write_imagenet_archives(root)
    training, validation = root / TRAINING, root / VALIDATION
    content = training.read_bytes()
    if case == "no validation":
        validation.unlink()
    elif case == "cut between two images":
        training.write_bytes(content[: len(content) // 2 // 512 * 512])
    elif case == "inner header":
        place = content.index(b"n02085936_") + 11
        training.write_bytes(content[:place] + b"x" + content[place + 1 :])
    elif case == "swapped":
        training.write_bytes(validation.read_bytes())
        validation.write_bytes(content)
    elif case == "training twice":
        training.write_bytes(validation.read_bytes())
    elif case == "nothing in it":
        with tarfile.open(training, "w"):
            pass


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no validation", f"{VALIDATION} is missing: put it into .*manual"),
        ("cut between two images", f"{TRAINING} is damaged, download it again"),
        ("inner header", f"{TRAINING} is damaged, download it again: n02085936.tar in it"),
        ("swapped", f"{VALIDATION} is not the archive that its name says"),
        ("training twice", f"{TRAINING} is not the archive that its name says"),
        ("nothing in it", f"{TRAINING} holds no image"),
    ],
)
def test_what_can_be_wrong_with_the_archives(tmp_path, case, message):
    wrong_archives(tmp_path / "manual", case)
    with pytest.raises(ValueError, match=message) as error:
        builders.prepared("imagenet2012", str(tmp_path / "data"), str(tmp_path / "manual"))
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def test_a_file_name_that_is_not_utf_8(tmp_path):
    names = [bytes([0xFF, number]) + b".JPEG" for number in range(20)]
    with tf.io.TFRecordWriter(str(tmp_path / "train-00000-of-00001")) as writer:
        for name in names:
            feature = {
                "image/encoded": miniatures.bytes_feature(miniatures.jpeg(0)),
                "image/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=[1])),
                "image/filename": miniatures.bytes_feature(name),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    for _ in range(2):  # Once made, once read.
        records = data.load("imagenet2012", "val", str(tmp_path))
        found = {entry["id"] for entry in records.entries().as_numpy_iterator()}
        assert len(found) == 2
        assert found < set(names)


def damaged(root: pathlib.Path, case: str) -> str:
    """A directory with one thing wrong."""
    miniatures.write_imagenet_tfrecords(root, first_label=0 if case == "labels from 0" else 1)
    shard = root / "train-00002-of-00005"
    if case == "missing":
        shard.unlink()
    elif case == "truncated":
        shard.write_bytes(shard.read_bytes()[:-100])
    elif case == "flipped":
        content = bytearray(shard.read_bytes())
        content[700] ^= 1
        shard.write_bytes(content)
    elif case == "empty":
        shard.write_bytes(b"")
    elif case == "no records":
        shard.write_bytes(b"hello")
    elif case == "cut in a header":
        content = shard.read_bytes()
        shard.write_bytes(content[: int.from_bytes(content[:8], "little") + 16 + 5])
    elif case == "pipe":
        shard.unlink()
        os.mkfifo(shard)
    elif case == "one more":
        (root / "train-00005-of-00005").write_bytes(shard.read_bytes())
    elif case == "two sets":
        (root / "train-00000-of-00004").write_bytes(b"")
    elif case == "no validation":
        for path in root.glob("validation-*"):
            path.unlink()
    return str(root)


@pytest.mark.parametrize(
    ("case", "split", "message"),
    [
        ("missing", "train", "train-00002-of-00005 of 5 shards missing in "),
        ("truncated", "train", "train-00002-of-00005 is damaged or lacks a key: "),
        ("flipped", "train", "train-00002-of-00005 is damaged or lacks a key: corrupted record"),
        ("empty", "train", "train-00002-of-00005 is empty"),
        ("no records", "train", "train-00002-of-00005 is damaged: its last record is cut"),
        ("cut in a header", "train", "train-00002-of-00005 is damaged: its last record is cut"),
        ("pipe", "train", "train-00002-of-00005 is not a regular file"),
        ("one more", "train", "train-00005-of-00005 in .* is one more than the shards"),
        ("two sets", "train", "shards of two sets, train-.*-of-00004 and -of-00005: keep one"),
        (
            "labels from 0",
            "train",
            "train-0000.-of-00005: image/class/label goes from 0 to .* instead of from 1 to 1000",
        ),
        ("no validation", "test", r"no validation-\?.* in .*: split test needs them"),
        ("none", "train[:5%]", "imagenet2012 has no split .*; it has train, val, trainval, test"),
    ],
)
def test_what_can_be_wrong_with_shards(tmp_path, case, split, message):
    with pytest.raises(ValueError, match=message) as error:
        data.load("imagenet2012", split, damaged(tmp_path, case))
    assert "\n" not in str(error.value)


def test_what_can_be_wrong_with_a_tree(tmp_path):
    miniatures.write_imagenet_tree(tmp_path)
    with pytest.raises(ValueError, match="imagenet2012 has no split all"):
        data.load("imagenet2012", "all", str(tmp_path))
    miniatures.write(tmp_path / "train" / "cats" / "1.jpg", miniatures.jpeg(0))
    with pytest.raises(ValueError, match=r"cats/1.jpg is in none of imagenet2012's classes: cats"):
        data.load("imagenet2012", "trainval", str(tmp_path))


def test_tfds_notation_where_tfds_prepared_it(directories):
    records = data.load("imagenet2012", "train[:50%]", directories["TFDS"])
    assert records.size == 30
    assert set(contents(records)) < set(miniatures.imagenet()[0])
    assert imagenet.find_layout(directories["TFDS"]) == "TFDS"


def test_what_splits_share_is_told_without_reading_them(directories, monkeypatch):
    load = functools.partial(data.load, "imagenet2012")
    half = load("train[:50%]", directories["TFDS"])
    among = len(set(contents(half)) & set(contents(load("train", directories["TFDS"]))))
    assert overlap.shared(load("train", directories["TFDS"]), half) == among < half.size
    for layout in ("TFDS", "TFRecords", "tree"):
        train, val, trainval, test = (load(name, directories[layout]) for name in splits.NAMES)
        if layout != "tree":  # A folder's listing is in memory.
            monkeypatch.setattr(overlap, "_identifiers", None)
        assert overlap.shared(train, val) == overlap.shared(val, train) == 0
        assert overlap.shared(trainval, test) == overlap.shared(test, val) == 0
        assert overlap.shared(trainval, val) == overlap.shared(val, val) == 6
        monkeypatch.undo()
