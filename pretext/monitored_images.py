"""A fixed part of a split, and what a network that is being trained makes of it.

The representations are those that the network's export would give (`pretext.export`): the task's
own normalisation, the patches of the patch tasks, and pooled as `eval.py` pools them. Only the
arithmetic is the training's (`--precision`).
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from data import images as host
from data import pipeline
from data.records import Record, Records
from evaluate import pooling
from pretext import colour, random_cuts, replicas
from pretext.patch_task import PatchTask
from pretext.random_cuts import RandomCut
from pretext.task import Batch, PretextTask
from pretext.trainer import PretextTrainer


@dataclasses.dataclass(frozen=True)
class Whole:
    """The view that a probe would measure, alone: float32, (1, S, S, 3)."""

    view: host.CentralCrop

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return self.view(encoded, seed)[None]


@dataclasses.dataclass(frozen=True)
class WholeAndTwoCuts:
    """That view and two of the training's augmentations at its size: float32, (3, S, S, 3).

    Attributes:
        view: what a probe would measure.
        cut: makes a random view.
    """

    view: host.CentralCrop
    cut: RandomCut

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        cut = tf.function(self.cut, autograph=False)  # Traced once for both.
        cut_seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        draws_seed = tf.random.experimental.stateless_fold_in(seed, 2)
        draws = tf.unstack(tf.random.stateless_uniform([2, colour.DRAWS], draws_seed))
        cuts = [cut(encoded, *each) for each in zip(cut_seeds, draws, strict=True)]
        return tf.stack([self.view(encoded, seed), *cuts])


def whole_and_two_cuts(task: PretextTask) -> WholeAndTwoCuts:
    """What a task's images are monitored in: cut at random as in its training."""
    view, trained = task.eval_view, task.train_view
    if isinstance(trained, host.Views):
        trained = trained.view
    if isinstance(trained, host.InceptionCrop):
        return WholeAndTwoCuts(view, random_cuts.inception(view.crop_size))
    cut = random_cuts.crop(view.resize_size, view.crop_size, flip=trained.flip)
    return WholeAndTwoCuts(view, cut)


def in_memory(records: Records) -> Records:
    """The same records, in memory after one pass over them: a stream of few begins at once."""
    with records.explained():
        entries = list(records.entries())
    columns = {name: tf.stack([entry[name] for entry in entries]) for name in entries[0]}
    return dataclasses.replace(
        records, entries=lambda: tf.data.Dataset.from_tensor_slices(columns), spans=()
    )


class MonitoredImages:
    """Images, and the representations that a trainer's network has of them.

    Args:
        trainer: whose network.
        strategy: what it is trained on; all of its replicas take part.
        records: the images.
        view: makes V views of an image, float32, (V, S, S, 3).
        batch_size: images that all replicas together pass through the network at a time; a
            multiple of their number.
    """

    def __init__(
        self,
        trainer: PretextTrainer,
        strategy: tf.distribute.Strategy,
        records: Records,
        view: host.View,
        batch_size: int,
    ) -> None:
        self.trainer = trainer
        self.strategy = strategy
        self.records = records
        self.view = view
        self.batch_size = batch_size

    def represented(
        self, safe_point: Callable[[], None]
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The representations of all images that can be read, the same on every machine.

        Args:
            safe_point: called between batches.

        Returns:
            By layer float32 (V, N, D); and the labels, int64 (N,), -1 where there are none.
        """
        parts: list[dict[str, np.ndarray]] = []
        for _ in range(-(-self.records.size // self.batch_size)):
            batch = next(self._stream)
            outputs = {name: value.numpy() for name, value in self._step(batch).items()}
            valid = outputs.pop("valid") > 0
            parts.append({name: value[valid] for name, value in outputs.items()})
            safe_point()
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        labels = joined.pop("label").astype(np.int64)
        return {name: np.moveaxis(value, 1, 0).copy() for name, value in joined.items()}, labels

    @tf.function(autograph=False)
    def _step(self, batch: Batch) -> dict[str, tf.Tensor]:
        def of_all(batch: Batch) -> dict[str, tf.Tensor]:
            outputs = self._of_replica(batch)
            return {name: replicas.gather(value) for name, value in outputs.items()}

        results = self.strategy.run(of_all, (batch,))
        first = self.strategy.experimental_local_results
        return {name: first(value)[0] for name, value in results.items()}

    def _of_replica(self, batch: Batch) -> dict[str, tf.Tensor]:
        images, valid = batch["image"], batch["valid"]
        views = images.shape[1]
        # By rounding, the mean over an area can exceed its largest pixel.
        pictures = tf.minimum(tf.reshape(images, (-1, *images.shape[2:])) / 255.0, 1.0)
        outputs = {"valid": valid, "label": tf.cast(batch["label"], tf.float32)}
        for layer, features in _pooled(self.trainer, pictures).items():
            features = tf.reshape(tf.cast(features, tf.float32), (-1, views, features.shape[-1]))
            # What the network makes of a filler must not count, not even where it is NaN.
            outputs[layer] = tf.math.multiply_no_nan(features, valid[:, None, None])
        return outputs

    @functools.cached_property
    def _stream(self) -> Iterator[Batch]:
        """Without end: to begin a stream of views takes seconds, to go on with one nothing."""
        return iter(self.strategy.distribute_datasets_from_function(self._batches))

    def _batches(self, context: tf.distribute.InputContext) -> tf.data.Dataset:
        def needed(batch: Record) -> Record:
            return {name: batch[name] for name in ("image", "label", "valid")}

        batches = pipeline.evaluation_batches(
            self.records,
            self.view,
            batch_size=self.batch_size,
            shard=pipeline.Shard(context.input_pipeline_id, context.num_input_pipelines),
            replicas=context.num_replicas_in_sync,
        )
        return batches.map(needed).repeat()


def _pooled(trainer: PretextTrainer, pictures: tf.Tensor) -> dict[str, tf.Tensor]:
    """The representations of images in [0, 1], by layer (N, D), as `eval.py` pools them."""
    task, backbone = trainer.task, trainer.backbone
    if isinstance(task, PatchTask):
        layers = task.represent_patches(backbone, pictures, training=False)
        return {layer: pooling.pool_patches(maps) for layer, maps in layers.items()}
    layers = task.represent(backbone, pictures, training=False)
    return {layer: pooling.pool(maps) for layer, maps in layers.items()}
