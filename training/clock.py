"""How fast a run goes."""

import time


class Clock:
    """Steps per second between two looks at it, from a given step on."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.time = time.perf_counter()

    def lap(self, step: int) -> float:
        """Steps per second since the last lap."""
        now = time.perf_counter()
        rate = (step - self.step) / (now - self.time)
        self.step, self.time = step, now
        return rate
