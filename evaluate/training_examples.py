"""What the SGD and MLP probes are trained on: batches of representations, by layer.

Either of two sources: representations that were computed once, without augmentation, or images
that are cropped anew in every epoch and go through the frozen network at every step. Both shuffle
anew in every epoch, drop the last, incomplete batch, and make a batch a function of
(seed, epoch, step), so that a run can resume at any step.

Of several machines, each decodes its share of a batch's images. Of representations, each reads
those of a batch's examples that are in its own part: sometimes more, sometimes fewer.
"""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from data import pipeline
from data.images import RandomCrop
from data.records import Records
from data.unreadable import UnreadableImages
from evaluate.features import check_labels, feature_means
from evaluate.representations import ExtractOptions, Representations, represent
from evaluate.saved_models import SavedModel
from training import between_workers
from training.between_workers import Workers

# Each holds a batch: of the paper's 2048 examples, five layers of 9000 values take 370 MB.
READERS = 4

Batch = dict[str, tf.Tensor]


class CachedExamples:
    """The rows of representations on disk or in memory, as `representations.extract` gives them.

    Args:
        representations: of one split, of all layers that are probed.
        num_classes: number of classes.
        rows: which rows are the examples; all by default.
        workers: each has its own part of the representations and its own rows.

    Raises:
        ValueError: features that are not finite, which names the layer, or labels that do not fit.

    Attributes:
        size: the number of examples, of all workers.
        unreadable: empty: what could not be read was left out when they were computed.
    """

    def __init__(
        self,
        representations: Representations,
        num_classes: int,
        rows: np.ndarray | None = None,
        workers: Workers = between_workers.ALONE,
    ) -> None:
        for layer, features in representations.layers.items():
            try:
                feature_means(features, workers)
            except ValueError as error:
                raise ValueError(f"layer {layer}: {error}") from error
        # Plain arrays: indexing them is faster than indexing `np.memmap`.
        self._layers = {
            layer: np.asarray(features) for layer, features in representations.layers.items()
        }
        count = len(representations.labels)
        self._labels = check_labels(representations.labels, count, num_classes)
        self._rows = np.arange(count) if rows is None else rows
        self._examples_of_workers = workers.each(len(self._rows))
        self._workers = workers
        self.size = int(self._examples_of_workers.sum())
        self.unreadable = UnreadableImages()

    def batches(
        self,
        context: tf.distribute.InputContext,
        *,
        batch_size: int,
        epochs: int,
        seed: int,
        start_step: int = 0,
    ) -> tf.data.Dataset:
        """Batches of all epochs from a step on.

        Args:
            context: which part of a batch this host makes, and for how many replicas.
            batch_size: examples per batch, over all replicas.
            epochs: where the stream ends.
            seed: of the order.
            start_step: batches left out at the start.

        Returns:
            Elements are a replica's part: what `features` takes, `label`, int32, (n,), and
            `position`, int64, (n,), which of the batch's examples they are. With several workers
            n differs from replica to replica, and may be 0.
        """
        steps = self.size // batch_size
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        first = int(self._examples_of_workers[: self._workers.index].sum())

        def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            order = np.empty(0, np.int64)
            for step in range(start_step, steps * epochs):
                epoch, batch_number = divmod(step, steps)
                if not len(order) or not batch_number:
                    order = np.random.default_rng([seed, epoch]).permutation(self.size)
                batch = order[batch_number * batch_size : (batch_number + 1) * batch_size] - first
                own = np.flatnonzero((batch >= 0) & (batch < len(self._rows)))
                for positions in np.array_split(own, replicas):
                    yield batch[positions], positions

        count = batch_size // replicas if self._workers.count == 1 else None
        return self._read(parts, count)

    def steps_in_order(self, batch_size: int) -> int:
        """The number of batches of `in_order` that hold all workers' examples."""
        most = int(self._examples_of_workers.max())
        return -(-most // (batch_size // self._workers.count))

    def in_order(self, context: tf.distribute.InputContext, *, batch_size: int) -> tf.data.Dataset:
        """All examples in batches of one size, the last one filled up, over and over again.

        A worker's part of a batch are its own next examples, or none where it has no more.

        As `batches`, with `valid`, float32, (n,): 1 for an example, 0 for what fills up.
        """
        replicas = context.num_replicas_in_sync
        count = batch_size // replicas
        steps = self.steps_in_order(batch_size)

        def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            filled_up = np.arange(steps * (batch_size // self._workers.count))
            for numbers in itertools.cycle(filled_up.reshape(-1, count)):
                yield numbers, numbers

        return self._read(parts, count)

    def features(self, batch: Batch) -> dict[str, tf.Tensor]:
        """The representations of a replica's part of a batch: by layer (n, D), float32."""
        return {layer: tf.cast(batch[layer], tf.float32) for layer in self._layers}

    def _read(
        self, parts: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]], count: int | None
    ) -> tf.data.Dataset:
        """Reads this worker's examples by number, those beyond the last one as fillers."""
        names = [*self._layers, "label", "valid"]
        arrays = [*self._layers.values(), self._labels]

        def read(numbers: np.ndarray) -> list[np.ndarray]:
            valid = numbers < len(self._rows)
            if not len(self._rows):
                nothing = [np.zeros((len(numbers), *a.shape[1:]), a.dtype) for a in arrays]
                return [*nothing, valid.astype(np.float32)]
            rows = self._rows[np.where(valid, numbers, 0)]
            return [*(array[rows] for array in arrays), valid.astype(np.float32)]

        def element(numbers: tf.Tensor, positions: tf.Tensor) -> Batch:
            types = [*(array.dtype for array in arrays), np.float32]
            values = tf.numpy_function(read, [numbers], types, stateful=False)
            shapes = [*(array.shape[1:] for array in arrays), ()]
            batch = {
                name: tf.ensure_shape(value, (count, *shape))
                for name, value, shape in zip(names, values, shapes, strict=True)
            }
            return batch | {"position": positions}

        spec = tf.TensorSpec([count], tf.int64)
        numbers = tf.data.Dataset.from_generator(parts, output_signature=(spec, spec))
        return numbers.map(element, num_parallel_calls=READERS, deterministic=True).prefetch(2)


class AugmentedExamples:
    """Random crops of a split's images through the frozen network (section 3.3).

    As in the released code, the smaller side is resized to `options.resize_size`, by area as where
    the probe is measured, and a random square of `options.crop_size` is cut out; views are not
    mirrored.

    Args:
        model: the network; loaded in the strategy's scope.
        records: the split.
        options: of the representations; its `batch_size` is the number of images, over all
            replicas of a machine, that go through the network at a time.

    Attributes:
        size: the number of images, with those that turn out to be unreadable.
        unreadable: which could not be read so far; others of their batch stand in for them.
    """

    def __init__(self, model: SavedModel, records: Records, options: ExtractOptions) -> None:
        self._model = model
        self._records = records
        self._options = options
        self.size = records.size
        self.unreadable = UnreadableImages()

    def batches(
        self,
        context: tf.distribute.InputContext,
        *,
        batch_size: int,
        epochs: int,
        seed: int,
        start_step: int = 0,
    ) -> tf.data.Dataset:
        """As `CachedExamples.batches`."""
        return pipeline.training_batches(
            self._records,
            RandomCrop(
                self._options.resize_size, self._options.crop_size, flip=False, method="area"
            ),
            batch_size=batch_size,
            epochs=epochs,
            seed=seed,
            start_step=start_step,
            shard=pipeline.Shard(context.input_pipeline_id, context.num_input_pipelines),
            replicas=context.num_replicas_in_sync,
            unreadable=self.unreadable,
        )

    def features(self, batch: Batch) -> dict[str, tf.Tensor]:
        """As `CachedExamples.features`; runs the network on `options.batch_size` images at most."""
        images = batch["image"]
        replicas = between_workers.replicas_here(tf.distribute.get_strategy())
        part = _largest_divisor(images.shape[0], self._options.batch_size // replicas)

        def through(part_of_images: tf.Tensor) -> dict[str, tf.Tensor]:
            layers = represent(self._model, part_of_images, self._options)
            # Rounded as the representations on disk are, which the probe is measured on.
            return {layer: tf.cast(value, tf.float32) for layer, value in layers.items()}

        parts = tf.reshape(images, (-1, part, *images.shape[1:]))
        layers = tf.map_fn(
            through,
            parts,
            fn_output_signature=dict.fromkeys(self._options.layers, tf.float32),
            parallel_iterations=1,
        )
        return {
            layer: tf.reshape(value, (images.shape[0], value.shape[-1]))
            for layer, value in layers.items()
        }


def _largest_divisor(number: int, at_most: int) -> int:
    return max(part for part in range(1, min(number, at_most) + 1) if number % part == 0)
