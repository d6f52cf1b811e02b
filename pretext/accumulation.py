"""Gradient accumulation: one update from several micro-batches, one after the other."""

import tensorflow as tf

from pretext.trainer import Metrics, PretextTrainer


class Accumulator:
    """Sums of gradients and metrics over the micro-batches of an update, on every replica.

    It is empty between updates, so a checkpoint need not hold it.

    Args:
        trainer: whose gradients; the accumulator too is made in the strategy's scope.
        micro_batches: how many make an update.
    """

    def __init__(self, trainer: PretextTrainer, micro_batches: int) -> None:
        self.micro_batches = micro_batches

        # With aggregation "none", each replica adds to variables of its own.
        def zeros(shape: tuple[int, ...]) -> tf.Variable:
            return tf.Variable(
                tf.zeros(shape), trainable=False, aggregation=tf.VariableAggregation.NONE
            )

        self.gradients = [zeros(variable.shape) for variable in trainer.trainable_variables]
        self.metrics = {name: zeros(()) for name in trainer.metric_names}

    def add(self, gradients: list[tf.Tensor], metrics: Metrics) -> None:
        """Adds what `PretextTrainer.gradients` returned for a micro-batch."""
        for total, gradient in zip(self.gradients, gradients, strict=True):
            total.assign_add(gradient)
        for name, value in metrics.items():
            self.metrics[name].assign_add(value)

    def take(self) -> tuple[list[tf.Tensor], Metrics]:
        """The means over the micro-batches, for `PretextTrainer.update`; empties the sums."""
        gradients = [total / self.micro_batches for total in self.gradients]
        metrics = {name: total / self.micro_batches for name, total in self.metrics.items()}
        for total in (*self.gradients, *self.metrics.values()):
            total.assign(tf.zeros_like(total))
        return gradients, metrics
