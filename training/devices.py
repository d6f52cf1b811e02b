"""What a run computes on: the devices, what they multiply, their memory, and running out of it."""

import contextlib
import math
import os
import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping

import tensorflow as tf

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_CPUINFO = pathlib.Path("/proc/cpuinfo")
# Of x86's instruction sets those that multiply bfloat16.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}

# As TensorFlow, XLA, CUDA's libraries and C++ call it. A full disk is TensorFlow's
# ResourceExhaustedError too.
_OUT_OF_MEMORY = re.compile(
    r"\bOOM\b|out of memory|RESOURCE_EXHAUSTED|OUT_OF_MEMORY|ALLOC_FAILED|bad_alloc"
    r"|failed to allocate|unable to allocate",
    re.IGNORECASE,
)
_FULL_DISK = re.compile("no space left|quota exceeded|file too large", re.IGNORECASE)


def describe(strategy: tf.distribute.Strategy) -> str:
    """The replicas of a strategy, the GPUs' names and memory, and the host's cores and memory."""
    replicas = strategy.num_replicas_in_sync
    host = f"{_cores()} CPU cores, {size(host_memory())} of memory"
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return f"a TPU of {replicas} cores"
    gpus = [device for device in strategy.extended.worker_devices if "GPU" in device]
    if not gpus:
        devices = "the CPU" if replicas == 1 else f"{replicas} logical CPUs"
        return f"{devices} ({host})"
    names = ", ".join(dict.fromkeys(_names(tf.config.list_physical_devices("GPU"))))
    memory = _gpu_memory()
    each = f", {size(memory)} of memory each" if memory else ""
    number = "1 GPU" if replicas == 1 else f"{replicas} GPUs"
    return f"{number} ({names}{each}), {host}"


def multiplies_bfloat16(strategy: tf.distribute.Strategy) -> bool:
    """Whether all that a strategy computes on, on every machine, multiplies bfloat16 in hardware.

    Every machine of several has to ask this, and all get the same answer.
    """
    here = _multiplies_bfloat16(strategy)
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return here
    count = strategy.reduce("SUM", strategy.run(lambda: tf.constant(float(here))), axis=None)
    return int(count) == strategy.num_replicas_in_sync


def gpu_multiplies_bfloat16(details: Mapping[str, object]) -> bool:
    """Whether a GPU does, from TensorFlow's details: one of NVIDIA's from Ampere on."""
    return details.get("compute_capability", (0, 0)) >= (8, 0)


def cpu_multiplies_bfloat16(cpuinfo: str) -> bool:
    """Whether all of a machine's x86 CPUs do, from the text of Linux's /proc/cpuinfo."""
    flags = [line.split() for line in cpuinfo.splitlines() if line.split(":")[0].strip() == "flags"]
    return bool(flags) and all(not _BFLOAT16_FLAGS.isdisjoint(of_one) for of_one in flags)


def unused_gpu() -> str | None:
    """Why TensorFlow leaves this machine's NVIDIA card unused and what to do; None if it does not.

    TensorFlow's own lines that say so are among those that `training.quiet` keeps away.
    """
    if tf.config.list_physical_devices("GPU") or not _has_nvidia_card():
        return None
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return None  # As the user wants it.
    if not tf.test.is_built_with_cuda():
        why = "is built without CUDA"
    else:
        why = "does not find CUDA's libraries or the card's driver"
    return (
        f"this machine has an NVIDIA card, but TensorFlow {tf.__version__} {why}, and the CPU is "
        f"used: pip install 'tensorflow[and-cuda]=={tf.__version__}' brings the libraries, and "
        "nvidia-smi says whether the driver works"
    )


def memory(strategy: tf.distribute.Strategy) -> int | None:
    """Bytes that there are for a replica's variables; None where that cannot be known."""
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return None
    on_gpu = any("GPU" in device for device in strategy.extended.worker_devices)
    return _gpu_memory() if on_gpu else host_memory()


def host_memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its container's."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in map(pathlib.Path, _CGROUP_LIMITS):
        text = file.read_text().strip() if file.is_file() else ""
        sizes += [int(text)] if text.isdigit() else []
    return min(sizes)


def free_space(directory: os.PathLike | str) -> int | None:
    """Bytes that can be written to a directory that exists; None for a store such as gs://."""
    if "://" in os.fspath(directory):
        return None
    return shutil.disk_usage(directory).free


def size(number: float) -> str:
    """A number of bytes in words: 512 B, 3.2 MB, 14 GB."""
    units = ("B", "kB", "MB", "GB", "TB")
    power = min(int(math.log(max(number, 1), 1000)), len(units) - 1)
    number /= 1000**power
    return f"{number:.3g} {units[power]}" if number < 1000 else f"{number:,.0f} {units[power]}"


class OutOfMemory(MemoryError):
    """A MemoryError that says what takes less."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of the host or of a device, is short."""
    text = str(error)
    if isinstance(error, OSError) or _FULL_DISK.search(text):
        return False
    if isinstance(error, MemoryError | tf.errors.ResourceExhaustedError):
        return True
    return isinstance(error, tf.errors.OpError | RuntimeError) and bool(_OUT_OF_MEMORY.search(text))


@contextlib.contextmanager
def memory_advice(advice: str) -> Iterator[None]:
    """Inside, an error for lack of memory is a MemoryError of one line; decorates functions, too.

    Args:
        advice: what takes less memory, naming the flags.

    Raises:
        MemoryError: memory is short.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error) or isinstance(error, OutOfMemory):
            raise
        raise OutOfMemory(f"out of memory{_requested(error)}: {advice}") from error


def _cores() -> int:
    # Not everywhere can a process be held to some of the cores.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _multiplies_bfloat16(strategy: tf.distribute.Strategy) -> bool:
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return True
    used = [device for device in strategy.extended.worker_devices if "GPU" in device]
    if not used:
        return cpu_multiplies_bfloat16(_CPUINFO.read_text() if _CPUINFO.is_file() else "")
    gpus = tf.config.list_physical_devices("GPU")[: len(used)]
    return all(map(gpu_multiplies_bfloat16, map(tf.config.experimental.get_device_details, gpus)))


def _has_nvidia_card() -> bool:
    driver = any(pathlib.Path(path).exists() for path in ("/proc/driver/nvidia", "/dev/nvidia0"))
    return driver or shutil.which("nvidia-smi") is not None


def _names(gpus: list[tf.config.PhysicalDevice]) -> list[str]:
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return [each.get("device_name", "of unknown name") for each in details]


def _gpu_memory() -> int | None:
    """Bytes of a GPU's memory, which only NVIDIA's own tool reports before any is used."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return min(int(line) for line in done.stdout.split()) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _requested(error: Exception) -> str:
    """What there was no room for, where the error says it."""
    shape = re.search(r"allocating tensor with shape(\[[\d,]*\]) and type (\w+)", str(error))
    number = re.search(r"(?:allocate|allocating) ([\d.]+ ?[KMGT]?i?B(?:ytes)?)", str(error))
    if shape:
        return f" for a tensor of {shape[1]} {shape[2]}"
    return f" for {number[1]}" if number else ""
