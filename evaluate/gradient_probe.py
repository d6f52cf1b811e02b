"""The paper's probes by stochastic gradient descent: linear (Table 2) and MLP (section 4.3).

The heads of all layers are trained in one pass by SGD with momentum, and measured on the
validation split after every epoch. A run that is killed goes on from its last checkpoint and ends
with the weights, and the rows of metrics.csv, of a run that was not.
"""

import contextlib
import json
import os
import time
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from etils import epath
from tqdm import tqdm

from evaluate.heads import Heads
from evaluate.objective import scores_by_example
from evaluate.protocols import Protocol, steps_per_epoch
from evaluate.representations import Representations
from evaluate.training_examples import AugmentedExamples, Batch, CachedExamples
from training import interruption, schedule
from training.checkpoints import Checkpoints
from training.metrics_file import MetricsFile
from training.momentum import Momentum
from training.run_directory import write_whole


class GradientProbe:
    """Trains the heads of all layers, with checkpoints, metrics and a progress bar.

    Args:
        protocol: see `evaluate.protocols`.
        training: the examples to train on.
        validation: the representations to measure on, those of all layers.
        num_classes: number of classes, at least 2.
        strategy: what the steps run on.
        workdir: the run directory; gets `metrics.csv` and `checkpoints/`.
        source: what the examples are of, as JSON can hold it: checkpoints of others are deleted.
        seed: of the order, the crops, the initial kernels and dropout.
        checkpoint_every_steps: steps between two checkpoints.

    Raises:
        ValueError: fewer examples than a batch, features that are not finite, labels that do not
            fit, a schedule that is none, or checkpoints that are all damaged.
    """

    def __init__(
        self,
        protocol: Protocol,
        training: CachedExamples | AugmentedExamples,
        validation: Representations,
        *,
        num_classes: int,
        strategy: tf.distribute.Strategy,
        workdir: epath.Path,
        source: dict[str, Any] | None = None,
        seed: int = 0,
        checkpoint_every_steps: int = 500,
    ) -> None:
        self.steps_per_epoch = steps_per_epoch(protocol, training.size)
        self.protocol = protocol
        self.training = training
        self.validation = CachedExamples(validation, num_classes)
        self.num_classes = num_classes
        self.strategy = strategy
        self.seed = seed
        self.checkpoint_every_steps = checkpoint_every_steps
        self.total_steps = self.steps_per_epoch * protocol.epochs
        self.layers = list(validation.layers)
        replicas = strategy.num_replicas_in_sync
        all_of_them = -(-self.validation.size // replicas) * replicas
        validation_batch = min(protocol.train_batch_size, all_of_them)
        self.validation_steps = -(-self.validation.size // validation_batch)
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
                protocol.learning_rate, self.steps_per_epoch, decay_epochs=protocol.decay_epochs
            )
            self.optimizer = Momentum(rate, momentum=protocol.momentum)
            self.optimizer.build(self.heads.variables)
            # Sums of the epoch's losses. They are part of the checkpoint, so that a row of
            # metrics.csv does not depend on where the run was restarted.
            self.loss_sums = {layer: tf.Variable(0.0) for layer in self.layers}
        state = tf.train.Checkpoint(
            heads=[variable.value for variable in self.heads.variables],
            optimizer=[variable.value for variable in self.optimizer.variables],
            loss_sums=self.loss_sums,
        )
        self.checkpoints = Checkpoints(_directory_for(source or {}, workdir), state)
        if self.checkpoints.restore() is not None:
            tqdm.write(f"Continuing at step {self.step} of {self.total_steps}.")
        by_layer = ("loss", "val_loss", "val_top1", "val_top5")
        self.metrics_file = MetricsFile(
            workdir / "metrics.csv",
            [
                *("step", "epoch", "learning_rate"),
                *(f"{name}_{layer}" for name in by_layer for layer in self.layers),
            ],
            self.step,
        )

    @property
    def step(self) -> int:
        """Updates made so far."""
        return int(self.optimizer.iterations.numpy())

    def run(self) -> dict[str, dict[str, object]]:
        """Trains to the end of the last epoch.

        Returns:
            By layer its row of results, measured on the validation representations.

        Raises:
            ValueError: all images of a batch were unreadable.
            FloatingPointError: the loss of a layer is not finite; names the layer.
            OSError: a checkpoint or a row of metrics could not be written.
            Interrupted: a signal came; the state is saved.
        """
        started = time.perf_counter()
        protocol = self.protocol
        bar = tqdm(
            total=self.total_steps * protocol.train_batch_size,
            initial=self.step * protocol.train_batch_size,
            unit=" examples",
            desc=" ".join(self.layers),
            smoothing=0.02,
            mininterval=1.0,
        )
        first = self.step + 1
        with bar, contextlib.ExitStack() as stack:
            batches = iter(self._training_batches()) if first <= self.total_steps else None
            for step in range(first, self.total_steps + 1):
                if (step - 1) % self.steps_per_epoch == 0:
                    for variable in self.loss_sums.values():
                        variable.assign(0.0)
                with self.training.unreadable.explained(protocol.train_batch_size):
                    self._train_step(next(batches))
                if step == first:
                    # Before, a signal may end the run at once, and tracing takes long.
                    stack.enter_context(interruption.postponed())
                bar.update(protocol.train_batch_size)
                if step % self.steps_per_epoch == 0:
                    row = self._row(step)
                    self.metrics_file.append(row)
                    best = max(row[f"val_top1_{layer}"] for layer in self.layers)
                    bar.set_postfix(val_top1=f"{best:.3f}", refresh=False)
                if step % self.checkpoint_every_steps == 0 or step == self.total_steps:
                    self._save(step)
                self.checkpoints.stop_if_asked(step, self._save)
        self.training.unreadable.warn()
        return self._results(time.perf_counter() - started)

    def validate(self) -> dict[str, tuple[float, float, float]]:
        """By layer top-1, top-5 in [0, 1] and mean cross-entropy of the validation examples."""
        totals = {layer: np.zeros(3) for layer in self.layers}
        for _ in range(self.validation_steps):
            batch = next(self.validation_batches)
            for layer, sums in self._validation_step(batch).items():
                totals[layer] += sums.numpy()
        means = {layer: total / self.validation.size for layer, total in totals.items()}
        return {layer: tuple(float(value) for value in mean) for layer, mean in means.items()}

    def _training_batches(self) -> tf.distribute.DistributedDataset:
        return self.strategy.distribute_datasets_from_function(
            lambda context: self.training.batches(
                context,
                batch_size=self.protocol.train_batch_size,
                epochs=self.protocol.epochs,
                seed=self.seed,
                start_step=self.step,
            )
        )

    @tf.function
    def _train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        losses = self.strategy.run(self._replica_step, (batch,))
        means = {
            layer: self.strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for layer, value in losses.items()
        }
        for layer, mean in means.items():
            self.loss_sums[layer].assign_add(mean)
        return means  # Nobody reads it, but only a function with an output is optimised.

    def _replica_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One update of all heads; the losses, without the penalty, of the replica's part."""
        features = self.training.features(batch)
        with tf.GradientTape() as tape:
            losses, penalties = self.heads.losses(
                features, batch["label"], dropout_step=self.optimizer.iterations
            )
            # The optimiser adds up the gradients of the replicas.
            objective = tf.add_n([*losses.values(), *penalties.values()])
            objective /= self.strategy.num_replicas_in_sync
        variables = self.heads.variables
        self.optimizer.apply(tape.gradient(objective, variables), variables)
        return losses

    @tf.function
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

    def _row(self, step: int) -> dict[str, float]:
        self._check_finite(step)
        row = {
            "step": step,
            "epoch": step / self.steps_per_epoch,
            "learning_rate": float(self.optimizer.learning_rate),
        }
        row |= {f"loss_{layer}": loss for layer, loss in self._epoch_losses().items()}
        for layer, (top1, top5, loss) in self.validate().items():
            row |= {f"val_top1_{layer}": top1, f"val_top5_{layer}": top5, f"val_loss_{layer}": loss}
        return row

    def _epoch_losses(self) -> dict[str, float]:
        """By layer the mean loss of a whole epoch, at its end."""
        return {
            layer: float(variable.numpy()) / self.steps_per_epoch
            for layer, variable in self.loss_sums.items()
        }

    def _save(self, step: int) -> None:
        self._check_finite(step)
        self.checkpoints.save(step)

    def _check_finite(self, step: int) -> None:
        for layer, variable in self.loss_sums.items():
            if not np.isfinite(variable.numpy()):
                raise FloatingPointError(
                    f"the loss of layer {layer} is not finite at step {step} (or in its epoch "
                    "before it); try a smaller --learning_rate, or --layers without it"
                )

    def _results(self, seconds: float) -> dict[str, dict[str, object]]:
        train_losses = self._epoch_losses()
        for layer, loss in train_losses.items():
            if loss > np.log(self.num_classes) * 1.05:
                logging.warning(
                    "layer %s ended with a loss of %.3g, more than guessing has (%.3g): the "
                    "learning rate is too large for its features, try a smaller --learning_rate",
                    layer,
                    loss,
                    np.log(self.num_classes),
                )
        return {
            layer: {
                "features": self.heads.features[layer],
                "top1": top1,
                "top5": top5,
                "loss": loss,
                "l2": self.heads.l2[layer],
                "train_loss": train_losses[layer],
                "updates": self.step,
                "epochs": self.protocol.epochs,
                "seconds": seconds,
            }
            for layer, (top1, top5, loss) in self.validate().items()
        }


def _directory_for(source: dict[str, Any], workdir: epath.Path) -> epath.Path:
    """The directory for checkpoints; emptied of those that were made of other examples."""
    directory = workdir / "checkpoints"
    note = directory / "source.json"
    text = json.dumps(source, sort_keys=True)
    if directory.exists():
        known = os.path.isfile(note) or "://" in os.fspath(note)
        if not (known and note.exists() and note.read_bytes() == text.encode()):
            if tf.io.gfile.glob(str(directory / "ckpt-*")):
                logging.warning(
                    "the checkpoints in %s are of other examples, or %s is damaged: the probe "
                    "starts anew",
                    directory,
                    note.name,
                )
            directory.rmtree()
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(note, text)
    return directory
