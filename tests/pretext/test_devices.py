"""One device, several, and two machines: the same curve and the same weights.

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
from PIL import Image

from tests.command_line import ENVIRONMENT, ROOT
from tests.pretext import small_run, tiny, two_workers
from tests.pretext.small_run import CASES, Case

TOLERANCE = 1e-5
ONE_DEVICE = tf.distribute.OneDeviceStrategy("CPU:0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    """24 images, each brighter below: three batches of 8, all of them readable."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(24):
        pixels = random.integers(0, 256, (40, 48, 3)).astype(np.uint8)
        pixels[:20] //= 2
        Image.fromarray(pixels).save(root / f"{number:02}.png")
    return str(root)


@pytest.fixture(scope="module")
def elsewhere(folder, tmp_path_factory) -> dict[str, pathlib.Path]:
    """Results of processes of their own, which run side by side.

    Four logical CPUs because two MirroredStrategies in a process mix their collectives, and two
    workers on loopback because each is a process.
    """
    root = tmp_path_factory.mktemp("elsewhere")
    starts = {"mirrored": ("mirrored", "4", {})}
    for index, configuration in enumerate(two_workers.configurations()):
        starts[f"worker{index}"] = ("multi_worker", "1", configuration)
    processes = {}
    for name, (strategy, devices, configuration) in starts.items():
        (root / name).mkdir()
        # The workers share a run directory, in which the first one writes.
        output = root / ("worker0" if configuration else name)
        with open(root / f"{name}.log", "wb") as log:
            processes[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.pretext.small_run"),
                    *(folder, str(output), strategy, devices, *CASES),
                ],
                env=ENVIRONMENT | configuration,
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
    try:
        for name, process in processes.items():
            assert process.wait(timeout=600) == 0, (root / f"{name}.log").read_text()[-3000:]
    finally:
        for process in processes.values():
            process.kill()
    return {name: root / name for name in starts}


@pytest.fixture(scope="module")
def one_device(folder, tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    root = epath.Path(tmp_path_factory.mktemp("one_device"))
    return {
        name: small_run.train(case, ONE_DEVICE, folder, root / name) for name, case in CASES.items()
    }


def assert_same(first: dict, second: dict) -> None:
    """All numbers but `retrieval`, which is among the images of one device."""
    assert set(first) == set(second)
    assert len(first["loss"]) == 6
    for name, values in first.items():
        if "retrieval" not in name:
            np.testing.assert_allclose(values, second[name], 0, TOLERANCE, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_two_devices(case, one_device, mirrored, folder, tmp_path):
    both = small_run.train(CASES[case], mirrored, folder, epath.Path(tmp_path))
    assert_same(one_device[case], both)


@pytest.mark.parametrize("case", CASES)
def test_four_devices(case, one_device, elsewhere):
    assert_same(one_device[case], np.load(elsewhere["mirrored"] / f"{case}.npz"))


@pytest.mark.parametrize("case", CASES)
def test_two_machines(case, one_device, elsewhere):
    assert_same(one_device[case], np.load(elsewhere["worker0"] / f"{case}.npz"))


def test_the_second_machine_writes_nothing(elsewhere):
    assert not list(elsewhere["worker1"].iterdir())
    assert len(list(elsewhere["worker0"].glob("rotation_run/tensorboard/*"))) == 1


def test_global_negatives_are_other_triplets(one_device, mirrored, folder, tmp_path):
    """Else the equality above would show nothing."""
    case = dataclasses.replace(CASES["exemplar"], global_negatives=False, epochs=1)
    own = small_run.train(case, mirrored, folder, epath.Path(tmp_path))
    assert np.abs(own["loss"] - one_device["exemplar"]["loss"][:3]).max() > 1e-3


def test_statistics_of_each_device_survive_a_restart(mirrored, folder, tmp_path):
    """Without synchronised statistics too, a run does not depend on where it was interrupted."""
    whole, parts = epath.Path(tmp_path) / "whole", epath.Path(tmp_path) / "parts"
    case = Case(synchronized=False)
    small_run.train(dataclasses.replace(case, epochs=1), mirrored, folder, parts)
    continued = small_run.train(case, mirrored, folder, parts)
    for name, values in small_run.train(case, mirrored, folder, whole).items():
        np.testing.assert_array_equal(values, continued[name], err_msg=name)


def test_compiled_on_two_devices(mirrored, folder, tmp_path):
    """XLA compiles what each device does; without synchronised statistics, which it cannot."""
    case = Case(synchronized=False, epochs=1)
    plain = small_run.train(case, mirrored, folder, epath.Path(tmp_path) / "plain")
    compiled = small_run.train(
        dataclasses.replace(case, jit=True), mirrored, folder, epath.Path(tmp_path) / "compiled"
    )
    np.testing.assert_allclose(plain["loss"], compiled["loss"], 0, TOLERANCE)
    assert plain["val_loss"] == pytest.approx(compiled["val_loss"], abs=TOLERANCE)


def test_micro_batches_on_two_devices(mirrored, folder, tmp_path):
    """Four parts of a batch, with frozen statistics: the same as the whole batch on one device."""
    case = Case(frozen_statistics=True)
    whole = small_run.train(case, ONE_DEVICE, folder, epath.Path(tmp_path) / "whole")
    case = dataclasses.replace(case, gradient_accumulation=2)
    assert_same(whole, small_run.train(case, mirrored, folder, epath.Path(tmp_path) / "parts"))


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


def test_machines_that_do_not_share_the_run_directory_are_told(mirrored, folder, tmp_path):
    loop = small_run.make_loop(Case(), mirrored, folder, epath.Path(tmp_path))
    iterations = loop.learner.optimizer.iterations.value
    mirrored.experimental_local_results(iterations)[1].assign(3)
    with pytest.raises(ValueError, match="one directory that all machines see"):
        loop.check_same_step()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_narrow_floats(precision, one_device, folder, tmp_path):
    """Losses within 0.01 of float32's, over six updates that halve it."""
    narrow = small_run.train(Case(precision=precision), ONE_DEVICE, folder, epath.Path(tmp_path))
    wide = one_device["rotation"]
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(wide[name], narrow[name], 0, 0.01)
    assert wide["loss"][0] - wide["loss"][-1] > 0.5, "something was learned"
    assert np.abs(wide["loss"] - narrow["loss"]).max() > 1e-5, "something was computed narrowly"
    assert all(values.dtype == np.float32 for name, values in narrow.items() if "weights" in name)


def test_a_profile(folder, tmp_path):
    workdir = epath.Path(tmp_path)
    small_run.train(Case(epochs=1, profile=True), ONE_DEVICE, folder, workdir)
    assert list(workdir.glob("tensorboard/plugins/profile/*/*.xplane.pb"))
