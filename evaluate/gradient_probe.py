"""The paper's probes by stochastic gradient descent: linear (Table 2) and MLP (section 4.3).

The heads of all layers are trained together by SGD with momentum, and measured on the validation
split after every epoch, in the loop that pretraining runs in (`training.loop`).
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from etils import epath

from evaluate.objective import scores_by_example
from evaluate.probe_heads import Heads, Share
from evaluate.protocols import Protocol, steps_per_epoch
from evaluate.representations import Representations
from evaluate.training_examples import AugmentedExamples, Batch, CachedExamples
from training import between_workers, schedule
from training.between_workers import Workers
from training.loop import Loop, Settings
from training.metrics import MetricSums
from training.momentum import Momentum
from training.run_directory import write_whole

# Part of what checkpoints are noted to be of: those with other variables are not taken over.
FORMAT = 2


class GradientProbe:
    """A `training.loop.Learner` that trains the heads of all layers.

    Args:
        protocol: see `evaluate.protocols`.
        training: the examples to train on.
        validation: the representations to measure on, those of all layers.
        num_classes: number of classes, at least 2.
        strategy: what the steps run on.
        workers: each has its own part of the validation representations, and of the training ones.
        seed: of the order, the crops, the initial kernels and dropout.
        checkpoint_every_steps: steps between two checkpoints.

    Raises:
        ValueError: fewer examples than a batch, features that are not finite, labels that do not
            fit, or an invalid schedule.
    """

    unit = "examples"

    def __init__(
        self,
        protocol: Protocol,
        training: CachedExamples | AugmentedExamples,
        validation: Representations,
        *,
        num_classes: int,
        strategy: tf.distribute.Strategy,
        workers: Workers = between_workers.ALONE,
        seed: int = 0,
        checkpoint_every_steps: int = 500,
    ) -> None:
        steps = steps_per_epoch(protocol, training.size)
        self.settings = Settings(
            batch_size=protocol.train_batch_size,
            steps_per_epoch=steps,
            epochs=protocol.epochs,
            log_every_steps=steps,
            checkpoint_every_steps=checkpoint_every_steps,
        )
        self.protocol = protocol
        self.training = training
        self.validation = CachedExamples(validation, num_classes, workers=workers)
        self.strategy = strategy
        self.workers = workers
        self.seed = seed
        self.layers = list(validation.layers)
        self.name = " ".join(self.layers)
        by_layer = ("loss", "val_loss", "val_top1", "val_top5")
        self.columns = [f"{name}_{layer}" for name in by_layer for layer in self.layers]
        self.unreadable = (training.unreadable,)
        replicas = strategy.num_replicas_in_sync
        all_of_them = -(-self.validation.size // replicas) * replicas
        validation_batch = min(protocol.train_batch_size, all_of_them)
        self.validation_steps = self.validation.steps_in_order(validation_batch)
        # One iterator for all epochs: making one takes as long as measuring a small data set.
        self.validation_batches = iter(
            strategy.distribute_datasets_from_function(
                lambda context: self.validation.in_order(context, batch_size=validation_batch)
            )
        )

        with strategy.scope():
            self.heads = Heads(
                {layer: features.shape[1] for layer, features in validation.layers.items()},
                num_classes,
                hidden=protocol.hidden,
                dropout=protocol.dropout,
                l2=protocol.l2,
                seed=seed,
            )
            rate = schedule.in_epochs(
                protocol.learning_rate, steps, decay_epochs=protocol.decay_epochs
            )
            self.optimizer = Momentum(rate, momentum=protocol.momentum)
            self.optimizer.build(self.heads.variables)
            self.sums = MetricSums([f"loss_{layer}" for layer in self.layers])
        self.state = {"heads": [variable.value for variable in self.heads.variables]}

    def batches(self, start_step: int) -> Iterator[Batch]:
        """The training batches after a step."""
        return iter(
            self.strategy.distribute_datasets_from_function(
                lambda context: self.training.batches(
                    context,
                    batch_size=self.protocol.train_batch_size,
                    epochs=self.protocol.epochs,
                    seed=self.seed,
                    start_step=start_step,
                )
            )
        )

    def update(self, batches: Iterator[Batch], step: int) -> None:
        """One update of all heads.

        Raises:
            ValueError: all images of a batch were unreadable.
        """
        with self.training.unreadable.explained(self.protocol.train_batch_size):
            self._train_step(next(batches))

    def means(self) -> dict[str, float]:
        """See `training.loop.Learner`."""
        return self.sums.means(np.float64)

    def validate(self, safe_point: Callable[[], None]) -> dict[str, float]:
        """By column top-1, top-5 in [0, 1] and mean cross-entropy of the validation examples."""
        totals = {layer: np.zeros(3) for layer in self.layers}
        for _ in range(self.validation_steps):
            batch = next(self.validation_batches)
            for layer, sums in self._validation_step(batch).items():
                totals[layer] += sums.numpy()
            safe_point()
        return {
            f"val_{name}_{layer}": float(value)
            for layer, total in totals.items()
            for name, value in zip(
                ("top1", "top5", "loss"), total / self.validation.size, strict=True
            )
        }

    def divergence(self, step: int) -> tuple[str, str] | None:
        """See `training.loop.Learner`; names the layer."""
        first = self.sums.first_not_finite(step)
        if first is None:
            return None
        layer = next(
            layer
            for layer in self.layers
            if not np.isfinite(self.sums.variables[f"loss_{layer}"].numpy())
        )
        return (
            f"the loss of layer {layer} is not finite at step {first}",
            "a smaller --learning_rate, or --layers without it",
        )

    def shown(self, row: Mapping[str, float]) -> dict[str, str]:
        """The best layer's accuracy."""
        return {"val_top1": f"{max(row[f'val_top1_{layer}'] for layer in self.layers):.3f}"}

    @tf.function(autograph=False)
    def _train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        losses = self.strategy.run(self._replica_step, (batch,))
        means = {
            layer: self.strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for layer, value in losses.items()
        }
        self.sums.add({f"loss_{layer}": mean for layer, mean in means.items()})
        return means  # Nobody reads it, but only a function with an output is optimised.

    def _replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One update of all heads; the losses, without the penalty, of the replica's part."""
        features = self.training.features(batch)
        share = None
        if self.workers.count > 1 and "position" in batch:
            share = Share(batch["position"], self.protocol.train_batch_size)
        with tf.GradientTape() as tape:
            losses, penalties = self.heads.losses(
                features, batch["label"], dropout_step=self.optimizer.iterations, share=share
            )
            # The optimiser adds up the gradients of the replicas.
            objective = tf.add_n([*losses.values(), *penalties.values()])
            objective /= self.strategy.num_replicas_in_sync
        variables = self.heads.variables
        self.optimizer.apply(tape.gradient(objective, variables), variables)
        return losses

    @tf.function(autograph=False)
    def _validation_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        sums = self.strategy.run(self._replica_sums, (batch,))
        return {
            layer: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None)
            for layer, value in sums.items()
        }

    def _replica_sums(self, batch: Batch) -> dict[str, tf.Tensor]:
        features = self.validation.features(batch)
        return {
            layer: tf.linalg.matvec(
                scores_by_example(self.heads.logits(layer, features[layer]), batch["label"]),
                batch["valid"],
            )
            for layer in self.layers
        }


def resume(probe: GradientProbe, workdir: epath.Path, source: dict[str, Any] | None = None) -> Loop:
    """The loop that trains a probe, at the last checkpoint if there is one.

    Args:
        probe: see `GradientProbe`.
        workdir: the run directory; gets `metrics.csv` and `checkpoints/`.
        source: what the examples are of, as JSON can hold it: checkpoints of others are deleted.

    Raises:
        ValueError: checkpoints that are all damaged.
        OSError: the directory cannot be written to.
    """
    if probe.workers.is_first:
        _prepare_checkpoints({**(source or {}), "format": FORMAT}, workdir / "checkpoints")
    probe.workers.wait_for_all()
    return Loop(probe, probe.strategy, workdir)


def run(loop: Loop) -> dict[str, dict[str, object]]:
    """Trains a probe to the end of the last epoch.

    Args:
        loop: from `resume`.

    Returns:
        By layer its row of results, measured on the validation representations.

    Raises:
        As `training.loop.Loop.run`.
    """
    started = time.perf_counter()
    probe: GradientProbe = loop.learner
    row = loop.run()
    seconds = time.perf_counter() - started
    guessing = np.log(probe.heads.num_classes)
    for layer in probe.layers:
        if row[f"loss_{layer}"] > guessing * 1.05:
            logging.warning(
                "layer %s ended with a loss of %.3g, more than guessing has (%.3g): the "
                "learning rate is too large for its features, try a smaller --learning_rate",
                layer,
                row[f"loss_{layer}"],
                guessing,
            )
    return {
        layer: {
            "features": probe.heads.features[layer],
            "top1": row[f"val_top1_{layer}"],
            "top5": row[f"val_top5_{layer}"],
            "loss": row[f"val_loss_{layer}"],
            "l2": probe.heads.l2[layer],
            "train_loss": row[f"loss_{layer}"],
            "updates": loop.step,
            "epochs": probe.protocol.epochs,
            "seconds": seconds,
        }
        for layer in probe.layers
    }


def _prepare_checkpoints(source: dict[str, Any], directory: epath.Path) -> None:
    """Notes in the directory for checkpoints what they are of, and deletes those of others."""
    note = directory / "source.json"
    text = json.dumps(source, sort_keys=True)
    if directory.exists():
        known = os.path.isfile(note) or "://" in os.fspath(note)
        if not (known and note.exists() and note.read_bytes() == text.encode()):
            if tf.io.gfile.glob(str(directory / "ckpt-*")):
                logging.warning(
                    "the checkpoints in %s are of other examples or of another version of the "
                    "program, or %s is damaged: the probe starts anew",
                    directory,
                    note.name,
                )
            directory.rmtree()
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(note, text)
