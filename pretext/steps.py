"""What the devices compute: one update, and the sums over one batch of a validation."""

from collections.abc import Iterator

import tensorflow as tf

from pretext.accumulation import Accumulator
from pretext.metric_sums import MetricSums
from pretext.task import Batch
from pretext.trainer import Metrics, PretextTrainer
from training import strategies


class Steps:
    """A trainer's steps on all replicas, compiled; make it in the strategy's scope.

    Args:
        trainer: compiled with its optimiser.
        strategy: what the steps run on.
        gradient_accumulation: micro-batches that a replica's part of a batch is computed in.
        jit: whether XLA compiles what a replica does by itself. It cannot compile a sum over
            replicas, except on a TPU, where it compiles the whole step without being asked.
    """

    def __init__(
        self,
        trainer: PretextTrainer,
        strategy: tf.distribute.Strategy,
        gradient_accumulation: int = 1,
        jit: bool = False,
    ) -> None:
        self.trainer = trainer
        self.strategy = strategy
        self.gradient_accumulation = gradient_accumulation
        trainer.optimizer.build(trainer.trainable_variables)
        if gradient_accumulation > 1:
            self._accumulator = Accumulator(trainer, gradient_accumulation)
        self._gradients, self._test_sums = trainer.gradients, trainer.test_sums
        if jit and not strategies.compiles_everything(strategy):
            self._gradients = tf.function(trainer.gradients, jit_compile=True)
            self._test_sums = tf.function(trainer.test_sums, jit_compile=True)

    def update(self, batches: Iterator[Batch], sums: MetricSums) -> None:
        """One update of the weights, from the next batch or micro-batches.

        Args:
            batches: distributed over the replicas.
            sums: what the update's metrics, the same on all replicas, are added to.
        """
        if self.gradient_accumulation == 1:
            self._train(next(batches), sums)
            return
        for _ in range(self.gradient_accumulation):
            self._accumulate(next(batches))
        self._apply_accumulated(sums)

    @tf.function
    def test(self, batch: Batch) -> tf.Tensor:
        """The sums over all replicas, in the order of the task's metrics, and examples last."""

        def sums(batch: Batch) -> tf.Tensor:
            of_replica = self._test_sums(batch)
            names = [*self.trainer.task.metric_names, "examples"]
            return tf.stack([of_replica[name] for name in names])

        return self.strategy.reduce("SUM", self.strategy.run(sums, (batch,)), axis=None)

    # Nobody reads what these three return, but TensorFlow's graph optimiser works backwards from
    # a function's outputs: without any, a step takes 4 % longer.

    @tf.function
    def _train(self, batch: Batch, sums: MetricSums) -> Metrics:
        def step(batch: Batch) -> Metrics:
            return self.trainer.update(*self._gradients(batch))

        return self._add(self.strategy.run(step, (batch,)), sums)

    @tf.function
    def _accumulate(self, batch: Batch) -> Metrics:
        def step(batch: Batch) -> Metrics:
            gradients, metrics = self._gradients(batch)
            self._accumulator.add(gradients, metrics)
            return metrics

        return self._of_one_replica(self.strategy.run(step, (batch,)))

    @tf.function
    def _apply_accumulated(self, sums: MetricSums) -> Metrics:
        def step() -> Metrics:
            return self.trainer.update(*self._accumulator.take())

        return self._add(self.strategy.run(step), sums)

    def _add(self, metrics: Metrics, sums: MetricSums) -> Metrics:
        metrics = self._of_one_replica(metrics)
        sums.add(metrics)
        return metrics

    def _of_one_replica(self, metrics: Metrics) -> Metrics:
        first = self.strategy.experimental_local_results
        return {name: first(value)[0] for name, value in metrics.items()}
