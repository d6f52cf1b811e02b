"""The export, used from a process that has TensorFlow and nothing of this project."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from etils import epath

import models
import pretext
from pretext.export import LAYERS, export
from pretext.trainer import PretextTrainer

STRANGER = """
import sys
import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

path, images, answers = sys.argv[1:]
images = tf.constant(np.load(images))
model = hub.load(path)
layers = model.signatures["representation"](images)
result = {name: value.numpy() for name, value in layers.items()}
result["call"] = model(images).numpy()
result["default"] = model.signatures["serving_default"](images)["pre_logits"].numpy()
result["logits"] = model.signatures["pretext"](images)["logits"].numpy()
result["sizes"] = [int(v) for _, v in sorted(model.signatures["input_size"]().items())]
result["penalty"] = sum(loss() for loss in model.regularization_losses).numpy()

# Fine-tuning: gradients reach every trainable variable, batch statistics update in training mode.
moving = [v for v in model.variables if v.name.startswith("moving") or "moving" in v.name]
before = [v.numpy() for v in moving]
with tf.GradientTape() as tape:
    loss = tf.reduce_mean(model(images, training=True) ** 2)
gradients = tape.gradient(loss, list(model.trainable_variables))
result["gradients"] = [g is not None and bool(tf.reduce_any(g != 0)) for g in gradients]
result["moved"] = [bool(np.any(v.numpy() != b)) for v, b in zip(moving, before)]
np.savez(answers, **result)
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small network, its export, a batch of images and what a stranger got out of it."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("export")
    task = pretext.build("rotation", pretext.TaskOptions(40, 32, "crop"))
    backbone = models.build("resnet50_v2", widening_factor=1, units=(1, 1, 1, 1))
    trainer = PretextTrainer(task, backbone)
    # Statistics other than the initial ones, so that leaving them out would show.
    images = np.random.default_rng(0).random((3, 48, 40, 3), np.float32)
    backbone(images * 2 - 1, training=True)
    export(task, backbone, trainer.head, epath.Path(folder / "saved_model"))
    np.save(folder / "images.npy", images)
    (folder / "empty").mkdir()
    command = [sys.executable, "-c", STRANGER]
    command += [str(folder / name) for name in ("saved_model", "images.npy", "answers.npz")]
    done = subprocess.run(command, cwd=folder / "empty", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return trainer, images, np.load(folder / "answers.npz")


def test_five_layers_as_in_training_code(exported):
    trainer, images, answers = exported
    expected = trainer.backbone(images * 2 - 1, training=False)
    for layer in LAYERS:
        np.testing.assert_allclose(answers[layer], expected[layer], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answers["call"], expected["pre_logits"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answers["default"], expected["pre_logits"], rtol=1e-4, atol=1e-5)
    logits = trainer.head({"pre_logits": expected["pre_logits"]})
    np.testing.assert_allclose(answers["logits"], logits, rtol=1e-4, atol=1e-5)


def test_what_the_export_says_of_itself(exported):
    trainer, _, answers = exported
    np.testing.assert_array_equal(answers["sizes"], [32, 40])
    penalty = float(tf.add_n(trainer.backbone.losses))
    assert float(answers["penalty"]) == pytest.approx(penalty, rel=1e-5)


def test_the_export_can_be_fine_tuned(exported):
    trainer, _, answers = exported
    assert len(answers["gradients"]) == len(trainer.backbone.trainable_variables)
    assert answers["gradients"].all()
    assert len(answers["moved"]) > 10
    assert answers["moved"].all()
