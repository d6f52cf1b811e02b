"""Runs that begin with the backbone of another run's export."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import models
from pretext import initial_weights
from pretext.initial_weights import InitialWeightsOptions
from pretext.model_card import synthetic_images
from tests import forked
from tests.forked import Done
from tests.pretext import tiny

PROGRAM = ("-m", "tests.pretext.tiny_train")
FLAGS = (
    "--augmentation=crop",
    "--resize_size=36",
    "--crop_size=32",
    "--batch_size=8",
    "--widening_factor=1",
    "--train_split=all",
    "--val_split=all",
)
LAYERS = ("block1", "block2", "block3", "block4", "pre_logits")


def line(run: str, *flags: str) -> list[str]:
    return [*PROGRAM, *FLAGS, "--data_dir=photos", f"--workdir={run}", *flags]


@pytest.fixture(scope="module")
def runs(photos, tmp_path_factory) -> tuple[pathlib.Path, dict[str, Done]]:
    """A run, its copy, and one that goes on from it; then all again without the first one."""
    root = tmp_path_factory.mktemp("warm")
    (root / "photos").symlink_to(photos)
    warm = ("--initial_weights=source/saved_model", "--seed=5")
    (root / "without.py").write_text(
        "import os; os.rename('source', 'gone'); os.rename('warm/saved_model', 'before')"
    )
    commands = [
        line("source", "--epochs=1", "--export_precision=float16"),
        line("copy", "--epochs=0", *warm),
        line("warm", "--epochs=1", *warm),
        line("wider", "--epochs=1", *warm, "--widening_factor=2"),
        ["without.py"],
        line("warm", "--epochs=1", *warm),
        line("copy", "--epochs=0", *warm),
        line("new", "--epochs=1", *warm),
        line("copy", "--epochs=0", "--seed=5"),
    ]
    names = ("source", "copy", "warm", "wider", "", "warm again", "copy again", "new", "without")
    return root, dict(zip(names, forked.run(commands, root), strict=True))


def weights(saved_model: pathlib.Path | str) -> list[np.ndarray]:
    return [variable.numpy() for variable in models.load(str(saved_model)).variables]


def flag(run: pathlib.Path, name: str) -> str:
    lines = (run / "flags.cfg").read_text().splitlines()
    return next(line.split("=", 1)[1] for line in lines if line.startswith(f"--{name}="))


def test_no_epochs_export_the_source_to_the_bit(runs):
    root, done = runs
    assert not done["copy"].status, done["copy"].output
    images = tf.constant(synthetic_images(3, 32))
    source, copy = (
        tf.saved_model.load(str(root / run / "saved_model")) for run in ("gone", "copy")
    )
    for layer in LAYERS:
        expected = source.representation(images)[layer]
        np.testing.assert_array_equal(copy.representation(images)[layer], expected)
    moved = [variable for variable in copy.variables if "moving_mean" in variable.name]
    assert any(np.any(variable.numpy()) for variable in moved), "the source was trained"
    for one, other in zip(copy.variables, source.variables, strict=True):
        np.testing.assert_array_equal(one, tf.cast(other, one.dtype))


def test_the_card_and_the_flags_say_where_the_weights_are_from(runs):
    root, _ = runs
    fingerprint = flag(root / "copy", "initial_weights_fingerprint")
    assert fingerprint == flag(root / "warm", "initial_weights_fingerprint")
    assert flag(root / "gone", "initial_weights_fingerprint") == ""
    copy, warm, source = (
        (root / path / "README.md").read_text()
        for path in ("copy/saved_model", "before", "gone/saved_model")
    )
    assert "# resnet50_v2, initialised from another export (rotation)" in copy
    assert (
        f"none; the backbone has the weights of an export with the fingerprint {fingerprint}"
        in copy
    )
    assert "# resnet50_v2, rotation on folder" in warm
    assert (
        f"the backbone began with the weights of an export with the fingerprint {fingerprint}"
        in warm
    )
    assert "fingerprint" not in source.replace("--initial_weights_fingerprint=", "")
    for card in (copy, warm):
        assert "source/saved_model" not in card, "paths are private"


def test_a_restart_does_not_need_the_source(runs):
    root, done = runs
    for name in ("warm", "warm again", "copy again"):
        assert not done[name].status, done[name].output
    assert "Continuing at step 3 of 3." in done["warm again"].output
    assert "this run is finished" in done["copy again"].output
    for one, other in zip(
        weights(root / "warm" / "saved_model"), weights(root / "before"), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert "the head begins anew" in done["warm"].output
    assert "the head begins anew" not in done["warm again"].output


def test_every_device_gets_the_weights(runs, mirrored):
    source = str(runs[0] / "gone" / "saved_model")
    with mirrored.scope():
        network = tiny.network(name="resnet50_v2")
    initial_weights.load(source, network)
    for variable, expected in zip(network.variables, weights(source), strict=True):
        for value in mirrored.experimental_local_results(variable.value):
            np.testing.assert_array_equal(value, expected)


def test_what_is_refused(runs):
    root, done = runs
    for one, text in (
        (
            done["wider"],
            "is resnet50_v2 with 3×3×3×8 block1_convolution/kernel, and this run's network is",
        ),
        (
            done["new"],
            "--initial_weights=source/saved_model is not a SavedModel: name the directory",
        ),
        (
            done["without"],
            "holds a run with other flags: --initial_weights (there source/saved_model, now )",
        ),
    ):
        assert one.status == 1
        (error,) = [each for each in one.output.splitlines() if each.startswith("train.py: ")]
        assert text in error
    assert not (root / "wider").exists()
    assert not (root / "new").exists()


def test_fingerprints_and_architectures_that_do_not_fit(runs):
    root, _ = runs
    path = str(root / "gone" / "saved_model")

    def resolve(path: str | None, fingerprint: str) -> InitialWeightsOptions:
        return initial_weights.resolve(
            InitialWeightsOptions(path, fingerprint), root / "new", needed=True
        )

    found = resolve(path, "auto").initial_weights_fingerprint
    assert resolve(path, found).initial_weights_fingerprint == found
    with pytest.raises(ValueError, match=f"has the fingerprint {found}, not --initial_weights_f"):
        resolve(path, "1/2")
    with pytest.raises(
        ValueError, match="fingerprint=1/2 is of no network: give --initial_weights"
    ):
        resolve(None, "1/2")
    keras.utils.set_random_seed(0)
    with pytest.raises(ValueError, match="is resnet50_v2, and this run's network is revnet50: "):
        initial_weights.load(path, tiny.network(name="revnet50"))
