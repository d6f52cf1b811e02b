"""What `auto` stands for, and the loss scale of float16. (Parity with float32: test_devices.py.)"""

import numpy as np
import pytest
import tensorflow as tf
from etils import epath

from pretext import precision
from pretext.precision import LossScale
from tests.pretext import small_run, tiny
from tests.pretext.small_run import Case
from training import devices

CASE = Case(precision="float16", synchronized=False)


def test_auto_is_what_the_hardware_multiplies_until_a_run_has_begun(tmp_path, monkeypatch):
    run, strategy = epath.Path(tmp_path / "run"), tf.distribute.get_strategy()

    def hardware(multiplies: bool) -> None:
        monkeypatch.setattr(devices, "multiplies_bfloat16", lambda _: multiplies)

    def resolved(given: str = "auto") -> str:
        return precision.resolve(given, strategy, run)

    hardware(False)
    assert resolved() == "float32"
    assert [resolved(given) for given in precision.POLICIES] == list(precision.POLICIES)
    hardware(True)
    assert resolved() == "bfloat16"
    run.mkdir()
    (run / "flags.cfg").write_text("--precision=bfloat16\n--seed=0\n")
    hardware(False)
    assert resolved() == "float32", "without results it may be another run's directory"
    (run / "metrics.csv").write_text("step,epoch\n3,1\n")
    assert resolved() == "bfloat16"
    hardware(True)
    for kept in precision.POLICIES:
        (run / "flags.cfg").write_text(f"--precision={kept}\n")
        assert resolved() == kept
    # A value that never was one is for `run_directory.claim` to name.
    (run / "flags.cfg").write_text("--precision=int8\n")
    assert resolved() == "bfloat16"


def test_the_scale_grows_after_good_steps_and_halves_after_a_bad_one():
    scale = LossScale(8.0, growth_steps=2)
    seen = []
    for finite in (1, 1, 1, 0, 1, 1):
        scale.update(tf.constant(float(finite)))
        seen.append(float(scale.scale))
    assert seen == [8, 16, 16, 8, 8, 16]


def test_gradients_are_unscaled_or_all_of_them_nan():
    scale = LossScale(4.0)
    gradients, finite = scale.unscale([tf.constant([2.0, 8.0]), tf.constant(4.0)])
    assert [g.numpy().tolist() for g in gradients] == [[0.5, 2.0], 1.0]
    assert float(finite) == 1
    gradients, finite = scale.unscale([tf.constant([2.0, 8.0]), tf.constant(np.inf)])
    assert all(np.isnan(g).all() for g in gradients)
    assert float(finite) == 0


def test_an_overflow_on_one_replica_is_left_out_on_all(mirrored):
    """The weights and the velocity stay, the step counts, and the next one works again."""
    trainer = small_run.make_trainer(CASE, mirrored)
    with mirrored.scope():
        trainer.optimizer.build(trainer.trainable_variables)
    batch = tiny.batch(trainer.task, images=2, size=32)

    @tf.function
    def step(overflows: tf.Tensor) -> None:
        def on_replica() -> None:
            gradients, metrics = trainer.gradients(batch)
            first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
            gradients[3] = tf.where(first & overflows, np.inf, gradients[3])
            trainer.update(gradients, metrics)

        mirrored.run(on_replica)

    def state() -> list[np.ndarray]:
        variables = [*trainer.trainable_variables, *trainer.optimizer.momentums]
        return [
            replica.numpy()
            for variable in variables
            for replica in mirrored.experimental_local_results(variable.value)
        ]

    step(tf.constant(False))
    before = state()
    step(tf.constant(True))
    for old, new in zip(before, state(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert int(trainer.optimizer.iterations.value.numpy()) == 2
    assert float(trainer.loss_scale.scale.numpy()) == 2.0**14
    step(tf.constant(False))
    assert all(np.any(old != new) for old, new in zip(before, state(), strict=True))
    assert np.isfinite(state()[0]).all()


def test_the_scale_is_in_the_checkpoint(labelled_folder, tmp_path):
    one = tf.distribute.OneDeviceStrategy("CPU:0")
    loop = small_run.make_loop(CASE, one, labelled_folder, epath.Path(tmp_path))
    loop.learner.trainer.loss_scale.scale.assign(123.0)
    loop.checkpoints.save(0)
    again = small_run.make_loop(CASE, one, labelled_folder, epath.Path(tmp_path))
    assert float(again.learner.trainer.loss_scale.scale.numpy()) == 123


def test_a_scale_that_never_fits_stops_the_run(labelled_folder, tmp_path):
    one = tf.distribute.OneDeviceStrategy("CPU:0")
    loop = small_run.make_loop(CASE, one, labelled_folder, epath.Path(tmp_path))
    assert loop.learner.divergence(1) is None
    loop.learner.trainer.loss_scale.scale.assign(0.5)
    with pytest.raises(FloatingPointError, match="float16's range"):
        loop.run()
