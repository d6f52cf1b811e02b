"""Whether a network can be trained in this machine's memory, decided before any is allocated.

A machine that runs out of memory may kill this run, or others, without a message.
"""

import concurrent.futures
from collections.abc import Callable

import keras
import numpy as np

from training import devices

# A weight, its gradient and its velocity, in float32.
BYTES_PER_WEIGHT = 3 * 4


def check(build: Callable[[], keras.Model], memory: int | None) -> None:
    """Counts a model's weights without making them.

    Args:
        build: makes the model.
        memory: bytes available; None if unknown.

    Raises:
        MemoryError: weights, gradients and velocities alone need more.
    """
    if memory is None:
        return
    # In a thread of its own, because Keras keeps a list of variables to create later by thread.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        weights = thread.submit(_count, build).result()
    if weights * BYTES_PER_WEIGHT > memory:
        raise devices.OutOfMemory(
            f"the network has {weights:,} weights, and training it takes "
            f"{devices.size(weights * BYTES_PER_WEIGHT)} even without activations: more than the "
            f"{devices.size(memory)} available; use a smaller --widening_factor, or smaller "
            "layers of the task"
        )


def _count(build: Callable[[], keras.Model]) -> int:
    with keras.StatelessScope(initialize_variables=False):
        return sum(int(np.prod(weight.shape, dtype=object)) for weight in build().weights)
