import os
import pathlib

import pytest
import tensorflow as tf
from etils import epath

import data
from data import builders
from data.places205 import lists
from tests.data import miniatures


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> str:
    """A data directory in which the miniature is prepared from its archives."""
    root = tmp_path_factory.mktemp("places205")
    miniatures.write_places_archives(root / "downloads" / "manual")
    builders.prepared("places205", str(root))
    return str(root)


def labels(records) -> dict[str, int]:
    return {e["id"].decode(): int(e["label"]) for e in records.entries().as_numpy_iterator()}


def test_the_four_splits(prepared):
    rows = miniatures.places()
    found = {
        name: labels(data.load("places205", name, prepared))
        for name in ("train", "val", "trainval", "test")
    }
    assert found["test"] == dict(rows["val"])
    assert found["trainval"] == dict(rows["train"])
    assert len(found["val"]) == 6
    assert found["train"] | found["val"] == found["trainval"]
    assert not found["train"].keys() & found["val"].keys()


def test_classes_and_images(prepared):
    records = data.load("places205", "trainval", prepared)
    assert records.num_classes == 205
    assert records.class_names[:5] == (
        "abbey",
        "airport_terminal",
        "apartment_building/outdoor",
        "bedroom",
        "4",
    )
    rows = miniatures.places()
    paths = sorted(rows["train"] + rows["val"])
    for entry in records.entries().take(10).as_numpy_iterator():
        number = [path for path, _ in paths].index(entry["id"].decode())
        assert entry["image"] == (miniatures.jpeg(number) if number != 7 else b"no image")
        if number != 7:
            assert tf.io.decode_image(entry["image"]).shape == (40, 48, 3)


def wrong(root: pathlib.Path, case: str) -> None:
    """A manual directory with one thing wrong."""
    miniatures.write_places_archives(root)
    rows = miniatures.places()
    path, label = rows["train"][3]
    archive = root / "imagesPlaces205_resize.tar.gz"
    if case == "no lists":
        (root / "trainvalsplit_places205.tar.gz").unlink()
    elif case == "no images":
        archive.unlink()
    elif case == "nothing":
        for file in root.iterdir():
            file.unlink()
    elif case == "image missing":
        miniatures.write_places_archives(root, without=path)
    elif case == "truncated":
        archive.write_bytes(archive.read_bytes()[:-3000])
    elif case == "flipped bit":
        content = bytearray(archive.read_bytes())
        content[len(content) * 2 // 5] ^= 0x20
        archive.write_bytes(content)
    elif case == "lists for images":
        archive.write_bytes((root / "trainvalsplit_places205.tar.gz").read_bytes())
    elif case == "pipe":
        os.mkfifo(root / "val_places205.csv")
    elif case == "binary":
        miniatures.write(root / "val_places205.csv", b"a/abbey/1.jpg 0\n\xff\xfe\n")
    elif case == "many digits":
        rows["train"][3] = (path, "9" * 5000)
    elif case == "truncated lists":
        file = root / "trainvalsplit_places205.tar.gz"
        file.write_bytes(file.read_bytes()[:100])
    elif case == "label":
        rows["train"][3] = (path, 205)
    elif case == "no label":
        rows["train"][3] = (path, "")
    elif case == "twice":
        rows["train"].append((path, label))
    elif case == "in both":
        rows["val"].append((path, label))
    elif case == "empty":
        rows["val"] = []
    if rows != miniatures.places():
        miniatures.write_places_lists(root, rows)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no lists", "train_places205.csv is missing: put it, or trainvalsplit_places205.tar.gz"),
        ("no images", "imagesPlaces205_resize.tar.gz is missing: put it into .*manual"),
        ("nothing", "manual does not exist or is empty.*imagesPlaces205_resize.tar.gz"),
        ("image missing", "1 of 64 listed images are not in .*, such as a/abbey/gsun_0*4.jpg"),
        ("truncated", "imagesPlaces205_resize.tar.gz is damaged, download it again"),
        ("flipped bit", "imagesPlaces205_resize.tar.gz is damaged, download it again"),
        ("lists for images", "64 of 64 listed images are not in .*imagesPlaces205_resize.tar.gz"),
        ("pipe", "val_places205.csv is not a regular file"),
        ("binary", "val_places205.csv, line 2: this is not UTF-8 text"),
        ("many digits", "train_places205.csv, line 4: no path and label in 'a/abbey/gsun"),
        ("truncated lists", "trainvalsplit_places205.tar.gz is damaged, download it again"),
        ("label", "train_places205.csv, line 4: label 205 is not from 0 to 204"),
        ("no label", "train_places205.csv, line 4: no path and label in 'a/abbey/gsun"),
        ("twice", "train_places205.csv, line 65: .* is listed twice"),
        ("in both", "is listed for training and for validation"),
        ("empty", "val_places205.csv lists no images"),
    ],
)
def test_what_can_be_wrong(tmp_path, case, message):
    wrong(tmp_path / "manual", case)
    with pytest.raises(ValueError, match=message) as error:
        builders.prepared("places205", str(tmp_path / "data"), str(tmp_path / "manual"))
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="places205 is not prepared in"):
        data.load("places205", "train", str(tmp_path / "data"))


@pytest.mark.parametrize("folder", [".", "trainvalsplit_places205"])
def test_unpacked_lists(tmp_path, folder):
    miniatures.write_places_lists(tmp_path / folder, miniatures.places())
    assert lists.read(epath.Path(tmp_path), "val") == dict(miniatures.places()["val"])


def test_class_names_are_different():
    pairs = [("a/abbey/1.jpg", 0), ("b/abbey/1.jpg", 1), ("b/bar/1.jpg", 2), ("b/bay/1.jpg", 2)]
    names = lists.class_names([*pairs, ("c/cave/1.jpg", 3)])
    assert names[:5] == ["0", "1", "2", "cave", "4"]
    assert len(set(names)) == 205
