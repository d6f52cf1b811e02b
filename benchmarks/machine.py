"""The machine that a benchmark runs on: its name, and what it can do at best."""

import os
import pathlib
import platform
import re
import subprocess
import time
from collections.abc import Callable


def cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> str:
    """CPU model and cores, and the GPU where there is one."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    named = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    model = named[1].strip() if named else platform.processor() or platform.machine()
    count = cores()
    number = "1 core" if count == 1 else f"{count} cores"
    return ", ".join([model, number, *filter(None, [gpu()])])


def gpu() -> str | None:
    """The first GPU's name, as NVIDIA's own tool reports it."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return None
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return next((line.strip() for line in done.stdout.splitlines() if line.strip()), None)


def fastest(function: Callable[[], object], repeats: int = 10) -> float:
    """The smallest time of a call, in seconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def product_rate(dtype: str = "float32", size: int = 3000) -> float:
    """Multiplications and additions per second of a large square matrix product."""
    import tensorflow as tf

    square = tf.cast(tf.random.normal((size, size)), dtype)
    # One number, so that no time goes into copying the product.
    return 2 * size**3 / fastest(lambda: tf.matmul(square, square)[0, 0].numpy())


def read_rate() -> float:
    """Bytes per second at which memory is read, far more of it than the caches hold."""
    import tensorflow as tf

    long = tf.random.normal((64 * 2**20,))
    return 4 * 64 * 2**20 / fastest(lambda: tf.reduce_sum(long).numpy())
