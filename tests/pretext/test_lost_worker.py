import pathlib
import time

import numpy as np
import pytest

from tests.pretext import two_workers

CASE = "long"


def rows(output: pathlib.Path) -> int:
    path = output / f"{CASE}_run" / "metrics.csv"
    return path.read_text().count("\n") - 1 if path.exists() else 0


def finish(output: pathlib.Path, processes: list) -> dict[str, np.ndarray]:
    for index, process in enumerate(processes):
        assert process.wait(timeout=600) == 0, (output / f"worker{index}.log").read_text()[-3000:]
    return np.load(output / f"{CASE}.npz")


@pytest.fixture
def start(labelled_folder):
    """Starts a pair of workers in a directory; they end with the test."""
    started = []

    def start_pair(output: pathlib.Path) -> list:
        started.extend(two_workers.start(labelled_folder, output, CASE))
        return started[-2:]

    yield start_pair
    for process in started:
        process.kill()
        process.wait()


def test_a_worker_is_killed(start, tmp_path):
    """The other one ends with a line, soon, and the next pair ends with the same bits."""
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    left_alone = start(undisturbed)
    survivor, victim = start(killed)
    while rows(killed) < 17:  # An epoch and its checkpoint, and a bit.
        assert survivor.poll() is None, (killed / "worker0.log").read_text()[-3000:]
        time.sleep(0.005)
    victim.kill()
    assert survivor.wait(timeout=600) != 0
    message = (killed / "worker0.log").read_text().splitlines()[-1]
    assert message.startswith("small_run: another worker is gone"), message
    assert not (killed / f"{CASE}.npz").exists(), "killed too late to show anything"
    expected = finish(undisturbed, left_alone)
    continued = finish(killed, start(killed))
    assert set(expected) == set(continued)
    for name in expected:
        np.testing.assert_array_equal(expected[name], continued[name], err_msg=name)
