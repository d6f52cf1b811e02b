"""Workers that are threads of this process, and add up arrays without a network."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from training.between_workers import Workers

Result = TypeVar("Result")


def together(count: int, work: Callable[[Workers], Result]) -> list[Result]:
    """What each of `count` workers makes of `work`, in their order."""
    barrier = threading.Barrier(count, timeout=60)
    added: list[np.ndarray] = [np.empty(0)] * count

    def run(index: int) -> Result:
        def add(array: np.ndarray) -> np.ndarray:
            assert array.size, "a sum of nothing"
            added[index] = array
            barrier.wait()
            assert len({(each.shape, each.dtype) for each in added}) == 1, "the same call"
            total = np.sum(added, axis=0, dtype=array.dtype)
            barrier.wait()
            return total

        try:
            return work(Workers(index, count, add))
        except BaseException:
            barrier.abort()  # The others do not wait for it.
            raise

    with ThreadPoolExecutor(count) as pool:
        outcomes = [pool.submit(run, index) for index in range(count)]
    errors = [outcome.exception() for outcome in outcomes if outcome.exception()]
    # Whoever waited for the one that failed fails too, and says nothing of why.
    for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error
    return [outcome.result() for outcome in outcomes]
