"""Two machines: the curve and weights of one device, and what is left when one of them is gone.

Two processes on loopback stand in for them. Tolerance: 1e-5 for losses and weights after six
updates; sums are taken in another order.
"""

import pathlib
import time

import numpy as np
import pytest
import tensorflow as tf
from etils import epath

from tests.pretext import small_run, two_workers
from tests.pretext.small_run import CASES

TOLERANCE = 1e-5
LONG = "long"  # 12 epochs of three steps.


def finish(output: pathlib.Path, processes: list) -> None:
    """Waits for a pair to end well."""
    for index, process in enumerate(processes):
        assert process.wait(timeout=600) == 0, (output / f"worker{index}.log").read_text()[-3000:]


def rows(output: pathlib.Path) -> int:
    path = output / f"{LONG}_run" / "metrics.csv"
    return path.read_text().count("\n") - 1 if path.exists() else 0


@pytest.fixture(scope="module")
def start(photos):
    """Starts a pair of workers in a directory; they end with the tests."""
    started = []

    def start_pair(output: pathlib.Path, *cases: str) -> list:
        started.extend(two_workers.start(photos, output, *cases))
        return started[-2:]

    yield start_pair
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def undisturbed(start, tmp_path_factory) -> pathlib.Path:
    """Where a pair left its results of all cases."""
    output = tmp_path_factory.mktemp("machines") / "undisturbed"
    finish(output, start(output, *CASES))
    return output


@pytest.mark.parametrize("case", CASES)
def test_the_same_as_one_device(case, undisturbed, photos, tmp_path):
    one_device = tf.distribute.OneDeviceStrategy("CPU:0")
    one = small_run.train(CASES[case], one_device, photos, epath.Path(tmp_path))
    two = np.load(undisturbed / f"{case}.npz")
    assert set(one) == set(two)
    assert len(one["loss"]) == 6
    for name, values in one.items():
        if "retrieval" not in name:  # Which is among the images of one device.
            np.testing.assert_allclose(values, two[name], 0, TOLERANCE, err_msg=name)


def test_the_second_machine_writes_nothing(undisturbed):
    assert len(list(undisturbed.glob("rotation_run/tensorboard/*"))) == 1


@pytest.mark.long
def test_a_machine_is_lost(start, tmp_path):
    """The other one ends with a line, soon, and the next pair ends with the same bits."""
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    finish(undisturbed, start(undisturbed, LONG))
    survivor, victim = start(killed, LONG)
    while rows(killed) < 4:  # An epoch and its checkpoint, and a bit.
        assert survivor.poll() is None, (killed / "worker0.log").read_text()[-3000:]
        time.sleep(0.005)
    victim.kill()
    assert survivor.wait(timeout=600) != 0
    message = (killed / "worker0.log").read_text().splitlines()[-1]
    assert message.startswith("small_run: another worker is gone"), message
    assert not (killed / f"{LONG}.npz").exists(), "killed too late to show anything"
    finish(killed, start(killed, LONG))
    expected, continued = (np.load(output / f"{LONG}.npz") for output in (undisturbed, killed))
    assert set(expected) == set(continued)
    for name in expected:
        np.testing.assert_array_equal(expected[name], continued[name], err_msg=name)
