"""One TensorFlow set-up for all tests: quiet, on the CPU, four logical devices."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest
import tensorflow as tf

from tests.pictures import write_labelled_folder

LOGICAL_DEVICES = 4
# Of two workers none shall be left alone at the end with what takes longest: it comes first.
LONGEST = (
    "tests/test_programs.py",
    "tests/test_documented_commands.py",
    "tests/pretext/test_devices.py",
    "tests/pretext/test_lost_worker.py",
    "tests/evaluate/test_workers.py",
    "tests/pretext/test_xla.py",
    "tests/pretext/test_shortcuts.py",
    "tests/examples",
)

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * LOGICAL_DEVICES,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(scope="session")
def mirrored() -> tf.distribute.Strategy:
    """A MirroredStrategy over two logical CPUs; one for all, because two mix their collectives."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def labelled_folder(tmp_path_factory) -> str:
    """120 small JPEGs of two classes, bright above and bright below, and one broken file."""
    root = tmp_path_factory.mktemp("labelled")
    write_labelled_folder(root)
    return str(root)
