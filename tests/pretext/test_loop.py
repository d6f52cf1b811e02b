"""The loop's way through interruptions, full disks and losses that are not finite."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from etils import epath

import data
import pretext
from pretext.pretraining import Pretraining, PretrainingOptions
from pretext.trainer import PretextTrainer
from tests.full_disk import no_files_larger_than
from tests.pretext import tiny
from training import interruption
from training.loop import Loop
from training.momentum import Momentum
from training.pictures import Pictures

STEPS = 8  # Two epochs of four.


class PoisonAfter(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is no number at one update."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, iterations: tf.Tensor) -> tf.Tensor:
        return tf.where(iterations == self.step - 1, np.nan, 0.01)


@pytest.fixture(scope="module")
def make_loop(labelled_folder):
    def make(
        workdir: pathlib.Path,
        log_every_steps: int = 3,
        checkpoint_every_steps: int = 3,
        rate: keras.optimizers.schedules.LearningRateSchedule | float = 0.01,
    ) -> Loop:
        keras.utils.set_random_seed(0)
        task = pretext.build("rotation", pretext.TaskOptions(32, 28, "crop"))
        strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        with strategy.scope():
            trainer = PretextTrainer(task, tiny.network())
            trainer.compile(optimizer=Momentum(rate))
        workdir.mkdir(exist_ok=True)
        training, validation = (
            data.load("folder", split, labelled_folder) for split in ("train", "val")
        )
        batch_size = training.size // (STEPS // 2)
        options = PretrainingOptions(batch_size, 2, 0, log_every_steps, checkpoint_every_steps)
        learner = Pretraining(trainer, strategy, options, training, validation)
        return Loop(learner, strategy, epath.Path(workdir))

    return make


@pytest.fixture(scope="module")
def undisturbed(make_loop, tmp_path_factory) -> Loop:
    loop = make_loop(tmp_path_factory.mktemp("runs") / "undisturbed")
    loop.run()
    return loop


def assert_same(one: Loop, other: Loop) -> None:
    """The same weights, optimiser state and rows of metrics, to the bit."""
    for first, second in zip(
        [*one.learner.trainer.variables, *one.learner.optimizer.variables],
        [*other.learner.trainer.variables, *other.learner.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    assert one.metrics_file.path.read_text() == other.metrics_file.path.read_text()
    ours, theirs = last_checkpoint(one), last_checkpoint(other)
    assert set(ours) == set(theirs)
    assert any(name.startswith("sums/") for name in ours)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def last_checkpoint(loop: Loop) -> dict[str, np.ndarray]:
    """All that is in a run's last checkpoint."""
    reader = tf.train.load_checkpoint(str(loop.metrics_file.path.parent / "checkpoints"))
    names = set(reader.get_variable_to_shape_map()) - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    return {name: reader.get_tensor(name) for name in names}


def stop_at(monkeypatch, call: int) -> None:
    """A signal shows at the given safe point."""
    calls = []
    monkeypatch.setattr(interruption, "requested", lambda: calls.append(0) or len(calls) == call)


def test_stopped_between_steps_and_in_a_validation(undisturbed, make_loop, tmp_path, monkeypatch):
    workdir = tmp_path / "stopped"
    # After step 2; in the validation behind step 4; there again; after step 5 and, as by a kill,
    # without a checkpoint of it; after step 7, in the last epoch.
    for call, step in ((2, 2), (2, 4), (1, 4), (2, None), (4, 7)):
        loop = make_loop(workdir)
        stop_at(monkeypatch, call)
        if step is None:
            save = loop.checkpoints.save
            monkeypatch.setattr(loop.checkpoints, "save", lambda at, s=save: at > 4 or s(at))
        with pytest.raises(interruption.Interrupted, match=f"step {step or 5} is saved in"):
            loop.run()
        if step is not None:
            assert make_loop(workdir).step == step
    stop_at(monkeypatch, 0)
    last = make_loop(workdir)
    last.run()
    assert_same(last, undisturbed)
    rows = last.metrics_file.path.read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["3", "4", "6", "8"]


@pytest.mark.parametrize(
    ("checkpoint_every_steps", "message"),
    [
        (3, r"the loss is not finite at step 6; last good checkpoint: .*/ckpt-4;"),
        (5, r"a weight is not finite after step 5; last good checkpoint: .*/ckpt-4;"),
    ],
)
def test_not_finite(make_loop, tmp_path, checkpoint_every_steps, message):
    for _ in range(2):  # The second start ends like the first.
        loop = make_loop(
            tmp_path / "run",
            log_every_steps=4,
            checkpoint_every_steps=checkpoint_every_steps,
            rate=PoisonAfter(5),
        )
        with pytest.raises(FloatingPointError, match=message):
            loop.run()
    assert tf.train.latest_checkpoint(tmp_path / "run" / "checkpoints").endswith("ckpt-4")


def test_pictures_change_nothing_and_are_drawn_once_or_at_every_epoch(
    undisturbed, make_loop, tmp_path, monkeypatch
):
    made = undisturbed.metrics_file.path.parent
    for name in ("task.png", "training.png"):
        assert (made / name).read_bytes().startswith(b"\x89PNG")

    def fail(batch: object) -> np.ndarray:
        raise RuntimeError("cannot draw")

    # A run that cannot draw, stopped after its second step.
    workdir = tmp_path / "undrawn"
    loop = make_loop(workdir)
    loop.settings = dataclasses.replace(loop.settings, pictures=Pictures(fail, None))
    with monkeypatch.context() as patched:
        stop_at(patched, 2)
        with pytest.raises(interruption.Interrupted):
            loop.run()
    assert not (workdir / "task.png").exists()
    # What is there is left as it is, by a run that goes on.
    (workdir / "task.png").write_bytes(b"drawn before")
    (workdir / "training.png").write_bytes(b"drawn before")
    last = make_loop(workdir)
    last.run()
    assert_same(last, undisturbed)
    assert (workdir / "task.png").read_bytes() == b"drawn before"
    assert (workdir / "training.png").read_bytes() == (made / "training.png").read_bytes()


def test_no_room(undisturbed, make_loop, tmp_path):
    workdir = tmp_path / "full"
    loop = make_loop(workdir)
    loop.settings = dataclasses.replace(loop.settings, pictures=None)  # They would come first.
    with no_files_larger_than(20_000), pytest.raises(OSError, match="ckpt-3 could not be written:"):
        loop.run()
    assert not any((workdir / "checkpoints").iterdir())
    last = make_loop(workdir)
    last.run()
    assert_same(last, undisturbed)


def test_a_validation_split_that_cannot_be_read_is_told_before_the_first_step(make_loop, tmp_path):
    loop = make_loop(tmp_path / "run")
    (tmp_path / "bad").mkdir()
    for number in range(20):
        (tmp_path / "bad" / f"{number}.jpg").write_text("no image")
    loop.learner.validation = data.load("folder", "all", str(tmp_path / "bad"))
    with pytest.raises(ValueError, match=r"split all of folder has no readable image; 20 images"):
        loop.run()
    assert loop.step == 0
