"""A TensorBoard profile of a few steps of a run; docs/devices.md says how to read it."""

import contextlib

import tensorflow as tf

SKIPPED = 10  # steps after a start, until everything is traced, compiled and read ahead
RECORDED = 5


class Profiler:
    """Records steps 11 to 15 after a start, or earlier ones where the run ends before.

    Args:
        step: the run's updates so far.
        last_step: the run's last step.
        directory: TensorBoard's; the profile is written to plugins/profile in it.
    """

    def __init__(self, step: int, last_step: int, directory: str) -> None:
        self.first = max(min(step + SKIPPED, last_step - RECORDED), step) + 1
        self.last = min(self.first + RECORDED - 1, last_step)
        self.directory = directory

    def record(self, step: int) -> contextlib.AbstractContextManager:
        """What to run the step in: it is recorded, if it is one of those."""
        return self._recorded(step) if self.first <= step <= self.last else contextlib.nullcontext()

    @contextlib.contextmanager
    def _recorded(self, step: int) -> None:
        if step == self.first:
            tf.profiler.experimental.start(self.directory)
        with tf.profiler.experimental.Trace("train", step_num=step, _r=1):
            yield
        if step == self.last:
            tf.profiler.experimental.stop()
