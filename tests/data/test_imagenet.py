import functools
import pathlib

import pytest

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
    names = sorted(trainval, key=lambda name: int(splits.lots(name)))
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
        kept.write_text(kept.read_text()[:100])
        with pytest.raises(TypeError):
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


def damaged(root: pathlib.Path, case: str) -> str:
    """A directory with one thing wrong."""
    miniatures.write_imagenet_tfrecords(root, first_label=0 if case == "labels from 0" else 1)
    shard = root / "train-00002-of-00005"
    if case == "missing":
        shard.unlink()
    elif case == "truncated":
        shard.write_bytes(shard.read_bytes()[:-100])
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
        ("two sets", "train", "shards of two sets, train-.*-of-00004 and -of-00005: keep one"),
        ("labels from 0", "train", "image/class/label goes from 0 to .* instead of from 1 to 1000"),
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
