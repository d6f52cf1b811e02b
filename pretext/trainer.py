"""One training step, the same for every task, architecture and strategy."""

import keras
import tensorflow as tf

from pretext import replicas as between_replicas
from pretext.precision import LossScale
from pretext.task import Batch, PretextTask

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
        *metric_means, finite = between_replicas.mean(
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
        # What the network makes of no image must not count, not even where it is no number.
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
