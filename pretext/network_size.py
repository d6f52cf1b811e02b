"""Whether a network can be trained in this machine's memory, told before any of it is taken.

A machine that is asked for more than it has may kill the run, or others, without a word.
"""

import concurrent.futures
from collections.abc import Callable

import keras
import numpy as np

from training import devices

# Weights, gradients and velocities; float32.
BYTES_PER_WEIGHT = 3 * 4


def check(build: Callable[[], keras.Model], memory: int | None) -> None:
    """Counts a model's weights without making them.

    Args:
        build: makes the model.
        memory: bytes that there are; None if that is not known.

    Raises:
        MemoryError: weights, gradients and velocities alone take more.
    """
    if memory is None:
        return
    # In a thread of its own, because Keras keeps a list, by thread, of variables to make later.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        weights = thread.submit(_count, build).result()
    if weights * BYTES_PER_WEIGHT > memory:
        raise devices.OutOfMemory(
            f"the network has {weights:,} weights, and to train it takes "
            f"{devices.size(weights * BYTES_PER_WEIGHT)} without its activations: more than the "
            f"{devices.size(memory)} that there are; use a smaller --widening_factor, or smaller "
            "layers of the task"
        )


def _count(build: Callable[[], keras.Model]) -> int:
    with keras.StatelessScope(initialize_variables=False):
        return sum(int(np.prod(weight.shape, dtype=object)) for weight in build().weights)
