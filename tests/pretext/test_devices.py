"""One device and several: the same curve and the same weights. (Machines: test_machines.py.)

All at the same global batch, with batch statistics over all devices. Tolerances: 1e-5 for losses
and weights after six updates; sums are taken in another order.
"""

import dataclasses
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from etils import epath

from tests.command_line import ENVIRONMENT, ROOT
from tests.pretext import small_run, tiny
from tests.pretext.small_run import CASES, Case

TOLERANCE = 1e-5
ONE_DEVICE = tf.distribute.OneDeviceStrategy("CPU:0")


@pytest.fixture(scope="module")
def four_devices(photos, tmp_path_factory) -> pathlib.Path:
    """Results of a process of its own: two MirroredStrategies in one mix their collectives."""
    output = tmp_path_factory.mktemp("four_devices")
    module = [sys.executable, "-m", "tests.pretext.small_run"]
    done = subprocess.run(
        [*module, photos, str(output), "mirrored", "4", *CASES],
        env=ENVIRONMENT,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return output


@pytest.fixture(scope="module")
def one_device(photos, tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    root = epath.Path(tmp_path_factory.mktemp("one_device"))
    return {
        name: small_run.train(case, ONE_DEVICE, photos, root / name) for name, case in CASES.items()
    }


def assert_same(first: dict, second: dict) -> None:
    """All numbers but `retrieval`, which is among the images of one device."""
    assert set(first) == set(second)
    assert len(first["loss"]) == 6
    for name, values in first.items():
        if "retrieval" not in name:
            np.testing.assert_allclose(values, second[name], 0, TOLERANCE, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_two_devices(case, one_device, mirrored, photos, tmp_path):
    both = small_run.train(CASES[case], mirrored, photos, epath.Path(tmp_path))
    assert_same(one_device[case], both)


@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_four_devices(case, one_device, four_devices):
    assert_same(one_device[case], np.load(four_devices / f"{case}.npz"))


def test_global_negatives_are_other_triplets(one_device, mirrored, photos, tmp_path):
    """Else the equality above would show nothing."""
    case = dataclasses.replace(CASES["exemplar"], global_negatives=False, epochs=1)
    own = small_run.train(case, mirrored, photos, epath.Path(tmp_path))
    assert np.abs(own["loss"] - one_device["exemplar"]["loss"][:3]).max() > 1e-3


def test_statistics_of_each_device_survive_a_restart(mirrored, photos, tmp_path):
    """Without synchronised statistics too, a run does not depend on where it was interrupted."""
    whole, parts = epath.Path(tmp_path) / "whole", epath.Path(tmp_path) / "parts"
    case = Case(synchronized=False)
    small_run.train(dataclasses.replace(case, epochs=1), mirrored, photos, parts)
    continued = small_run.train(case, mirrored, photos, parts)
    for name, values in small_run.train(case, mirrored, photos, whole).items():
        np.testing.assert_array_equal(values, continued[name], err_msg=name)


def test_compiled_on_two_devices(mirrored, photos, tmp_path):
    """XLA compiles what each device does; without synchronised statistics, which it cannot."""
    case = Case(synchronized=False, epochs=1)
    plain = small_run.train(case, mirrored, photos, epath.Path(tmp_path) / "plain")
    compiled = small_run.train(
        dataclasses.replace(case, jit=True),
        mirrored,
        photos,
        epath.Path(tmp_path) / "compiled",
    )
    np.testing.assert_allclose(plain["loss"], compiled["loss"], 0, TOLERANCE)
    assert plain["val_loss"] == pytest.approx(compiled["val_loss"], abs=TOLERANCE)


def test_micro_batches_on_two_devices(mirrored, photos, tmp_path):
    """Four parts of a batch, with frozen statistics: the same as the whole batch on one device."""
    case = Case(frozen_statistics=True)
    whole = small_run.train(case, ONE_DEVICE, photos, epath.Path(tmp_path) / "whole")
    case = dataclasses.replace(case, gradient_accumulation=2)
    assert_same(whole, small_run.train(case, mirrored, photos, epath.Path(tmp_path) / "parts"))


def test_the_gradient_of_global_negatives_is_the_sum_of_the_replicas(mirrored):
    """Compared with one device, whose batch is both replicas' batches."""
    case = CASES["exemplar"]
    one = small_run.make_trainer(case, ONE_DEVICE)
    two = small_run.make_trainer(case, mirrored)
    batch = tiny.batch(one.task, images=6, size=32, views=3)
    halves = [{k: v[:3] for k, v in batch.items()}, {k: v[3:] for k, v in batch.items()}]
    both = mirrored.experimental_distribute_values_from_function(
        lambda context: halves[context.replica_id_in_sync_group]
    )

    @tf.function
    def summed(batch):
        parts = mirrored.run(lambda batch: two.gradients(batch)[0], (batch,))
        return [mirrored.reduce("SUM", part, axis=None) for part in parts]

    gradients, _ = tf.function(one.gradients)(batch)
    for expected, actual in zip(gradients, summed(both), strict=True):
        np.testing.assert_allclose(expected, actual, rtol=1e-4, atol=1e-6)
    assert max(float(tf.reduce_max(abs(gradient))) for gradient in gradients) > 1e-2


def test_machines_that_do_not_share_the_run_directory_are_told(mirrored, photos, tmp_path):
    loop = small_run.make_loop(Case(), mirrored, photos, epath.Path(tmp_path))
    iterations = loop.learner.optimizer.iterations.value
    mirrored.experimental_local_results(iterations)[1].assign(3)
    with pytest.raises(ValueError, match="one directory that all machines see"):
        loop.check_same_step()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_narrow_floats(precision, one_device, photos, tmp_path):
    """Losses within 0.01 of float32's, over six updates that halve it."""
    narrow = small_run.train(Case(precision=precision), ONE_DEVICE, photos, epath.Path(tmp_path))
    wide = one_device["rotation"]
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(wide[name], narrow[name], 0, 0.01)
    assert wide["loss"][0] - wide["loss"][-1] > 0.5, "something was learned"
    assert np.abs(wide["loss"] - narrow["loss"]).max() > 1e-5, "something was computed narrowly"
    assert all(values.dtype == np.float32 for name, values in narrow.items() if "weights" in name)


def test_a_profile(photos, tmp_path):
    workdir = epath.Path(tmp_path)
    small_run.train(Case(epochs=1, profile=True), ONE_DEVICE, photos, workdir)
    assert list(workdir.glob("tensorboard/plugins/profile/*/*.xplane.pb"))
