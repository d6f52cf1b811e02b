"""An export that is there and not whole, in the ways that copies and disks have of it."""

import pathlib
import shutil
from collections.abc import Callable

import keras
import pytest
import tensorflow as tf
from etils import epath

from pretext.export import is_whole, is_whole_keras_file


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("export")
    tf.saved_model.save(tf.train.Checkpoint(v=tf.Variable([1.0] * 100)), str(path / "saved_model"))
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Dense(3)(inputs)).save(path / "backbone.keras")
    return path


def cut(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: pathlib.Path) -> None:
    path.write_bytes(b"")


def flip(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


DATA = "variables/variables.data-00000-of-00001"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("saved_model.pb", pathlib.Path.unlink),
        ("saved_model.pb", empty),
        ("saved_model.pb", cut),
        (DATA, pathlib.Path.unlink),
        (DATA, empty),
        (DATA, cut),
        (DATA, flip),
        ("variables/variables.index", pathlib.Path.unlink),
        ("variables/variables.index", empty),
        ("variables", shutil.rmtree),
    ],
)
def test_damaged(saved, tmp_path, name: str, damage: Callable[[pathlib.Path], None]):
    path = tmp_path / "saved_model"
    shutil.copytree(saved / "saved_model", path)
    assert is_whole(epath.Path(path))
    damage(path / name)
    assert not is_whole(epath.Path(path))


def test_an_empty_directory_and_a_file(tmp_path, caplog):
    (tmp_path / "saved_model").mkdir()
    assert not is_whole(epath.Path(tmp_path / "saved_model"))
    assert "saved_model is not a complete export (it has no saved_model.pb): it will" in caplog.text
    (tmp_path / "file").write_bytes(b"")
    assert not is_whole(epath.Path(tmp_path / "file"))


@pytest.mark.parametrize("damage", [empty, cut, flip, lambda path: (path.unlink(), path.mkdir())])
def test_a_damaged_keras_file(saved, tmp_path, damage: Callable[[pathlib.Path], None]):
    path = tmp_path / "backbone.keras"
    assert not is_whole_keras_file(epath.Path(path))
    shutil.copy(saved / "backbone.keras", path)
    assert is_whole_keras_file(epath.Path(path))
    damage(path)
    assert not is_whole_keras_file(epath.Path(path))
