"""Sums of a run's metrics since the last row of metrics.csv, kept on the devices."""

import tensorflow as tf

from pretext.trainer import Metrics


class MetricSums:
    """What steps add up to; reading it waits for the devices, adding to it does not.

    Make it in the strategy's scope.

    Args:
        names: of the metrics, `loss` among them.
    """

    def __init__(self, names: list[str]) -> None:
        # Part of the checkpoint, so that a row does not depend on where a run was restarted.
        self.variables = {name: tf.Variable(0.0) for name in ("steps", *names)}
        # How many of the steps had a finite loss: once one has not, the sum stays so.
        self._finite_steps = tf.Variable(0.0)

    def add(self, metrics: Metrics) -> None:
        """Adds a step's metrics, scalars by name; to be called inside of a `tf.function`."""
        self.variables["steps"].assign_add(1.0)
        for name, value in metrics.items():
            self.variables[name].assign_add(value)
        finite = tf.math.is_finite(self.variables["loss"])
        self._finite_steps.assign_add(tf.cast(finite, tf.float32))

    def restored(self) -> None:
        """Call this after the variables were restored; only finite sums are ever saved."""
        self._finite_steps.assign(self.variables["steps"])

    def reset(self) -> None:
        """Starts a new row."""
        for variable in (*self.variables.values(), self._finite_steps):
            variable.assign(0.0)

    @property
    def steps(self) -> int:
        """Steps since the last row."""
        return int(self.variables["steps"].numpy())

    @property
    def finite_steps(self) -> int:
        """How many of `steps`, the first ones, had a finite loss."""
        return int(self._finite_steps.numpy())

    def means(self) -> dict[str, float]:
        """The means over `steps`, by name."""
        names = [name for name in self.variables if name != "steps"]
        return {name: float(self.variables[name].numpy() / self.steps) for name in names}
