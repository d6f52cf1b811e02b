"""All that a run goes on from: weights, optimiser, step, and sums for the row of metrics begun."""

import tensorflow as tf
from etils import epath

from pretext.metric_sums import MetricSums
from pretext.trainer import PretextTrainer
from training.checkpoints import Checkpoints


class TrainingState:
    """The state of a run at a step, its checkpoints, and what must hold of it.

    Args:
        trainer: with a built optimiser.
        strategy: what its variables live on.
        directory: of the checkpoints.
        is_chief: whether this process writes them.
    """

    def __init__(
        self,
        trainer: PretextTrainer,
        strategy: tf.distribute.Strategy,
        directory: epath.Path,
        is_chief: bool,
    ) -> None:
        self.trainer = trainer
        self.strategy = strategy
        with strategy.scope():
            self.sums = MetricSums(trainer.metric_names)
        variables = {
            "weights": [variable.value for variable in trainer.variables],
            "optimizer": [variable.value for variable in trainer.optimizer.variables],
            "sums": self.sums.variables,
        }
        if trainer.loss_scale is not None:
            variables["loss_scale"] = trainer.loss_scale.variables
        self.checkpoints = Checkpoints(directory, tf.train.Checkpoint(**variables), writes=is_chief)

    @property
    def step(self) -> int:
        """Updates made so far."""
        return int(self.trainer.optimizer.iterations.numpy())

    def restore(self) -> bool:
        """Goes back to the last whole checkpoint; whether there is one.

        Raises:
            ValueError: there are checkpoints and none is whole, or the machines that take part
                have not all restored the same one.
        """
        found = self.checkpoints.restore() is not None
        if found:
            self.sums.restored()
        self.check_same_step()
        return found

    def check_same_step(self) -> None:
        """Raises a ValueError unless all machines have restored the same checkpoint."""
        iterations = self.trainer.optimizer.iterations
        own = self.strategy.run(lambda: tf.identity(iterations.value))
        total = self.strategy.reduce("SUM", own, axis=None)
        if int(total) != self.step * self.strategy.num_replicas_in_sync:
            raise ValueError(
                f"this machine would go on at step {self.step} and others elsewhere: --workdir "
                "must be one directory that all machines see"
            )

    def save(self, step: int) -> None:
        """Writes a checkpoint of the state after a step, which is this one.

        Raises:
            FloatingPointError: the loss or a weight is not finite.
            OSError: it could not be written; those before are as they were.
        """
        self.check(step)
        # Not the states of random generators, which are integers.
        weights = [v for v in self.trainer.variables if v.dtype == "float32"]
        if not tf.reduce_all([tf.reduce_all(tf.math.is_finite(weight)) for weight in weights]):
            self._not_finite(f"a weight is not finite after step {step}")
        self.checkpoints.save(step)

    def stop_if_asked(self) -> None:
        """At a point where the state may be saved: does so and stops, if a signal came.

        Raises:
            Interrupted: one came.
        """
        self.checkpoints.stop_if_asked(self.step, self.save)

    def check(self, step: int) -> None:
        """Raises a FloatingPointError if a loss since the last row of metrics was not finite."""
        if self.sums.finite_steps < self.sums.steps:
            first = step - self.sums.steps + self.sums.finite_steps + 1
            self._not_finite(f"the loss is not finite at step {first}")
        loss_scale = self.trainer.loss_scale
        if loss_scale is not None and loss_scale.scale.numpy() < 1:
            raise FloatingPointError(
                f"gradients do not fit into float16's range at step {step}; "
                "try --precision=bfloat16 or a smaller --learning_rate"
            )

    def _not_finite(self, what: str) -> None:
        last = self.checkpoints.latest or "none yet"
        raise FloatingPointError(
            f"{what}; last good checkpoint: {last}; try a smaller --learning_rate"
        )
