"""The example of fine-tuning, as somebody runs it who copied the file."""

import pathlib
import re
import shutil
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from etils import epath
from PIL import Image

import models
import pretext
from examples import finetune
from pretext.export import export


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory) -> str:
    keras.utils.set_random_seed(0)
    task = pretext.build("rotation", pretext.TaskOptions(36, 32, "crop"))
    backbone = models.build("resnet50_v2", widening_factor=1, units=(1, 1, 1, 1))
    # Statistics that follow the weights within the few updates of a test.
    for layer in backbone._flatten_layers():
        if hasattr(layer, "moving_variance"):
            layer.momentum = 0.7
    path = epath.Path(tmp_path_factory.mktemp("finetune")) / "saved_model"
    export(task, backbone, task.head(512), path)
    return str(path)


class Recorded(finetune.FineTuned):
    """Remembers what it began with, and itself."""

    made: "list[Recorded]" = []  # noqa: RUF012 (one for the test)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.names = [variable.name for variable in self.network.variables]
        self.before = [variable.numpy() for variable in self.network.variables]
        self.made.append(self)


CLASSES = 8


@pytest.fixture(scope="module")
def bright_places(tmp_path_factory) -> str:
    """A folder with splits of eight classes, by which part of the image is bright."""
    root = tmp_path_factory.mktemp("places")
    random = np.random.default_rng(0)
    for split, images in (("train", 25), ("test", 25)):
        for label in range(CLASSES):
            (root / split / f"{label}").mkdir(parents=True)
            for number in range(images):
                pixels = random.integers(0, 60, (40, 40, 3))
                row, column = 20 * (label % 2), 10 * (label // 2)
                pixels[row : row + 20, column : column + 10] += 150
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(root / split / f"{label}" / f"{number}.png")
    return str(root)


def test_everything_is_trained(saved_model, bright_places, monkeypatch, capfd):
    monkeypatch.setattr(finetune, "FineTuned", Recorded)
    command = ["finetune.py", f"--saved_model={saved_model}", f"--data={bright_places}"]
    options = ["--epochs=4", "--batch_size=16", "--learning_rate=0.01", "--no-flip"]
    monkeypatch.setattr(sys, "argv", [*command, *options])
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        finetune.main()
    # Python itself keeps notices of deprecation inside of libraries from the user.
    shown = [one for one in warned if not issubclass(one.category, DeprecationWarning)]
    assert not [str(one.message) for one in shown if "keras" in one.filename]
    out, err = capfd.readouterr()
    assert "left out" not in err
    losses = [float(loss) for loss in re.findall(r"loss: ([0-9.]+)", out)]
    assert len(losses) == 4
    assert losses[-1] < losses[0] / 2
    # Of 200 images: three times chance, which is eleven standard deviations above it.
    last = out.splitlines()[-1]
    assert last.startswith("top-1 on test: ")
    assert float(last.split()[-2]) > 3 * 100 / CLASSES
    (model,) = Recorded.made
    after = [variable.numpy() for variable in model.network.variables]
    changed = {
        name: bool(np.any(one != other))
        for name, one, other in zip(model.names, model.before, after, strict=True)
    }
    assert all(changed.values())
    assert any("moving_variance" in name for name in changed)
    assert not np.allclose(model.classifier.bias, 0)


def test_a_prepared_data_set_and_a_folder_with_splits(tmp_path, labelled_folder):
    (tmp_path / "train").symlink_to(labelled_folder)
    (tmp_path / "held_out").symlink_to(labelled_folder)
    (train, test), names = finetune.open_data(str(tmp_path), None, ["train", "held_out"])
    assert names == ["above", "below"]
    assert int(train.cardinality()) == int(test.cardinality()) == 121
    (train, test), _ = finetune.open_data(labelled_folder, None, ["train", "test"])
    assert int(train.cardinality()) == 108
    assert int(test.cardinality()) == 13
    encoded, label = next(iter(test))
    assert encoded.dtype == tf.string
    assert int(label) in (0, 1)


def test_it_needs_nothing_of_the_project():
    source = pathlib.Path(finetune.__file__).read_text()
    for room in ("models", "data", "pretext", "evaluate", "training"):
        assert f"import {room}" not in source
        assert f"from {room}" not in source


def test_mistakes(saved_model, labelled_folder, tmp_path, monkeypatch, capsys):
    """Each ends with one line that says what is wrong."""
    for name, files in {
        "one_class": ["a/0.jpg", "a/1.jpg", "a/.hidden"],
        "unreadable": ["a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg"],
        "no_test": ["train/a/0.jpg", "train/b/0.jpg", "validation/a/0.jpg"],
        "new_class": ["train/a/0.jpg", "train/b/0.jpg", "test/c/0.jpg"],
        "unlabelled": ["0.jpg", "1.jpg"],
    }.items():
        for file in files:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text("no image")
    (tmp_path / "empty").mkdir()
    junk = tmp_path / "junk"
    shutil.copytree(saved_model, junk)
    (junk / "saved_model.pb").write_bytes(b"junk")
    for options, expected in (
        ({"saved_model": tmp_path}, "is not a SavedModel"),
        ({"saved_model": junk}, "is damaged or no export of train.py"),
        ({"data": tmp_path / "empty"}, "not 0 images of 0"),
        ({"data": tmp_path / "unlabelled"}, "needs a sub-folder of images for each"),
        ({"data": tmp_path / "one_class"}, "not 2 images of 1"),
        ({"data": tmp_path / "unreadable"}, "none of the 3 images of train can be read"),
        ({"data": tmp_path / "no_test"}, "no folder test, only train, validation"),
        ({"data": tmp_path / "new_class"}, "no images to train on of c"),
        ({"data": tmp_path / "missing"}, "is neither a folder nor a name that TFDS knows"),
        ({"epochs": 0}, "--epochs=0: use a number above 0"),
        ({"learning_rate": "nan"}, "--learning_rate=nan: use a number above 0"),
    ):
        line = {"saved_model": saved_model, "data": labelled_folder, **options}
        monkeypatch.setattr(sys, "argv", ["f", *(f"--{key}={line[key]}" for key in line)])
        with pytest.raises(SystemExit) as error:
            finetune.main()
        said = capsys.readouterr().err + str(error.value)
        assert expected in said
        assert "\n" not in str(error.value)
