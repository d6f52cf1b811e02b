"""The export, used from a process that has TensorFlow and nothing of this project."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from etils import epath
from PIL import Image

import models
import pretext
from data.images import CentralCrop
from pretext import model_card
from pretext.export import LAYERS, export, export_keras, is_whole
from pretext.model_card import Run, synthetic_images
from pretext.trainer import PretextTrainer
from tests.full_disk import no_files_larger_than
from tests.pretext import tiny

STRANGER = pathlib.Path(__file__).with_name("stranger.py")
CLIENTS = (
    "tf.saved_model.load",
    "function",
    "hub.load",
    "TFSMLayer",
    "TFSMLayer in a model",
    "saved_model_cli",
)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small network, its export, a batch of images and what a stranger got out of it."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("export")
    task = pretext.build("rotation", pretext.TaskOptions(40, 32, "crop"))
    backbone = models.build("resnet50_v2", widening_factor=1, units=(1, 1, 1, 1))
    trainer = PretextTrainer(task, backbone)
    # Statistics other than the initial ones, so that leaving them out would show.
    images = synthetic_images(3, 48).numpy()[:, :, 4:44]
    backbone(images * 2 - 1, training=True)
    export(task, backbone, trainer.head, epath.Path(folder / "saved_model"))
    np.save(folder / "images.npy", images)
    (folder / "photos").mkdir()
    for number, (height, width) in enumerate([(70, 50), (32, 90)]):
        pixels = synthetic_images(1, 100).numpy()[0, :height, :width] * 255
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "photos" / f"{number}.jpg")
    (folder / "empty").mkdir()
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(STRANGER), str(folder)],
        cwd=folder / "empty",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return trainer, images, np.load(folder / "answers.npz"), folder


@pytest.mark.parametrize("client", CLIENTS)
def test_five_layers_as_in_training_code(exported, client):
    trainer, images, answers, _ = exported
    expected = trainer.backbone(images * 2 - 1, training=False)
    for layer in LAYERS:
        np.testing.assert_allclose(answers[f"{client}/{layer}"], expected[layer], **CLOSE)


def test_the_other_functions(exported):
    trainer, images, answers, _ = exported
    expected = trainer.backbone(images * 2 - 1, training=False)
    for name in ("call", "hub call", "serving_default", "compiled"):
        np.testing.assert_allclose(answers[name], expected["pre_logits"], **CLOSE)
    logits = trainer.head({"pre_logits": expected["pre_logits"]})
    np.testing.assert_allclose(answers["logits"], logits, **CLOSE)
    smaller = trainer.backbone(images[:1, :44, :36] * 2 - 1, training=False)
    for layer in LAYERS:
        np.testing.assert_allclose(
            answers[f"one image of another size/{layer}"], smaller[layer], **CLOSE
        )


def test_what_the_export_says_of_itself(exported):
    trainer, _, answers, _ = exported
    np.testing.assert_array_equal(answers["sizes"], [32, 40])
    penalty = float(tf.add_n(trainer.backbone.losses))
    assert float(answers["penalty"]) == pytest.approx(penalty, rel=1e-5)
    shown = str(answers["show"])
    for text in ("signature_def['representation']", "inputs['image_bytes']", "Function Name: "):
        assert text in shown


def test_a_server_takes_encoded_images(exported):
    trainer, _, answers, folder = exported
    files = sorted((folder / "photos").iterdir())
    pixels = tf.stack([CentralCrop(40, 32)(file.read_bytes(), None) for file in files])
    expected = trainer.backbone(tf.cast(pixels, tf.float32) / 127.5 - 1, training=False)
    for layer in LAYERS:
        for request in ("REST", "gRPC"):
            np.testing.assert_allclose(answers[f"{request}/{layer}"], expected[layer], **CLOSE)
    np.testing.assert_allclose(
        answers["pre_logits_bytes/pre_logits"], expected["pre_logits"][:1], **CLOSE
    )
    assert "Unknown image file format" in str(answers["complaint/no image"])


def test_other_images_are_refused(exported):
    _, _, answers, _ = exported
    for kind in ("complaint", "complaint of the signature"):
        for values in ("0 to 255", "-1 to 1", "NaN"):
            assert "images must be RGB, float32 in [0, 1]" in str(answers[f"{kind}/{values}"])
        for shape in ("no batch", "grey", "RGBA", "channels first"):
            text = str(answers[f"{kind}/{shape}"])
            assert "(None, None, None, 3)" in text or "[?,?,?,3]" in text
        text = str(answers[f"{kind}/uint8 tensor"])
        assert "dtype=tf.float32" in text or "expected to be a float tensor" in text


def test_the_export_can_be_fine_tuned(exported):
    trainer, _, answers, _ = exported
    assert len(answers["gradients"]) == len(trainer.backbone.trainable_variables)
    assert answers["gradients"].all()
    assert len(answers["moved"]) > 10
    assert answers["moved"].all()


def test_the_size_is_that_of_the_weights(exported):
    trainer, _, _, folder = exported
    saved_model = folder / "saved_model"
    names = {str(path.relative_to(saved_model)) for path in saved_model.rglob("*")}
    assert {"README.md", "assets", "variables", "saved_model.pb"} <= names
    weights = 4 * sum(int(np.prod(v.shape)) for v in trainer.variables)
    variables = sum(path.stat().st_size for path in (saved_model / "variables").iterdir())
    assert weights <= variables < weights + 50_000
    # The graph of this small network, without a copy of its weights (3.6 MB).
    assert (saved_model / "saved_model.pb").stat().st_size < 1_000_000


def test_no_room(tmp_path):
    keras.utils.set_random_seed(0)
    task = pretext.build("rotation", pretext.TaskOptions(40, 32, "crop"))
    backbone = tiny.network()
    head = task.head(backbone.output["pre_logits"].shape[-1])
    path = epath.Path(tmp_path / "saved_model")
    with (
        no_files_larger_than(10_000),
        pytest.raises(
            OSError, match=r"saved_model could not be written: .*the same command resumes"
        ),
    ):
        export(task, backbone, head, path)
    assert not path.exists()
    export(task, backbone, head, path)
    assert is_whole(path)
    keras_file = epath.Path(tmp_path / "backbone.keras")
    with (
        no_files_larger_than(10_000),
        pytest.raises(OSError, match=r"backbone.keras could not be written: "),
    ):
        export_keras(backbone, keras_file)
    assert not keras_file.exists()
    export_keras(backbone, keras_file)
    assert keras_file.exists()


FLAGS = {"dataset": "folder", "train_split": "all", "val_split": "val"}


@pytest.mark.parametrize(
    ("run", "title", "result"),
    [
        (Run(FLAGS), "untrained (rotation)", "none measured"),
        (
            Run(FLAGS, 7, 60, {"val_accuracy": 0.5}, validation_images=6),
            "rotation on folder",
            "accuracy 0.5 on held-out images",
        ),
        (
            Run(FLAGS, 7, 60, {"val_accuracy": 0.5}, validation_images=6, shared_images=6),
            "rotation on folder",
            "accuracy 0.5 on 6 images, **all of which it was trained on**",
        ),
        (
            Run(FLAGS, 7, 60, {"val_accuracy": 0.5}, validation_images=6, shared_images=2),
            "rotation on folder",
            "accuracy 0.5 on 6 images, **2 of which it was trained on**",
        ),
    ],
)
def test_the_card_says_what_was_trained_and_measured_on(run, title, result):
    task = pretext.build("rotation", pretext.TaskOptions(40, 32, "crop"))
    network = tiny.network()
    card = model_card.write(task, network, measurement={}, precision="float32", run=run)
    assert f"# {network.name}, {title}\n" in card
    assert f"- **Pretext result**: {result}" in card
    assert ("initial ones" in card) == (not run.updates)


def test_the_card(exported):
    trainer, images, answers, folder = exported
    card = (folder / "saved_model" / "README.md").read_text()
    for text in ("# resnet50_v2, rotation", "| `block2` | 4 × 4 × 128 | 2,048 |", "32×32"):
        assert text in card
    # The lines of use, as they stand.
    (folder / "photo.jpg").write_bytes((folder / "photos" / "0.jpg").read_bytes())
    code = card.split("```python\n")[1].split("```")[0]
    code = code.replace('load(".")', f'load("{folder / "saved_model"}")')
    names = {"images": images}
    exec(code.replace('"photo.jpg"', f'"{folder / "photo.jpg"}"'), names)
    np.testing.assert_allclose(names["pre_logits"], answers["call"], **CLOSE)
    np.testing.assert_allclose(names["layers"]["block1"], answers["REST/block1"][:1], **CLOSE)
    assert len(names["weights"]) == len(trainer.backbone.trainable_variables)
