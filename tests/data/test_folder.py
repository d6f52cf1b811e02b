"""A directory of the user's own images: its splits, its classes and what is said about it."""

import os
import pathlib

import numpy as np
import pytest
from PIL import Image

import data
from data import folder


def write_images(root: pathlib.Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(root / name)


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    """What is said about folders."""
    lines = []
    monkeypatch.setattr(folder, "_warn", lambda data_dir, line: lines.append(line))
    return lines


def ids(records) -> list[str]:
    return [entry["id"].decode() for entry in records.entries().as_numpy_iterator()]


def test_splits_of_a_flat_folder_are_disjoint_and_whole(tmp_path):
    write_images(tmp_path, [f"{'cat' if i % 2 else 'dog/young'}/{i}.png" for i in range(100)])
    parts = {name: set(ids(data.load("folder", name, str(tmp_path)))) for name in ("train", "val")}
    test = set(ids(data.load("folder", "test", str(tmp_path))))
    trainval = set(ids(data.load("folder", "trainval", str(tmp_path))))
    assert (len(parts["train"]), len(parts["val"]), len(test)) == (81, 9, 10)
    assert parts["train"] | parts["val"] == trainval
    assert not parts["train"] & parts["val"]
    assert not test & trainval
    assert len(ids(data.load("folder", "all", str(tmp_path)))) == 100


def test_labels_are_the_first_folders(tmp_path):
    write_images(tmp_path, ["b/x/1.png", "a/2.JPG", "a/3.jpeg"])
    (tmp_path / "a" / "notes.txt").write_text("no image")
    records = data.load("folder", "all", str(tmp_path))
    assert records.class_names == ("a", "b")
    labels = {e["id"].decode(): e["label"] for e in records.entries().as_numpy_iterator()}
    assert labels == {"a/2.JPG": 0, "a/3.jpeg": 0, "b/x/1.png": 1}


def test_official_splits_by_folder(tmp_path):
    write_images(tmp_path, [f"train/a/{i}.png" for i in range(20)] + ["val/a/1.png", "val/b/2.png"])
    assert data.load("folder", "test", str(tmp_path)).size == 2
    assert data.load("folder", "trainval", str(tmp_path)).size == 20
    assert data.load("folder", "train", str(tmp_path)).size == 18
    assert data.load("folder", "test", str(tmp_path)).class_names == ("a", "b")


def of_three(tmp_path: pathlib.Path, name: str) -> dict[str, int]:
    """Sizes of all splits of a folder with training, validation and test images."""
    write_images(
        tmp_path,
        [f"train/{'ab'[i % 2]}/{i}.png" for i in range(20)]
        + [f"{name}/{'ab'[i % 2]}/{i}.png" for i in range(6)]
        + [f"test/{'ab'[i % 2]}/{i}.png" for i in range(4)],
    )
    names = ("train", "val", "trainval", "test", "all")
    return {split: data.load("folder", split, str(tmp_path)).size for split in names}


@pytest.mark.parametrize("name", ["validation", "val", "valid", "dev", "Validation"])
def test_a_folders_own_validation_images(tmp_path, warnings, name):
    sizes = of_three(tmp_path, name)
    assert sizes == {"train": 20, "val": 6, "trainval": 26, "test": 4, "all": 30}
    assert {path.split("/")[0] for path in ids(data.load("folder", "val", str(tmp_path)))} == {name}
    assert not warnings


def test_two_folders_of_validation_images(tmp_path, warnings):
    assert of_three(tmp_path, "val")["val"] == 6
    write_images(tmp_path, ["validation/a/1.png", "extra/1.png", "extra/2.png", "cover.png"])
    assert data.load("folder", "val", str(tmp_path)).size == 1
    assert len(set(warnings)) == 1
    assert warnings[0].startswith("9 of 34 images lie outside the folders of the splits")
    assert "6 in val, 2 in extra, 1 in the directory itself" in warnings[0]
    warnings.clear()
    everything = data.load("folder", "all", str(tmp_path))
    assert everything.size == 34
    assert everything.num_classes == 0
    assert "9 of 34 images lie in no class folder" in "".join(warnings)


def test_training_and_testing_are_splits_together_alone(tmp_path):
    write_images(tmp_path, [f"Training/a/{i}.png" for i in range(20)])
    write_images(tmp_path, [f"rest/{i}.png" for i in range(20)])
    assert data.load("folder", "all", str(tmp_path)).class_names == ("Training", "rest")
    write_images(tmp_path, ["Testing/a/1.png", "Testing/b/1.png"])
    assert data.load("folder", "test", str(tmp_path)).size == 2
    assert data.load("folder", "trainval", str(tmp_path)).class_names == ("a", "b")


def test_test_images_without_labels_leave_the_others_theirs(tmp_path):
    write_images(tmp_path, [f"train/{'ab'[i % 2]}/{i}.png" for i in range(20)] + ["test/1.png"])
    assert data.load("folder", "train", str(tmp_path)).class_names == ("a", "b")
    assert data.load("folder", "test", str(tmp_path)).num_classes == 0


def test_classes_that_are_never_trained_are_named(tmp_path, warnings):
    write_images(tmp_path, [f"train/{'ab'[i % 2]}/{i}.png" for i in range(20)])
    write_images(tmp_path, ["test/b/1.png", "test/c/1.png", "test/d/1.png", "test/d/2.png"])
    assert data.load("folder", "test", str(tmp_path)).class_names == ("a", "b", "c", "d")
    assert warnings == [
        "2 of the 3 classes of the test images have no training images: c, d (3 images)"
    ]


def test_classes_that_differ_in_case(tmp_path, warnings):
    write_images(tmp_path, [f"{'cC'[i % 2]}at/{i}.png" for i in range(20)])
    data.load("folder", "train", str(tmp_path))
    assert warnings == ["classes that differ only in case: Cat, cat"]


def test_a_warning_is_given_once(tmp_path, caplog):
    write_images(tmp_path, [f"{'cC'[i % 2]}at/{i}.png" for i in range(20)])
    for split in ("train", "test"):
        data.load("folder", split, str(tmp_path))
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: classes that differ only in case: Cat, cat"
    ]


def test_names_that_are_no_utf8(tmp_path):
    names = [b"caf\xe9/\xff.png", b"caf\xe8/1.png", "größe/ein bild.png".encode()]
    write_images(tmp_path, [os.fsdecode(name) for name in names])
    records = data.load("folder", "all", str(tmp_path))
    assert records.class_names == ("caf�", "caf�", "größe")
    found = {entry["id"]: entry["label"] for entry in records.entries().as_numpy_iterator()}
    assert sorted(found) == sorted(names)
    assert sorted(found.values()) == [0, 1, 2]
    for entry in records.entries():
        assert records.read(entry["image"]).numpy().startswith(b"\x89PNG")


def test_a_replaced_image_changes_the_fingerprint_and_nothing_else(tmp_path):
    write_images(tmp_path, [f"a/{i}.png" for i in range(20)])

    def load():
        return data.load("folder", "all", str(tmp_path))

    before, order = load().fingerprint, ids(load())
    assert load().fingerprint == before
    os.utime(tmp_path / "a/3.png", ns=(0, 1))
    touched = load().fingerprint
    assert touched != before
    (tmp_path / "a/3.png").write_bytes(b"repaired")
    os.utime(tmp_path / "a/3.png", ns=(0, 1))
    assert load().fingerprint not in (before, touched)
    assert ids(load()) == order


def test_file_addresses(tmp_path):
    write_images(tmp_path / "my photos", ["a/1.png", "a/2.png"])
    address = (tmp_path / "my photos").as_uri()
    assert "%20" in address
    assert data.load("folder", "all", address).size == 2
    with pytest.raises(ValueError, match=r"^--data_dir=hdfs://a/b: .* no hdfs:// addresses"):
        data.load("folder", "all", "hdfs://a/b")
    with pytest.raises(ValueError, match=r"^--data_dir=http://a/b: .* no http:// addresses"):
        data.load("cifar10", "train", "http://a/b")


def test_images_in_the_root_have_no_labels(tmp_path):
    write_images(tmp_path, ["1.png", "a/2.png"])
    assert data.load("folder", "all", str(tmp_path)).num_classes == 0


def test_an_empty_split_says_what_there_is(tmp_path):
    write_images(tmp_path, [f"a/{i}.png" for i in range(8)])
    message = r"val of .* is empty \(8 images in all\): .* --train_split or --val_split .*train 8,"
    with pytest.raises(ValueError, match=message):
        data.load("folder", "val", str(tmp_path))


@pytest.mark.parametrize(
    ("split", "message"), [("test", "is empty"), ("nonsense", "has no split nonsense")]
)
def test_bad_splits(tmp_path, split, message):
    write_images(tmp_path, ["a/1.png"])
    with pytest.raises(ValueError, match=message):
        data.load("folder", split, str(tmp_path))


def test_bad_folders(tmp_path):
    with pytest.raises(ValueError, match="is not a directory"):
        data.load("folder", "train", str(tmp_path / "missing"))
    with pytest.raises(ValueError, match="no image file below"):
        data.load("folder", "train", str(tmp_path))
    with pytest.raises(ValueError, match="needs --data_dir"):
        data.load("folder", "train", None)
