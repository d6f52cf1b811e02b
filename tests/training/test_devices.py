import numpy as np
import pytest
import tensorflow as tf

from training import devices


def resource_exhausted(message: str) -> tf.errors.OpError:
    return tf.errors.ResourceExhaustedError(None, None, message)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            resource_exhausted(
                "OOM when allocating tensor with shape[512,64,9] and type float on /job:localhost"
            ),
            "out of memory for a tensor of [512,64,9] float: take less",
        ),
        (
            tf.errors.InternalError(
                None, None, "RESOURCE_EXHAUSTED: Out of memory allocating 12.5GiB\nBuffers:\n…"
            ),
            "out of memory for 12.5GiB: take less",
        ),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), "out of memory: take less"),
        (RuntimeError("std::bad_alloc"), "out of memory: take less"),
        (MemoryError(), "out of memory: take less"),
        (
            MemoryError("Unable to allocate 8.00 TiB for an array with shape (2, 5)"),
            "out of memory for 8.00 TiB: take less",
        ),
    ],
)
def test_one_line_that_says_what_to_do(error, said):
    with pytest.raises(MemoryError) as raised, devices.memory_advice("take less"):
        raise error
    assert str(raised.value) == said


@pytest.mark.parametrize(
    "error",
    [
        resource_exhausted("/run/ckpt-3; No space left on device"),
        OSError(28, "No space left on device"),
        ValueError("out of memory"),
        tf.errors.InternalError(None, None, "Connection reset by peer"),
    ],
)
def test_other_errors_stay(error):
    with pytest.raises(type(error)) as raised, devices.memory_advice("take less"):
        raise error
    assert raised.value is error


def test_told_once():
    @devices.memory_advice("outer")
    def allocate() -> np.ndarray:
        with devices.memory_advice("inner"):
            return np.zeros(2**56)

    with pytest.raises(MemoryError, match=r": inner$"):
        allocate()
