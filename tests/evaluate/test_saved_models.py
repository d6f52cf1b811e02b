"""Exports that are damaged, foreign or odd: they work or are refused in one line."""

import logging
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from evaluate import saved_models, trial_pass
from evaluate.representations import ExtractOptions, represent

IMAGES = tf.TensorSpec([None, None, None, 3], tf.float32, name="images")
DATA = "variables/variables.data-00000-of-00001"


def export(path: pathlib.Path, layers, inputs=(IMAGES,), **signatures) -> str:
    root = tf.train.Checkpoint()
    root.scale = tf.Variable(np.linspace(0.5, 1, 30_000, dtype=np.float32).reshape(3, -1))
    root.representation = tf.function(layers, input_signature=list(inputs))
    for name, function in signatures.items():
        setattr(root, name, function)
    tf.saved_model.save(
        root, str(path), signatures={"representation": root.representation} | signatures
    )
    return str(path)


def mean(images):
    return tf.reduce_mean(images, [1, 2])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> str:
    return export(tmp_path_factory.mktemp("whole") / "m", lambda images: {"mean": mean(images)})


@pytest.fixture
def copy(whole, tmp_path) -> pathlib.Path:
    shutil.copytree(whole, tmp_path / "copy")
    return tmp_path / "copy"


def cut(file: pathlib.Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file: pathlib.Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(content)


def into_directory(file: pathlib.Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("damage", "name", "message"),
    [
        (cut, DATA, "a part of it is missing or damaged: Read less bytes"),
        (flip, DATA, "Checksum does not match"),
        (flip, "variables/variables.index", "missing or damaged: "),
        (lambda file: file.write_bytes(b""), "variables/variables.index", "missing or damaged: "),
        (shutil.rmtree, "variables", "missing or damaged: "),
        (cut, "saved_model.pb", "missing or damaged: Cannot parse file"),
        (lambda file: file.write_bytes(b""), "saved_model.pb", "saved_model.pb is empty"),
        (into_directory, "saved_model.pb", "missing or damaged: "),
        (pathlib.Path.unlink, "saved_model.pb", "is not a SavedModel"),
    ],
)
def test_a_damaged_export_is_one_line(copy, damage, name, message, capfd) -> None:
    damage(copy / name)
    with pytest.raises(ValueError, match=message) as error:
        saved_models.load(str(copy))
    assert "\n" not in str(error.value)
    assert str(copy) in str(error.value)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\xff" * 50])
def test_a_damaged_fingerprint_is_replaced_with_a_warning(copy, whole, content, caplog) -> None:
    (copy / "fingerprint.pb").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        loaded = saved_models.load(str(copy))
    (record,) = caplog.records
    assert "fingerprint.pb is damaged" in record.getMessage()
    assert "\n" not in record.getMessage()
    assert len(loaded.fingerprint) == 64
    assert loaded.fingerprint != saved_models.load(whole).fingerprint
    assert saved_models.load(str(copy)).fingerprint == loaded.fingerprint


@pytest.mark.parametrize(
    "sizes",
    [
        lambda: {"pixels": tf.constant(32)},
        lambda: {"resize_size": tf.constant([36, 40]), "crop_size": tf.constant([32, 32])},
        lambda: {"resize_size": tf.constant("a"), "crop_size": tf.constant("b")},
    ],
)
def test_an_input_size_that_is_none_does_not_count(tmp_path, sizes) -> None:
    function = tf.function(sizes, input_signature=[])
    path = export(tmp_path / "m", lambda images: {"mean": mean(images)}, input_size=function)
    loaded = saved_models.load(path)
    with pytest.raises(ValueError, match="does not say which image size it expects: give"):
        saved_models.input_size(loaded, 0, 0)
    assert saved_models.input_size(loaded, 36, 32) == (36, 32)


def check(path: str, **options: object) -> saved_models.SavedModel:
    loaded = saved_models.load(path)
    layers = tuple(loaded.layers)
    trial_pass.check(
        loaded, ExtractOptions(layers, **({"resize_size": 40, "crop_size": 33} | options))
    )
    return loaded


@pytest.mark.parametrize(
    ("layers", "inputs", "features"),
    [
        (lambda images: {"a": tf.cast(9 * mean(images), tf.int32)}, (IMAGES,), 3),
        (lambda images: {"a": tf.cast(mean(images), tf.float64)}, (IMAGES,), 3),
        (lambda images: {"a": images}, (IMAGES,), 3 * 33**2),
        (lambda images: {"a": mean(images)}, (tf.TensorSpec(None, tf.float32),), 3),
        (lambda images: {"a/b": mean(images)}, (IMAGES,), 3),
    ],
    ids=["integers", "doubles", "maps", "any shape", "slash"],
)
def test_foreign_networks_that_can_work_do(tmp_path, layers, inputs, features) -> None:
    loaded = check(export(tmp_path / "m", layers, inputs))
    options = ExtractOptions(tuple(loaded.layers), 40, 33)
    (values,) = represent(loaded, tf.zeros([2, 33, 33, 3], tf.uint8), options).values()
    assert (values.shape, values.dtype) == ((2, features), tf.float32)


def spec(*shape: int | None, dtype: tf.DType = tf.float32, name: str = "images") -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype, name=name)


@pytest.mark.parametrize(
    ("layers", "inputs", "message"),
    [
        (lambda images: {"a": mean(images)}, [spec(None, 32, 32, 3)], r"takes images: .*32, 32, 3"),
        (lambda images: {"a": mean(images)}, [spec(None, 3, None, None)], r"\(any, 3, any, any\)"),
        (lambda x: {"a": x}, [spec(None, None, None, 3, dtype=tf.uint8)], "takes images: uint8"),
        (lambda x, y: {"a": mean(x)}, [IMAGES, spec(None, name="y")], "y: float32"),
        (lambda: {"a": tf.zeros([2, 3])}, [], "takes nothing"),
        (
            lambda x: {"a": mean(x)},
            [spec(1, None, None, 3)],
            "1 images at a time: use --batch_size=1",
        ),
        (lambda x: {"a": tf.reduce_mean(x)}, [IMAGES], r"not \(\)"),
        (lambda x: {"a": tf.reduce_mean(x, [1, 2, 3])}, [IMAGES], r"\(channels,\), not \(\)"),
        (lambda x: {"a": tf.reduce_mean(x, 1)}, [IMAGES], r"not \(33, 3\)"),
        (lambda x: {"a": x[:, None]}, [IMAGES], r"not \(1, 33, 33, 3\)"),
        (lambda x: {"a": tf.boolean_mask(x, [True, False, True], axis=3)}, [IMAGES], "None"),
        (lambda x: {"a": tf.strings.as_string(mean(x))}, [IMAGES], "Cast string to float"),
        (
            lambda x: {"a": tf.reduce_mean(x, [0, 1, 2])[None]},
            [IMAGES],
            "layer a of .*is not a rep",
        ),
        (lambda x: {"a": mean(x)[:, :0]}, [IMAGES], r"\(2, 0\) after pooling"),
        (
            lambda x: {"a": tf.ensure_shape(x, [None, 7, 7, 3])},
            [IMAGES],
            "must be equal, but are 7 and 33",
        ),
    ],
    ids=range(15),
)
def test_foreign_networks_that_cannot_are_one_line(tmp_path, layers, inputs, message) -> None:
    path = export(tmp_path / "m", layers, inputs)
    with pytest.raises(ValueError, match=message) as error:
        check(path)
    assert path in str(error.value)
    assert "\n" not in str(error.value)
    assert "in user code" not in str(error.value)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"resize_size": 2**31}, "--resize_size=2147483648: the .* GiB, the machine has"),
        ({"resize_size": 2**40}, "--resize_size=1099511627776"),
        ({"resize_size": 0, "crop_size": 2**31}, "--crop_size=2147483648: a batch of 64 images"),
        ({"resize_size": 2**21, "crop_size": 2**20}, "--resize_size=2097152"),
    ],
)
def test_sizes_that_no_machine_holds(whole, sizes, message) -> None:
    with pytest.raises(ValueError, match=message):
        check(whole, **sizes)
