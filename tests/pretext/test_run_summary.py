"""What a run says before it begins, as text."""

import dataclasses

import pytest
import tensorflow as tf

import data
import pretext
from pretext.run_summary import Summary, schedule_warnings, show
from pretext.trainer import PretextTrainer
from tests.pretext import tiny
from training import devices, schedule


@pytest.fixture(scope="module")
def summary(labelled_folder) -> Summary:
    task = pretext.build("rotation", pretext.TaskOptions(32, 28, "crop"))
    training, validation = (
        data.load("folder", split, labelled_folder) for split in ("train", "val")
    )
    steps = training.size // 8
    return Summary(
        training=training,
        validation=validation,
        shared=0,
        epochs=10,
        batch_size=8,
        rate=schedule.in_epochs(0.05, steps, decay_epochs=(4, 8), warmup_epochs=2),
        trainer=PretextTrainer(task, tiny.network()),
    )


def lines(summary: Summary, free: int | None = None) -> dict[str, str]:
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    text = summary.lines(strategy, "float32", free)
    return dict(line.split(": ", 1) for line in text.splitlines())


def test_what_was_resolved(summary):
    told = lines(summary, free=14_000_000_000)
    size = summary.training.size
    assert told["devices"].startswith("the CPU (")
    assert told["devices"].endswith(" of memory), computing in float32")
    assert told["images"] == f"{size} in split train of folder to train on, 2 classes"
    left = size % 8
    other = f"; {left} other images are left out of every epoch" if left else ""
    assert told["updates"] == f"10 epochs of {size // 8}, 8 images each{other}"
    rate = "0.05, rising from 0 over 2 epochs, divided by 10 after 4, 8 epochs"
    assert told["learning rate"] == rate
    assert told["held out"] == (
        f"{summary.validation.size} images of split val, for the pretext metrics after every epoch"
    )
    weights = 4 * summary.trainer.count_params()
    assert summary.checkpoint_bytes > 1.9 * weights
    assert summary.bytes_on_disk == 3 * summary.checkpoint_bytes + weights
    assert told["disk"].endswith(" in all, 14 GB are free")
    assert summary.warnings(free=14_000_000_000) == []


def test_images_that_are_trained_on_are_not_held_out(summary):
    some = dataclasses.replace(summary, shared=3)
    assert lines(some)["held out"].endswith("of which 3 are trained on all the same")
    all_of_them = dataclasses.replace(summary, shared=summary.validation.size)
    assert lines(all_of_them)["held out"].startswith("nothing; ")
    (warning,) = some.warnings(None)
    assert "3 of the " in warning
    assert "--val_split=val are among those of --train_split=train" in warning


def test_no_room(summary):
    (warning,) = summary.warnings(free=1000)
    assert warning.startswith("the run needs about ")
    assert warning.endswith("and 1 kB are free")


def test_what_of_a_schedule_is_never_reached():
    rate = schedule.in_epochs(0.1, 10, decay_epochs=(2, 3, 25), warmup_epochs=5)
    assert schedule_warnings(rate, 10, epochs=30) == []
    warmup, decay = schedule_warnings(rate, 10, epochs=3)
    assert warmup.startswith("--warmup_epochs=5 is longer than --epochs=3: ")
    assert decay.startswith(
        "--decay_epochs=3,25: decays that do not come before the end of --epochs=3"
    )


def test_a_card_without_cuda_is_named(summary, monkeypatch, caplog, capsys, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "_has_nvidia_card", lambda: True)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    show(summary, strategy, "float32", tmp_path)
    assert capsys.readouterr().out.count("\n") == 6
    assert "this machine has an NVIDIA card, but TensorFlow" in caplog.text
    assert "pip install 'tensorflow[and-cuda]==" in caplog.text
    assert devices.unused_gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert devices.unused_gpu() is None
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(devices, "_has_nvidia_card", lambda: False)
    assert devices.unused_gpu() is None


@pytest.mark.parametrize(
    ("number", "text"),
    [(512, "512 B"), (3_210_000, "3.21 MB"), (25e9, "25 GB"), (3e13, "30 TB"), (1e16, "10,000 TB")],
)
def test_sizes(number, text):
    assert devices.size(number) == text
