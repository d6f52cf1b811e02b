"""Exports in float16, of every family, and the way back from an export to a Keras model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from etils import epath

import models
import pretext
from models.saved import DESCRIPTION
from pretext.export import LAYERS, export, export_keras
from pretext.exported_network import ExportedNetwork
from pretext.model_card import synthetic_images

SHORT = {"units": (1, 1, 1, 1)}
OPTIONS = {
    "resnet50_v1": SHORT | {"representation_size": 24, "weight_decay": 3e-4},
    "revnet50_minus": SHORT,
    "vgg19_bn": {"image_size": 32},
}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def trained(architecture: str) -> keras.Model:
    """A small network whose moving statistics are not the initial ones."""
    keras.utils.set_random_seed(1)
    backbone = models.build(architecture, widening_factor=1, **OPTIONS[architecture])
    backbone(synthetic_images(8, 32) * 2 - 1, training=True)
    return backbone


def exported(backbone: keras.Model, precision: str, path: epath.Path) -> epath.Path:
    task = pretext.build("rotation", pretext.TaskOptions(40, 32, "crop"))
    head = task.head(backbone.output["pre_logits"].shape[-1])
    export(task, backbone, head, path, precision=precision)
    return path


@pytest.fixture(scope="module", params=["float32", "float16"])
def revnet(request, tmp_path_factory) -> tuple[keras.Model, epath.Path, str]:
    path = epath.Path(tmp_path_factory.mktemp("revnet")) / "saved_model"
    backbone = trained("revnet50_minus")
    return backbone, exported(backbone, request.param, path), request.param


def test_the_way_back(revnet):
    """`models.load` gives what the export computes, in both precisions."""
    backbone, path, precision = revnet
    loaded = models.load(str(path))
    images = synthetic_images(2, 40)
    model = tf.saved_model.load(str(path))
    expected = model.representation(images)
    outputs = loaded(images * 2 - 1, training=False)
    for layer in LAYERS:
        np.testing.assert_allclose(outputs[layer], expected[layer], **CLOSE)
    assert [v.path for v in loaded.variables] == [v.path for v in backbone.variables]
    assert len(loaded.losses) == len(backbone.losses)
    if precision == "float32":
        for one, other in zip(loaded.variables, backbone.variables, strict=True):
            np.testing.assert_array_equal(one, other)


def test_fine_tuning_as_in_training_code(revnet):
    """The same loss, moving statistics, penalty and gradients, reversible units included."""
    _, path, precision = revnet
    model, backbone = tf.saved_model.load(str(path)), models.load(str(path))
    images = synthetic_images(6, 32)
    # Gradients of the root's kernel have come through all units. Tracing them takes a while, and
    # those of float16 differ by a cast.
    kernels = model.trainable_variables[:1], [backbone.get_layer("root").kernel.value]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(kernels[0] if precision == "float32" else [])
        value = tf.reduce_mean(model(images, training=True) ** 2)
    with tf.GradientTape(watch_accessed_variables=False) as tape_of_keras:
        tape_of_keras.watch(kernels[1] if precision == "float32" else [])
        outputs = backbone(images * 2 - 1, training=True)["pre_logits"]
        expected = tf.reduce_mean(outputs**2)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    if precision == "float32":
        (gradient,) = tape.gradient(value, list(kernels[0]))
        (gradient_of_keras,) = tape_of_keras.gradient(expected, kernels[1])
        largest = float(tf.reduce_max(tf.abs(gradient_of_keras)))
        np.testing.assert_allclose(gradient, gradient_of_keras, rtol=1e-3, atol=1e-4 * largest)
    moved = [v for v in model.variables if "moving" in v.name]
    expected_moves = [v for v in backbone.variables if "moving" in v.name]
    assert len(moved) == len(expected_moves) > 10
    for one, other in zip(moved, expected_moves, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    penalty = model.regularization_losses[0]()
    np.testing.assert_allclose(penalty, tf.add_n(backbone.losses), rtol=1e-5)


def test_half_the_bytes_with_stated_error(revnet):
    backbone, path, precision = revnet
    kernels = sum(int(np.prod(v.shape)) for v in backbone.variables if len(v.shape) > 1)
    vectors = sum(int(np.prod(v.shape)) for v in backbone.variables) - kernels
    stored = sum(file.stat().length for file in (path / "variables").iterdir())
    expected = (2 if precision == "float16" else 4) * kernels + 4 * vectors
    assert expected <= stored < expected + 40_000
    card = (path / "README.md").read_text()
    assert f"kernels stored as {precision}" in card
    if precision == "float32":
        assert "float16 error" not in card
        return
    rows = [line.split("|") for line in card.splitlines() if line.startswith("| `")]
    stated = {row[1].strip(" `"): float(row[4]) for row in rows}
    images = synthetic_images(4, 32)
    model = tf.saved_model.load(str(path))
    outputs = model.representation(images)
    for layer, exact in backbone(images * 2 - 1, training=False).items():
        error = tf.reduce_max(tf.abs(outputs[layer] - exact)) / tf.reduce_max(tf.abs(exact))
        assert 0 < float(error) < 2e-3
        assert stated[layer] == pytest.approx(float(error), rel=0.1)


def test_a_weight_beyond_float16():
    backbone = trained("revnet50_minus")
    kernel = next(v for v in backbone.trainable_variables if len(v.shape) > 1)
    kernel.assign(kernel + 1e5)
    with pytest.raises(ValueError, match="float16 cannot hold"):
        ExportedNetwork(backbone, "float16")
    with pytest.raises(ValueError, match="unknown precision float8: use one of float32, float16"):
        ExportedNetwork(backbone, "float8")


@pytest.mark.parametrize("architecture", ["resnet50_v1", "vgg19_bn"])
def test_the_other_families(architecture, tmp_path):
    backbone = trained(architecture)
    path = exported(backbone, "float32", epath.Path(tmp_path) / "saved_model")
    images = synthetic_images(2, 32)
    expected = backbone(images * 2 - 1, training=False)
    model, loaded = tf.saved_model.load(str(path)), models.load(str(path))
    export_keras(backbone, epath.Path(tmp_path) / "backbone.keras")
    own_file = keras.saving.load_model(tmp_path / "backbone.keras")
    for layer in LAYERS:
        np.testing.assert_allclose(model.representation(images)[layer], expected[layer], **CLOSE)
        for other in (loaded, own_file):
            np.testing.assert_allclose(other(images * 2 - 1)[layer], expected[layer], **CLOSE)
    np.testing.assert_allclose(tf.add_n(own_file.losses), tf.add_n(backbone.losses), rtol=1e-6)
    larger = tf.constant(synthetic_images(2, 40))
    if architecture == "vgg19_bn":
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[\?,32,32,3\]"):
            model.signatures["representation"](larger)
    else:
        model.signatures["representation"](larger)


def test_images_too_small_for_a_revnet(revnet):
    model = tf.saved_model.load(str(revnet[1]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="images are too small"):
        model.signatures["representation"](synthetic_images(1, 8))


def test_loading_what_is_no_export(revnet, tmp_path):
    with pytest.raises(ValueError, match="is not a SavedModel"):
        models.load(str(tmp_path / "none"))
    tf.saved_model.save(tf.Module(), str(tmp_path / "foreign"))
    with pytest.raises(ValueError, match="does not describe its network"):
        models.load(str(tmp_path / "foreign"))
    foreign = epath.Path(tmp_path / "foreign")
    (foreign / DESCRIPTION).write_text((revnet[1] / DESCRIPTION).read_text())
    with pytest.raises(ValueError, match="are not those of its network"):
        models.load(str(foreign))
    (foreign / DESCRIPTION).write_text("{")
    with pytest.raises(ValueError, match="does not describe a network"):
        models.load(str(foreign))
