"""The programs from end to end, at a size that takes seconds."""

import csv
import json
import pathlib
import signal
import time
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

import models
from tests import command_line
from training import run_directory

TINY = [
    "--architecture=resnet50_v2",
    "--widening_factor=1",
    "--resize_size=36",
    "--crop_size=32",
    "--augmentation=crop",
    "--batch_size=8",
    "--warmup_epochs=0",
    "--log_every_steps=2",
    "--checkpoint_every_steps=3",
]


def weights(run: pathlib.Path) -> dict[str, np.ndarray]:
    path = tf.train.latest_checkpoint(run / "checkpoints")
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "OBJECT_GRAPH" not in name and "save_counter" not in name
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory, labelled_folder) -> pathlib.Path:
    """A finished pretraining run of two epochs."""
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    data = [f"--data_dir={labelled_folder}", f"--workdir={run}", "--epochs=2"]
    result = command_line.run("train.py", *TINY, *data, "--export_keras")
    assert "1 image could not be read: above/broken.jpg" in result.stderr
    return run


def test_what_a_run_leaves(finished):
    rows = (finished / "metrics.csv").read_text().splitlines()
    columns = rows[0].split(",")
    assert columns[:5] == ["step", "epoch", "learning_rate", "loss", "weight_decay"]
    assert {"accuracy", "val_accuracy", "val_loss"} <= set(columns)
    held_out = [row for row in rows[1:] if row.split(",")[columns.index("val_accuracy")]]
    assert [float(row.split(",")[1]) for row in held_out] == [1.0, 2.0]
    assert list((finished / "tensorboard").iterdir())
    assert tf.saved_model.contains_saved_model(str(finished / "saved_model"))
    assert not list(finished.glob("*incomplete*"))


def test_the_export_has_a_card_and_leads_back_to_keras(finished):
    rows = list(csv.DictReader((finished / "metrics.csv").open()))
    accuracy = float(rows[-1]["val_accuracy"])
    card = (finished / "saved_model" / "README.md").read_text()
    for text in (
        "# resnet50_v2, rotation on folder",
        " images of split train; measured on split val",
        f"accuracy {accuracy:.4g}",
        "--warmup_epochs=0.0\n",
    ):
        assert text in card, text
    assert str(finished) not in card
    images = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    expected = models.load(str(finished / "saved_model"))(images)
    outputs = keras.saving.load_model(finished / "backbone.keras")(images)
    for layer in expected:
        np.testing.assert_allclose(outputs[layer], expected[layer], rtol=1e-5, atol=1e-6)


def rows(run: pathlib.Path) -> int:
    """Rows of metrics.csv so far."""
    path = run / "metrics.csv"
    return max(len(path.read_text().splitlines()) - 1, 0) if path.exists() else 0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.time() + 300
    while not condition():
        assert time.time() < deadline, "too slow"
        time.sleep(0.02)


def test_a_run_that_is_killed_and_stopped_ends_with_the_same_bits(
    finished, labelled_folder, tmp_path
):
    run = tmp_path / "killed"
    # No checkpoint but that which SIGTERM asks for, and the one before the first validation.
    data = [f"--data_dir={labelled_folder}", f"--workdir={run}", "--epochs=2"]
    arguments = [*TINY, *data, "--checkpoint_every_steps=1000"]
    for number, status in ((signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)):
        before = rows(run)
        process = command_line.start("train.py", *arguments)
        wait_for(lambda before=before: rows(run) > before)
        with pytest.raises(ValueError, match="killed is in use by another run"):
            run_directory.claim(str(run), {})
        process.send_signal(number)
        _, error = process.communicate()
        assert process.returncode == status, error
        if number == signal.SIGTERM:
            latest = tf.train.latest_checkpoint(run / "checkpoints")
            last_line = error.replace("\r", "\n").splitlines()[-1]
            assert last_line.startswith("train.py: stopped by SIGTERM: step "), error
            assert f"is saved in {latest}; the same command" in last_line
    assert not (run / "saved_model").exists(), "stopped too late to show anything"
    command_line.run("train.py", *arguments)
    expected, continued = weights(finished), weights(run)
    assert set(expected) == set(continued)
    for name in expected:
        np.testing.assert_array_equal(expected[name], continued[name], err_msg=name)
    assert (run / "metrics.csv").read_text() == (finished / "metrics.csv").read_text()


def test_a_finished_run_is_not_repeated_and_replays_from_its_flags(finished):
    before = (finished / "saved_model" / "saved_model.pb").stat().st_mtime_ns
    # It was in float32, and `auto` stays with that whatever this machine multiplies.
    again = f"--flagfile={finished / 'flags.cfg'}"
    result = command_line.run("train.py", again, "--precision=auto")
    assert "this run is finished" in result.stdout
    assert (finished / "saved_model" / "saved_model.pb").stat().st_mtime_ns == before


def test_probing(finished, labelled_folder, tmp_path):
    run = tmp_path / "probe"
    arguments = [
        f"--saved_model={finished / 'saved_model'}",
        f"--data_dir={labelled_folder}",
        f"--workdir={run}",
        "--layers=pixels,block1,pre_logits",
        "--train_split=trainval",
        "--val_split=test",
        "--l2=1e-4",
    ]
    result = command_line.run("eval.py", *arguments)
    assert "pre_logits" in result.stdout
    results = json.loads((run / "results.json").read_text())
    assert list(results["layers"]) == ["pixels", "block1", "pre_logits"]
    assert results["layers"]["block1"]["features"] == 8 * 8 * 64
    assert results["layers"]["pre_logits"]["features"] == 512
    assert results["train_examples"] + results["val_examples"] == 120
    assert results["unreadable"] == 1
    # Which half is bright can be read off the pixels and the first block's map.
    assert results["layers"]["pixels"]["top1"] == 1.0
    assert results["layers"]["block1"]["top1"] > 0.9
    assert (run / "accuracy_by_layer.png").read_bytes().startswith(b"\x89PNG")

    # The export is an input, and stays as it is until the card's results are asked for.
    card = finished / "saved_model" / "README.md"
    assert "## Evaluation" not in card.read_text()
    # Again, with nothing to do but read: the same results.
    command_line.run("eval.py", *arguments, "--update_model_card")
    assert json.loads((run / "results.json").read_text()) == results
    # Another probe on the same representations.
    nearest = [
        f"--workdir={tmp_path / 'nearest'}",
        "--probe=knn",
        "--layers=pixels,block1,pre_logits",
        "--update_model_card",
    ]
    command_line.run(
        "eval.py", *arguments, *nearest, f"--representations_dir={run / 'representations'}"
    )
    by_neighbours = json.loads((tmp_path / "nearest" / "results.json").read_text())
    assert by_neighbours["layers"]["pixels"]["top1"] == 1.0
    assert not (tmp_path / "nearest" / "representations").exists()

    assert card.read_text().count("### lbfgs on folder") == 1
    assert card.read_text().count("### knn on folder") == 1

    compared = command_line.run("eval.py", f"--compare={run}", f"--workdir={tmp_path / 'both'}")
    assert "100.0 %" in compared.stdout
    assert (tmp_path / "both" / "comparison.png").exists()


def test_no_start_up_lines_and_one_line_for_an_error(tmp_path):
    result = command_line.run(
        "train.py", f"--workdir={tmp_path}", f"--data_dir={tmp_path / 'none'}", check=False
    )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("train.py: ")
    assert "is not a directory" in result.stderr


def test_bad_input_of_train(finished, labelled_folder, tmp_path):
    def line(*arguments: str) -> list[str]:
        new = ["--workdir=" + str(tmp_path / "new"), "--data_dir=" + labelled_folder]
        return [*TINY, *new, *arguments]

    cases = {
        "unknown task colours: use one of ": line("--task=colours"),
        "unknown architecture 'alexnet'": line("--architecture=alexnet"),
        "unknown data set folders": line("--dataset=folders"),
        "holds a run with other flags: --batch_size (there 8, now 4)": line(
            f"--workdir={finished}", "--batch_size=4", "--epochs=2"
        ),
        "a folder has no split half": line("--train_split=half"),
        "fewer than one batch of 200": line("--batch_size=200"),
        "the image would be smaller than the crop": line("--crop_size=40"),
        "--widening_factor=0: use a whole number from 1 to 1024": line("--widening_factor=0"),
        "--workdir is missing": line("--workdir="),
        "--max_bad_fraction=1.5: use a number from 0 to 1": line("--max_bad_fraction=1.5"),
        "is not an address: use grpc://HOST:PORT": line("--data_service=localhost"),
        "above/broken.jpg (Unknown image file format": line(
            "--max_bad_fraction=0.005", f"--workdir={tmp_path / 'rotten'}", "--train_split=all"
        ),
    }
    for expected, error in zip(
        cases, command_line.errors("train.py", list(cases.values())), strict=True
    ):
        assert expected in error, f"{error!r} should say {expected!r}"
        assert "|" not in error, "one line"
    assert not (tmp_path / "new").exists(), "nothing half-written"


def test_bad_input_of_eval(finished, labelled_folder, tmp_path):
    def line(*arguments: str) -> list[str]:
        return [
            f"--workdir={tmp_path / 'new'}",
            f"--data_dir={labelled_folder}",
            f"--saved_model={finished / 'saved_model'}",
            *arguments,
        ]

    cases = {
        "is not a SavedModel": line(f"--saved_model={tmp_path}"),
        "has no layer block7, did you mean block4? it has": line("--layers=block1,block7"),
        "use auto, paper or a number": line("--l2=much"),
        "is not a directory": line(f"--data_dir={tmp_path / 'none'}"),
        "the image would be smaller than the crop": line("--crop_size=100"),
        "more than --max_bad_fraction=0.005 allows": line(
            "--max_bad_fraction=0.005", f"--workdir={tmp_path / 'rotten'}", "--train_split=all"
        ),
        "run eval.py with --workdir": line(f"--compare={tmp_path}"),
    }
    for expected, error in zip(
        cases, command_line.errors("eval.py", list(cases.values())), strict=True
    ):
        assert expected in error, f"{error!r} should say {expected!r}"
        assert "|" not in error, "one line"
    assert not (tmp_path / "new").exists(), "nothing half-written"
