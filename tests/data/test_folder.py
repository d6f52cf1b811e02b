import pathlib

import numpy as np
import pytest
from PIL import Image

import data


def write_images(root: pathlib.Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(root / name)


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


def test_images_in_the_root_have_no_labels(tmp_path):
    write_images(tmp_path, ["1.png", "a/2.png"])
    assert data.load("folder", "all", str(tmp_path)).num_classes == 0


@pytest.mark.parametrize(
    ("split", "message"), [("test", "is empty"), ("nonsense", "has no split nonsense")]
)
def test_bad_splits(tmp_path, split, message):
    write_images(tmp_path, ["a/1.png"])
    with pytest.raises(ValueError, match=message):
        data.load("folder", split, str(tmp_path))


def test_bad_folders(tmp_path):
    with pytest.raises(ValueError, match="is no directory"):
        data.load("folder", "train", str(tmp_path / "missing"))
    with pytest.raises(ValueError, match="no image file below"):
        data.load("folder", "train", str(tmp_path))
    with pytest.raises(ValueError, match="needs --data_dir"):
        data.load("folder", "train", None)
