"""One TensorFlow set-up for all tests: quiet, on the CPU, four logical devices."""

import os
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("MPLBACKEND", "agg")

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import graphs
from tests.pictures import write_labelled_folder

LOGICAL_DEVICES = 4
# Of two workers none shall be left alone at the end with what takes longest: it comes first.
LONGEST = (
    "tests/test_programs.py",
    "tests/test_documented_commands.py",
    "tests/pretext/test_devices.py",
    "tests/pretext/test_machines.py",
    "tests/evaluate/test_workers.py",
    "tests/pretext/test_xla.py",
    "tests/pretext/test_shortcuts.py",
    "tests/examples",
)

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * LOGICAL_DEVICES,
)
graphs.leave_unoptimised()


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


@pytest.fixture(autouse=True, scope="module")
def memory_is_given_back() -> Iterator[None]:
    """After every file: networks and graphs hold each other, and would add up to gigabytes."""
    yield
    keras.utils.clear_session()


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> str:
    """24 images, each brighter below: three batches of 8, all of them readable."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(24):
        pixels = random.integers(0, 256, (40, 48, 3)).astype(np.uint8)
        pixels[:20] //= 2
        Image.fromarray(pixels).save(root / f"{number:02}.png")
    return str(root)
