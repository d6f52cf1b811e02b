"""The example of fine-tuning, as somebody runs it who copied the file."""

import pathlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from etils import epath

import models
import pretext
from examples import finetune
from pretext.export import export


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory) -> str:
    keras.utils.set_random_seed(0)
    task = pretext.build("rotation", pretext.TaskOptions(36, 32, "crop"))
    backbone = models.build("resnet50_v2", widening_factor=1, units=(1, 1, 1, 1))
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


def test_everything_is_trained(saved_model, labelled_folder, monkeypatch, capsys):
    monkeypatch.setattr(finetune, "FineTuned", Recorded)
    command = ["finetune.py", f"--saved_model={saved_model}", f"--data={labelled_folder}"]
    monkeypatch.setattr(sys, "argv", [*command, "--epochs=8", "--batch_size=16", "--no-flip"])
    finetune.main()
    last = capsys.readouterr().out.splitlines()[-1]
    # Which half is bright; 13 images, so that chance would be right about half of them.
    assert last.startswith("top-1 on test: ")
    assert float(last.split()[-2]) > 90
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
    for room in ("models", "data", "pretext", "evaluate", "programs"):
        assert f"import {room}" not in source
        assert f"from {room}" not in source


def test_mistakes(saved_model, labelled_folder, tmp_path, monkeypatch, capsys):
    for path, data, expected in (
        (str(tmp_path), labelled_folder, "is no SavedModel"),
        (saved_model, str(tmp_path), "needs a sub-folder of images for each"),
    ):
        monkeypatch.setattr(sys, "argv", ["f", f"--saved_model={path}", f"--data={data}"])
        with pytest.raises(SystemExit) as error:
            finetune.main()
        assert expected in capsys.readouterr().err + str(error.value)
