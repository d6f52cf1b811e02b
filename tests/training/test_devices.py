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


CPUINFO = """processor\t: {number}
model name\t: A CPU with avx512_bf16 in its name
flags\t\t: fpu sse2 avx512f {flag}
bugs\t\t: spectre_v1

"""


@pytest.mark.parametrize(
    ("flags", "multiplies"),
    [
        (("avx512_bf16", "avx512_bf16"), True),
        (("avx512vl amx_bf16 amx_tile",), True),
        (("amx_tile avx512_vnni",), False),
        (("avx512_bf16x",), False),
        (("avx512_bf16", ""), False),
        ((), False),
    ],
)
def test_cpus_that_multiply_bfloat16(flags, multiplies, tmp_path, monkeypatch):
    text = "".join(CPUINFO.format(number=i, flag=flag) for i, flag in enumerate(flags))
    assert devices.cpu_multiplies_bfloat16(text) == multiplies
    monkeypatch.setattr(devices, "_CPUINFO", tmp_path / "cpuinfo")
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    assert not devices.multiplies_bfloat16(strategy), "there is no such file on other systems"
    (tmp_path / "cpuinfo").write_text(text)
    assert devices.multiplies_bfloat16(strategy) == multiplies


def test_arm_has_features_and_no_flags():
    assert not devices.cpu_multiplies_bfloat16("processor\t: 0\nFeatures\t: fp asimd bf16\n")


@pytest.mark.parametrize(
    ("details", "multiplies"),
    [
        ([{"device_name": "A100", "compute_capability": (8, 0)}], True),
        ([{"device_name": "H100", "compute_capability": (9, 0)}] * 2, True),
        ([{"device_name": "V100", "compute_capability": (7, 0)}], False),
        ([{"compute_capability": (8, 0)}, {"compute_capability": (7, 5)}], False),
        ([{"device_name": "of another maker"}], False),
    ],
)
def test_gpus_that_multiply_bfloat16(details, multiplies, monkeypatch):
    class OnGpus:
        """A strategy on as many GPUs as there are details."""

        class extended:
            worker_devices = tuple(f"/device:GPU:{i}" for i in range(len(details)))

    # The last one is there and not used.
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [*range(len(details)), -1])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda i: details[i])
    assert devices.multiplies_bfloat16(OnGpus()) == multiplies
