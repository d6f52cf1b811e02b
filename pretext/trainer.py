"""One training step, from the batch to the update, for every task, architecture and strategy.

`PretextTrainer` is what a replica does, `Steps` runs it on all of them, in micro-batches if asked.
Nothing here branches in Python on a tensor: AutoGraph, which would take longer than tracing does,
is off.
"""

from collections.abc import Iterator

import keras
import tensorflow as tf

from pretext.precision import LossScale
from pretext.task import Batch, PretextTask
from training import strategies
from training.metrics import MetricSums

Metrics = dict[str, tf.Tensor]


class PretextTrainer(keras.Model):
    """Backbone, head and task as one Keras model with its own `train_step` and `test_step`.

    Both steps work under plain `fit`/`evaluate` on one device and, called through
    `strategy.run`, on any number of replicas: losses are means over the replica's part of the
    batch divided by the number of replicas, because the optimiser sums gradients over them.

    A step has two halves: `gradients`, which a replica does by itself, and `update`, which adds
    up the replicas' gradients. (With synchronised batch normalisation or exemplar's global
    negatives, replicas meet in the first half too.)

    Args:
        task: the pretext task.
        backbone: from `models.build`.
        replicas: how many replicas share a batch.
        loss_scale: for float16, made in the strategy's scope.
    """

    def __init__(
        self,
        task: PretextTask,
        backbone: keras.Model,
        replicas: int = 1,
        loss_scale: LossScale | None = None,
    ) -> None:
        # Of its own it computes the loss alone. (Under mixed_float16, Keras' `compile` would put a
        # second loss scale around the optimiser.)
        super().__init__(name="pretext_trainer", dtype="float32")
        self.task = task
        self.backbone = backbone
        self.head = task.head(backbone.output["pre_logits"].shape[-1])
        self.replicas = replicas
        self.loss_scale = loss_scale
        self.built = True

    @property
    def metric_names(self) -> list[str]:
        """The names of what `train_step` returns."""
        return ["loss", "weight_decay", *(m for m in self.task.metric_names if m != "loss")]

    @property
    def statistics(self) -> list[keras.Variable]:
        """The moving statistics of batch normalisation."""
        return [v for v in self.non_trainable_variables if v.dtype == "float32"]

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The task's logits for its own inputs (`PretextTask.views`)."""
        others = {name: value for name, value in inputs.items() if name != "images"}
        pre_logits = self.backbone(inputs["images"], training=training)["pre_logits"]
        return self.head({"pre_logits": pre_logits, **others}, training=training)

    def train_step(self, batch: Batch) -> Metrics:
        """One update from a batch of `data.pipeline.training_batches`; see `update`."""
        return self.update(*self.gradients(batch))

    def gradients(self, batch: Batch) -> tuple[list[tf.Tensor], Metrics]:
        """The forward and the backward pass over a replica's batch.

        Returns:
            The gradients of the objective, times the loss scale if there is one, by trainable
            variable; and the replica's `loss` (without weight decay), `weight_decay` (its term
            of the loss) and the task's metrics, each a mean over the batch.
        """
        inputs, targets = self.task.views(batch, training=True)
        with tf.GradientTape() as tape:
            logits = self(inputs, training=True)
            loss = self.task.loss(targets, logits)
            weight_decay = tf.add_n(self.losses) if self.losses else tf.zeros([])
            objective = (loss + weight_decay) / self.replicas
            if self.loss_scale is not None:
                objective *= self.loss_scale.scale
        gradients = tape.gradient(objective, self.trainable_variables)
        metrics = self.task.metrics(targets, logits)
        means = {name: tf.reduce_mean(value) for name, value in metrics.items()}
        return gradients, means | {"loss": loss, "weight_decay": weight_decay}

    def update(self, gradients: list[tf.Tensor], metrics: Metrics) -> Metrics:
        """One update of the weights, from what `gradients` returned on all replicas.

        The moving statistics become their mean over the replicas: so a checkpoint and the
        validation do not depend on which replica they look at.

        Returns:
            The metrics' means over the replicas.
        """
        finite = tf.ones([])
        if self.loss_scale is not None:
            gradients, finite = self.loss_scale.unscale(gradients)
        self.optimizer.apply(gradients, self.trainable_variables)
        statistics = self.statistics if self.replicas > 1 else []
        *metric_means, finite = _mean_over_replicas(
            [*metrics.values(), *(v.value for v in statistics), finite]
        )
        for variable, value in zip(statistics, metric_means[len(metrics) :], strict=True):
            variable.assign(value)
        if self.loss_scale is not None:
            self.loss_scale.update(finite)
        return dict(zip(metrics, metric_means, strict=False))

    def test_sums(self, batch: Batch) -> Metrics:
        """The task's metrics on a batch of `data.pipeline.evaluation_batches`.

        Returns:
            The replica's sums over the valid images' examples, and `examples`, their number.
        """
        inputs, targets = self.task.views(batch, training=False)
        metrics = self.task.metrics(targets, self(inputs, training=False))
        examples = tf.shape(next(iter(metrics.values())))[0]
        weights = tf.repeat(batch["valid"], examples // tf.shape(batch["valid"])[0])
        # What the network makes of a filler must not count, not even where it is NaN.
        sums = {
            name: tf.reduce_sum(tf.math.multiply_no_nan(value, weights))
            for name, value in metrics.items()
        }
        return sums | {"examples": tf.reduce_sum(weights)}

    def test_step(self, batch: Batch) -> Metrics:
        """The means over a batch, as Keras' `evaluate` wants them."""
        sums = self.test_sums(batch)
        examples = tf.maximum(sums.pop("examples"), 1.0)
        return {name: value / examples for name, value in sums.items()}


class Steps:
    """A trainer's steps on all replicas, compiled; make it in the strategy's scope.

    Args:
        trainer: compiled with its optimiser.
        strategy: what the steps run on.
        sums: what an update's metrics are added to.
        gradient_accumulation: micro-batches that a replica's part of a batch is computed in.
        jit: whether XLA compiles what a replica does by itself. It cannot compile a sum over
            replicas, except on a TPU, where it compiles the whole step without being asked.
    """

    def __init__(
        self,
        trainer: PretextTrainer,
        strategy: tf.distribute.Strategy,
        sums: MetricSums,
        gradient_accumulation: int = 1,
        jit: bool = False,
    ) -> None:
        self.trainer = trainer
        self.strategy = strategy
        self.sums = sums
        self.gradient_accumulation = gradient_accumulation
        trainer.optimizer.build(trainer.trainable_variables)
        if gradient_accumulation > 1:
            self._accumulator = Accumulator(trainer, gradient_accumulation)
        self._gradients, self._test_sums = trainer.gradients, trainer.test_sums
        if jit and not strategies.compiles_everything(strategy):
            self._gradients = tf.function(trainer.gradients, autograph=False, jit_compile=True)
            self._test_sums = tf.function(trainer.test_sums, autograph=False, jit_compile=True)

    def update(self, batches: Iterator[Batch]) -> None:
        """One update of the weights, from the next batch or micro-batches.

        Args:
            batches: distributed over the replicas.
        """
        if self.gradient_accumulation == 1:
            self._train(next(batches))
            return
        for _ in range(self.gradient_accumulation):
            self._accumulate(next(batches))
        self._apply_accumulated()

    @tf.function(autograph=False)
    def test(self, batch: Batch) -> tf.Tensor:
        """The sums over all replicas, in the order of the task's metrics, and examples last."""

        def sums(batch: Batch) -> tf.Tensor:
            of_replica = self._test_sums(batch)
            names = [*self.trainer.task.metric_names, "examples"]
            return tf.stack([of_replica[name] for name in names])

        return self.strategy.reduce("SUM", self.strategy.run(sums, (batch,)), axis=None)

    # Nobody reads what these three return, but TensorFlow's graph optimiser works backwards from
    # a function's outputs: without any, a step takes 4 % longer.

    @tf.function(autograph=False)
    def _train(self, batch: Batch) -> Metrics:
        def step(batch: Batch) -> Metrics:
            return self.trainer.update(*self._gradients(batch))

        return self._add(self.strategy.run(step, (batch,)))

    @tf.function(autograph=False)
    def _accumulate(self, batch: Batch) -> Metrics:
        def step(batch: Batch) -> Metrics:
            gradients, metrics = self._gradients(batch)
            self._accumulator.add(gradients, metrics)
            return metrics

        return self._of_one_replica(self.strategy.run(step, (batch,)))

    @tf.function(autograph=False)
    def _apply_accumulated(self) -> Metrics:
        def step() -> Metrics:
            return self.trainer.update(*self._accumulator.take())

        return self._add(self.strategy.run(step))

    def _add(self, metrics: Metrics) -> Metrics:
        metrics = self._of_one_replica(metrics)
        self.sums.add(metrics)
        return metrics

    def _of_one_replica(self, metrics: Metrics) -> Metrics:
        first = self.strategy.experimental_local_results
        return {name: first(value)[0] for name, value in metrics.items()}


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


def _mean_over_replicas(values: list[tf.Tensor]) -> list[tf.Tensor]:
    """The mean over replicas of each of some float32 tensors, in one reduction for all of them."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return values
    packed = tf.concat([tf.reshape(value, [-1]) for value in values], axis=0)
    packed = context.all_reduce(tf.distribute.ReduceOp.MEAN, packed)
    parts = tf.split(packed, [value.shape.num_elements() for value in values])
    return [tf.reshape(part, value.shape) for part, value in zip(parts, values, strict=True)]
