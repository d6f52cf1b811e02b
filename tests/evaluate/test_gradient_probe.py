"""The probes by gradient descent: against L-BFGS, killed, on two replicas, with bad features."""

import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from etils import epath

import data
from evaluate import gradient_probe, logistic_regression, protocols, representations, saved_models
from evaluate.gradient_probe import GradientProbe
from evaluate.protocols import Protocol
from evaluate.representations import Representations
from evaluate.training_examples import AugmentedExamples, CachedExamples
from tests import command_line
from tests.full_disk import no_files_larger_than
from training import interruption
from training.loop import Loop
from training.metrics import read_metrics

CLASSES = 4
ONE_DEVICE = tf.distribute.OneDeviceStrategy("CPU:0")
OPTIONS = representations.ExtractOptions(
    layers=("mean", "rows"), resize_size=36, crop_size=32, batch_size=8
)


def protocol(probe: str = "sgd", **changes: object) -> Protocol:
    """A short one, without augmentation."""
    own = {
        "augmentation": "none",
        "train_batch_size": 20,
        "epochs": 3,
        "decay_epochs": (2,),
        "hidden": 8 if probe == "mlp" else 0,
    }
    return dataclasses.replace(protocols.PAPER[probe], **(own | changes))


def examples(size: int = 70, seed: int = 0, dtype: type = np.float32) -> Representations:
    """Noisy classes in two layers, the second of which tells nothing about them."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, size)
    centres = np.random.default_rng(99).standard_normal((CLASSES, 10))
    layers = {
        "good": centres[labels] + random.standard_normal((size, 10)),
        "bad": random.standard_normal((size, 5)),
    }
    layers = {layer: features.astype(dtype) for layer, features in layers.items()}
    return rows_of(layers, labels)


def rows_of(layers: dict[str, np.ndarray], labels: np.ndarray) -> Representations:
    return Representations(layers, labels, np.arange(len(labels)), tuple("abcd"), 0, {})


def probe(
    workdir, how: Protocol, train=None, strategy=ONE_DEVICE, val=None, source=None, **options
) -> Loop:
    workdir = epath.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    learner = GradientProbe(
        how,
        train or CachedExamples(examples(), CLASSES),
        val or examples(50, seed=1),
        num_classes=CLASSES,
        strategy=strategy,
        **options,
    )
    return gradient_probe.resume(learner, workdir, source)


def weights(trained: Loop) -> list[np.ndarray]:
    return [variable.numpy() for variable in trained.learner.heads.variables]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> saved_models.SavedModel:
    """The mean colour, and the mean of every row of pixels, which tells the two classes apart."""
    root = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32)])
    def representation(images):
        return {"mean": tf.reduce_mean(images, [1, 2]), "rows": tf.reduce_mean(images, [2, 3])}

    @tf.function(input_signature=[])
    def input_size():
        return {"resize_size": tf.constant(36), "crop_size": tf.constant(32)}

    path = str(tmp_path_factory.mktemp("models") / "saved_model")
    signatures = {"representation": representation, "input_size": input_size}
    tf.saved_model.save(root, path, signatures=signatures)
    return saved_models.load(path)


def test_sgd_reaches_the_optimum_of_lbfgs(tmp_path) -> None:
    train, val = examples(800), examples(1000, seed=1)
    how = protocol(train_batch_size=100, epochs=40, decay_epochs=(25, 35), l2=1e-3)
    results = gradient_probe.run(probe(tmp_path, how, CachedExamples(train, CLASSES), val=val))
    for layer in train.layers:
        optimum = logistic_regression.fit(
            train.layers[layer], train.labels, num_classes=CLASSES, l2=1e-3
        )
        top1, top5, loss = logistic_regression.evaluate(optimum, val.layers[layer], val.labels)
        assert results[layer]["top1"] == pytest.approx(top1, abs=0.01)
        assert results[layer]["loss"] == pytest.approx(loss, rel=0.01)
        assert results[layer]["train_loss"] == pytest.approx(optimum.loss, rel=0.01)
        assert results[layer]["top5"] == top5 == 1
    assert results["good"]["top1"] > 0.8
    assert results["bad"]["top1"] < 0.4


def test_the_rows_of_metrics(tmp_path) -> None:
    results = gradient_probe.run(probe(tmp_path, protocol()))
    rows = read_metrics(epath.Path(tmp_path / "metrics.csv"))
    assert [row["step"] for row in rows] == ["3", "6", "9"]
    assert [float(row["epoch"]) for row in rows] == [1, 2, 3]
    rates = [float(row["learning_rate"]) for row in rows]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01], rtol=1e-6)
    for layer in ("good", "bad"):
        assert float(rows[-1][f"val_top1_{layer}"]) == results[layer]["top1"]
        assert float(rows[-1][f"val_loss_{layer}"]) == results[layer]["loss"]
        assert float(rows[-1][f"loss_{layer}"]) == results[layer]["train_loss"]
    assert float(rows[0]["loss_good"]) > float(rows[2]["loss_good"])
    # Every logit is 0 in the first step.
    assert 1 < float(rows[0]["loss_bad"]) < 2
    # Started again, it is finished and measures the same.
    again = gradient_probe.run(probe(tmp_path, protocol()))
    assert again["good"] | {"seconds": 0} == results["good"] | {"seconds": 0}
    assert read_metrics(epath.Path(tmp_path / "metrics.csv")) == rows


@pytest.mark.parametrize("augmentation", ["none", "crop"])
def test_a_killed_probe_ends_with_the_same_bits(
    augmentation, model, labelled_folder, tmp_path, monkeypatch
) -> None:
    train = val = None
    how = protocol("mlp")
    if augmentation == "crop":
        records = data.load("folder", "all", labelled_folder)
        train = AugmentedExamples(model, records, OPTIONS)
        val = representations.extract(
            model, data.load("folder", "val", labelled_folder), OPTIONS, epath.Path(tmp_path / "r")
        )
        how = protocol("mlp", train_batch_size=40, epochs=2)
    whole = probe(tmp_path / "whole", how, train, val=val)
    whole.run()
    update = GradientProbe.update

    def killed(self, batches, step):
        if step == 5:
            raise KeyboardInterrupt
        update(self, batches, step)

    monkeypatch.setattr(GradientProbe, "update", killed)
    with pytest.raises(KeyboardInterrupt):
        probe(tmp_path / "killed", how, train, val=val, checkpoint_every_steps=2).run()
    monkeypatch.undo()
    continued = probe(tmp_path / "killed", how, train, val=val, checkpoint_every_steps=2)
    assert continued.step == 4
    continued.run()
    for expected, value in zip(weights(whole), weights(continued), strict=True):
        np.testing.assert_array_equal(expected, value)
    metrics = [(tmp_path / run / "metrics.csv").read_text() for run in ("whole", "killed")]
    assert metrics[0] == metrics[1]


def test_two_replicas_do_what_one_device_does(model, labelled_folder, tmp_path, mirrored) -> None:
    for name, train, val in (
        ("none", None, None),
        (
            "crop",
            AugmentedExamples(model, data.load("folder", "trainval", labelled_folder), OPTIONS),
            representations.extract(
                model,
                data.load("folder", "test", labelled_folder),
                OPTIONS,
                epath.Path(tmp_path / "r"),
            ),
        ),
    ):
        how = protocol("mlp", epochs=2, l2=0.01, learning_rate=0.1)
        one = probe(tmp_path / name / "one", how, train, val=val)
        if train:
            with mirrored.scope():
                train = AugmentedExamples(saved_models.load(model.path), train._records, OPTIONS)
        two = probe(tmp_path / name / "two", how, train, strategy=mirrored, val=val)
        results = gradient_probe.run(one), gradient_probe.run(two)
        for expected, value in zip(weights(one), weights(two), strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)
        for layer, row in results[0].items():
            assert results[1][layer]["loss"] == pytest.approx(row["loss"], rel=1e-4)
            assert results[1][layer]["top1"] == row["top1"]


def test_every_epoch_has_an_order_of_its_own() -> None:
    numbers = np.arange(23, dtype=np.float32)[:, None]
    cached = CachedExamples(rows_of({"x": numbers}, np.zeros(23, int)), 2)
    context = tf.distribute.InputContext()
    options = {"batch_size": 5, "epochs": 3, "seed": 0}
    batches = [batch["x"].numpy()[:, 0].astype(int) for batch in cached.batches(context, **options)]
    epochs = [np.concatenate(batches[4 * epoch : 4 * epoch + 4]) for epoch in range(3)]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert any((epochs[0] != other).any() for other in epochs[1:])
    later = [batch["x"].numpy()[:, 0] for batch in cached.batches(context, start_step=6, **options)]
    np.testing.assert_array_equal(later, batches[6:])
    part, again = cached.in_order(context, batch_size=25).take(2)
    np.testing.assert_array_equal(part["x"], again["x"])
    assert part["x"].numpy()[:23, 0].tolist() == list(range(23))
    assert part["valid"].numpy().tolist() == [1.0] * 23 + [0.0] * 2


def test_augmented_examples_are_crops_through_the_network(model, labelled_folder) -> None:
    records = data.load("folder", "all", labelled_folder)
    options = dataclasses.replace(OPTIONS, layers=("pixels", "rows"), dtype="float16")
    for batch_size in (7, 24, 100):
        source = AugmentedExamples(
            model, records, dataclasses.replace(options, batch_size=batch_size)
        )
        batches = source.batches(tf.distribute.InputContext(), batch_size=24, epochs=2, seed=0)
        batch = next(iter(batches))
        features = source.features(batch)
        pixels = features["pixels"].numpy().reshape(24, 32, 32, 3)
        assert set(features) == {"pixels", "rows"}
        # Whatever goes through the network at a time, and rounded to float16 as on disk.
        np.testing.assert_allclose(pixels, batch["image"].numpy() / 255, atol=3e-4)
        np.testing.assert_allclose(features["rows"], pixels.mean((2, 3)), atol=3e-4)
        assert features["rows"].dtype == tf.float32
        assert (features["rows"].numpy() == features["rows"].numpy().astype(np.float16)).all()


def test_augmented_examples_are_not_mirrored(model, tmp_path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(8):
            # Twice the size that it is resized to: a column of the result is the mean of two.
            pixels = np.tile(np.arange(0, 216, 3, np.uint8)[None, :, None], (72, 1, 3)) + number
            (tmp_path / label / f"{number}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    source = AugmentedExamples(model, data.load("folder", "all", str(tmp_path)), OPTIONS)
    batches = source.batches(tf.distribute.InputContext(), batch_size=16, epochs=4, seed=0)
    for batch in batches:
        np.testing.assert_allclose(np.diff(batch["image"], axis=2), 6, atol=1e-3)
    assert batch["image"].dtype == tf.float32


@pytest.mark.parametrize("name", ["sgd", "mlp"])
def test_odd_examples(name, tmp_path) -> None:
    train = examples(dtype=np.float16)
    train.layers["bad"][:] = 3.0  # Constant.
    train.labels[train.labels == 2] = 1  # A class without examples.
    how = protocol(name, learning_rate=0.1, l2=0.0, epochs=6, decay_epochs=())
    trained = probe(tmp_path / "odd", how, CachedExamples(train, CLASSES))
    results = gradient_probe.run(trained)
    assert results["good"]["top1"] > 0.4
    assert all(np.isfinite(value).all() for value in weights(trained))
    # Fewer examples than classes.
    few = rows_of({"x": np.eye(3, 5, dtype=np.float32)}, np.arange(3))
    how = protocol(name, train_batch_size=3)
    results = gradient_probe.run(
        probe(tmp_path / "few", how, CachedExamples(few, CLASSES), val=few)
    )
    assert np.isfinite(results["x"]["loss"])


def test_bad_features_are_one_line_that_names_the_layer(tmp_path) -> None:
    for value in (np.nan, np.inf):
        train = examples()
        train.layers["bad"][4, 2] = value
        with pytest.raises(ValueError, match=r"^layer bad: 1 of 350 feature values are NaN"):
            CachedExamples(train, CLASSES)
    train = examples()
    train.labels[0] = -1
    with pytest.raises(ValueError, match="must be in 0 … 3, these range from -1"):
        CachedExamples(train, CLASSES)
    with pytest.raises(ValueError, match="70 training examples, fewer than one batch of 71"):
        probe(tmp_path / "large_batch", protocol(train_batch_size=71))
    train = examples()
    train.layers["bad"] *= 1e20
    diverging = probe(tmp_path / "diverging", protocol(), CachedExamples(train, CLASSES))
    with pytest.raises(FloatingPointError, match="the loss of layer bad is not finite at step 2;"):
        diverging.run()


def test_a_rate_too_large_for_a_layer_is_a_warning(tmp_path, caplog) -> None:
    train = examples()
    train.layers["bad"] *= 1000
    gradient_probe.run(probe(tmp_path, protocol(), CachedExamples(train, CLASSES)))
    (warning,) = (record.getMessage() for record in caplog.records)
    assert warning.startswith("layer bad ended with a loss of ")
    assert "more than guessing has (1.39)" in warning


def test_stopped_out_of_room_and_damaged(tmp_path, monkeypatch, caplog) -> None:
    """Every one of them loses what it must and no more, and the end is the same."""
    whole = probe(tmp_path / "whole", protocol())
    whole.run()
    workdir = tmp_path / "run"

    def resumed(**options) -> Loop:
        return probe(workdir, protocol(), **options)

    # In the validation behind step 3, and then, after all of it, behind step 4.
    for step in (3, 4):
        calls = []
        monkeypatch.setattr(
            interruption, "requested", lambda calls=calls: calls.append(0) or len(calls) == 4
        )
        saved = re.escape(str(workdir / "checkpoints" / f"ckpt-{step}"))
        with pytest.raises(interruption.Interrupted, match=f"step {step} is saved in {saved}$"):
            resumed().run()
        monkeypatch.undo()

    stopped = resumed(checkpoint_every_steps=3)
    assert stopped.step == 4
    with no_files_larger_than(1000), pytest.raises(OSError, match="ckpt-6 could not be written: "):
        stopped.run()
    assert resumed().step == 4

    resumed(checkpoint_every_steps=4).run()
    (data_file,) = (workdir / "checkpoints").glob("ckpt-9.data*")
    data_file.write_bytes(data_file.read_bytes()[:50])
    damaged = resumed()
    assert damaged.step == 8
    assert "ckpt-9 is damaged (" in caplog.text
    damaged.run()
    for expected, value in zip(weights(whole), weights(damaged), strict=True):
        np.testing.assert_array_equal(expected, value)
    metrics = [(path / "metrics.csv").read_text() for path in (tmp_path / "whole", workdir)]
    assert metrics[0] == metrics[1]


def test_checkpoints_of_other_examples_are_not_taken_over(tmp_path, caplog) -> None:
    probe(tmp_path, protocol(), source={"train": "a"}).run()
    assert probe(tmp_path, protocol(), source={"train": "a"}).step == 9
    assert probe(tmp_path, protocol(), source={"train": "b"}).step == 0
    assert "are of other examples or of another version of the program, or source" in caplog.text
    assert "source.json is damaged: the probe starts anew" in caplog.text
    assert read_metrics(epath.Path(tmp_path / "metrics.csv")) == []


def test_through_eval_py(model, labelled_folder, tmp_path) -> None:
    def line(run: str, *arguments: str) -> list[str]:
        return [
            f"--saved_model={model.path}",
            f"--data_dir={labelled_folder}",
            f"--workdir={tmp_path / run}",
            "--layers=pixels,rows",
            "--train_split=trainval",
            "--val_split=test",
            *arguments,
        ]

    sgd = ("--probe=sgd", "--train_batch_size=30", "--epochs=6", "--learning_rate=0.3")
    mlp = ("--probe=mlp", "--train_batch_size=30", "--epochs=6")
    outcomes = command_line.errors(
        "eval.py",
        [
            line("sgd", *sgd, "--batch_size=7"),
            line("mlp", *mlp, "--dtype=float16"),
            line("cached", *sgd, "--augmentation=none", "--l2=paper", "--decay_epochs=1,2"),
            [f"--flagfile={tmp_path / 'sgd' / 'flags.cfg'}", f"--workdir={tmp_path / 'replayed'}"],
            line("few", *mlp, "--train_fraction=0.5"),
            line("few_crops", *sgd, "--train_fraction=0.5"),
            line("none", "--probe=sgd"),
            line("none", *mlp, "--decay_epochs=soon"),
            line("none", *mlp, "--epochs=-2"),
        ],
    )
    assert outcomes[:6] == ["OK"] * 6
    assert "fewer than one batch of 2048: use a smaller --train_batch_size" in outcomes[6]
    assert "--decay_epochs=soon: use ascending numbers" in outcomes[7]
    assert "--epochs=-2: use a whole number from 0 to" in outcomes[8]
    assert not (tmp_path / "none").exists()

    results = {
        run: json.loads((tmp_path / run / "results.json").read_text())
        for run in ("sgd", "mlp", "cached", "replayed")
    }
    for run, result in results.items():
        assert list(result["layers"]) == ["pixels", "rows"]
        assert result["train_examples"] + result["val_examples"] == 120
        assert result["unreadable"] == 1
        assert result["layers"]["rows"]["features"] == 32
        # Which half is bright can be read off the rows.
        assert result["layers"]["rows"]["top1"] > 0.9, run
        assert len(read_metrics(epath.Path(tmp_path / run / "metrics.csv"))) == 6
    for run in ("few", "few_crops"):
        few = json.loads((tmp_path / run / "results.json").read_text())
        assert few["train_examples"] == pytest.approx(results["mlp"]["train_examples"] / 2, abs=1)
    for run, split in (("mlp", "trainval"), ("cached", "trainval"), ("sgd", "test")):
        assert results[run]["label_free_split"] == split
        assert results[run]["layers"]["rows"]["effective_rank"] > 1
    assert results["sgd"]["training"]["augmentation"] == "crop"
    assert not (tmp_path / "sgd" / "representations" / "train").exists()
    assert results["mlp"]["layers"]["rows"]["l2"] == 100 / (32 * 2)
    assert results["cached"]["layers"]["pixels"]["l2"] == 100 / (3072 * 2)
    replayed, once = (results[run]["layers"]["rows"] for run in ("replayed", "sgd"))
    assert replayed["loss"] == once["loss"]
