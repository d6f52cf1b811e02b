"""The linear probe's cross-entropy, its gradient and its accuracy, each in one pass over features.

Everything here works on `RowBlocks`: the features are never copied and may lie in a file that
is larger than the memory. Arithmetic is float32, sums of losses are float64.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from evaluate.features import RowBlocks, matmul, transposed_matmul
from training import between_workers
from training.between_workers import Workers


@contextmanager
def full_float32() -> Iterator[None]:
    """Keeps GPUs from rounding the factors of products to TF32's 10 bits.

    L-BFGS compares losses that differ in the ninth digit.
    """
    allowed = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(allowed)


class CrossEntropy:
    """Mean cross-entropy over fixed examples as a function of weights and bias, with gradient.

    Every call is one pass over the features. With a strategy of R > 1 replicas each of them takes
    every R-th block and their sums are added. Of several workers each has its own examples, and all
    get the same bits: the sums over all examples.
    """

    def __init__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        strategy: tf.distribute.Strategy | None,
        workers: Workers = between_workers.ALONE,
    ) -> None:
        """Takes checked (N, D) features and (N,) int32 labels."""
        self._labels = labels
        self._strategy = strategy
        self._workers = workers
        self._replicas = between_workers.replicas_here(strategy)
        # A reader for each replica: the block of a reader is valid until its next call.
        self._readers = [RowBlocks(features) for _ in range(self._replicas)]
        self._ranges = list(self._readers[0].ranges(num_parts=self._replicas))
        if self._replicas > 1:
            self._add_blocks = tf.function(
                self._on_replicas, autograph=False, reduce_retracing=True
            )

    def __call__(
        self, weights: np.ndarray, bias: np.ndarray, used: np.ndarray | None = None
    ) -> tuple[float, np.ndarray]:
        """The mean loss and its gradient.

        Args:
            weights: (C, D), float32.
            bias: (C,), float32.
            used: (N,), float32, 1 for the examples that count and 0 for all others. None: all.

        Returns:
            The loss and its gradient, float64, (C·D + C,): by the weights, then by the bias.

        Raises:
            ValueError: the workers do not have the same weights.
        """
        parameters = tf.constant(weights), tf.constant(bias)
        # The sums stay on the devices until all blocks are done: with a thousand classes the
        # gradient of a block is as large as the block.
        zeros = tf.constant(0.0, tf.float64), tf.zeros_like(weights), tf.zeros_like(bias)
        sums = zeros if self._replicas == 1 else self._distribute(lambda replica: zeros)
        for first in range(0, len(self._ranges), self._replicas):
            if self._replicas == 1:
                sums = _add_block(sums, self._inputs(first, used), *parameters)
                sums[0].numpy()  # Waits until the block is no longer in use.
            else:
                inputs = self._distribute(
                    lambda replica, first=first: self._inputs(first + replica, used)
                )
                sums = self._add_blocks(sums, inputs, *parameters)
                for loss in self._strategy.experimental_local_results(sums[0]):
                    loss.numpy()
        if self._replicas > 1:
            sums = map(self._strategy.experimental_local_results, sums)
        else:
            sums = [[each] for each in sums]
        # One sum over the workers for all: gradient, loss, number of examples, and what tells
        # whether all have evaluated the same weights.
        totals = np.zeros(weights.size + bias.size + 3)
        for loss, by_weights, by_bias in zip(*sums, strict=True):
            totals[: weights.size].reshape(weights.shape)[:] += by_weights.numpy()
            totals[weights.size : -3] += by_bias.numpy()
            totals[-3] += loss.numpy()
        totals[-2] = len(self._labels) if used is None else np.count_nonzero(used)
        if self._workers.count > 1:
            totals[-1] = checksum = zlib.crc32(bias, zlib.crc32(weights))
            totals = self._workers.sum(totals)
            if totals[-1] != self._workers.count * checksum:
                raise ValueError(
                    "the workers' optimisers have come to different weights: their processors or "
                    "versions of SciPy compute differently; use machines of one kind"
                )
        gradient, loss = totals[:-3], totals[-3]
        gradient /= totals[-2]
        return float(loss / totals[-2]), gradient

    def _inputs(
        self, number: int, used: np.ndarray | None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """A block with its labels and weights; after the last one a block without rows."""
        start, stop = self._ranges[number] if number < len(self._ranges) else (0, 0)
        weight = np.ones(stop - start, np.float32) if used is None else used[start:stop]
        block = self._readers[number % self._replicas].read(start, stop)
        return block, tf.constant(self._labels[start:stop]), tf.constant(weight)

    def _distribute(self, value_of_replica: Callable[[int], Any]) -> Any:
        return self._strategy.experimental_distribute_values_from_function(
            lambda context: value_of_replica(context.replica_id_in_sync_group % self._replicas)
        )

    def _on_replicas(self, sums: Any, inputs: Any, weights: tf.Tensor, bias: tf.Tensor) -> Any:
        return self._strategy.run(_add_block, args=(sums, inputs, weights, bias))


def classify(
    features: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    used: np.ndarray | None = None,
    workers: Workers = between_workers.ALONE,
) -> tuple[float, float, float]:
    """Top-1 and top-5 accuracy in [0, 1] and mean cross-entropy of a linear classifier.

    With five classes or fewer the top-5 accuracy is 1. Equal largest logits count for the class
    that comes first.

    Args:
        features: (N, D), float16 or float32, checked.
        labels: (N,), int32, checked.
        weights: (C, D), float32.
        bias: (C,), float32.
        used: as in `CrossEntropy`.
        workers: each has its own examples; the scores are those of all.
    """
    blocks = RowBlocks(features)
    parameters = tf.constant(weights), tf.constant(bias)
    sums = np.zeros(3)
    with full_float32():
        for start, stop in blocks.ranges():
            weight = np.ones(stop - start, np.float32) if used is None else used[start:stop]
            inputs = blocks.read(start, stop), tf.constant(labels[start:stop]), tf.constant(weight)
            sums += _block_scores(inputs, *parameters).numpy()
    count = len(features) if used is None else np.count_nonzero(used)
    *sums, count = workers.sum(np.append(sums, count))
    top1, top5, loss = np.array(sums) / count
    return float(top1), float(top5), float(loss)


def scores_by_example(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Whether each example is right in the top 1 and top 5, and its cross-entropy: (3, N), float32.

    Equal largest logits count for the class that comes first.

    Args:
        logits: (N, C), float32.
        labels: (N,), int32.
    """
    top1 = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)
    top5 = tf.math.in_top_k(labels, logits, k=5)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.stack([tf.cast(top1, tf.float32), tf.cast(top5, tf.float32), losses])


@tf.function(autograph=False, reduce_retracing=True)
def _add_block(
    sums: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
    inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
    weights: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Adds a block's loss, gradient by the weights and gradient by the bias to the sums."""
    block, labels, used = inputs
    losses, by_logits = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(
        features=matmul(block, weights) + bias, labels=labels
    )
    # Transposing these few numbers first avoids transposing the features for the product.
    by_logits = tf.transpose(by_logits) * used
    return (
        sums[0] + tf.reduce_sum(tf.cast(losses * used, tf.float64)),
        sums[1] + transposed_matmul(block, by_logits),
        sums[2] + tf.reduce_sum(by_logits, axis=1),
    )


@tf.function(autograph=False, reduce_retracing=True)
def _block_scores(
    inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor], weights: tf.Tensor, bias: tf.Tensor
) -> tf.Tensor:
    block, labels, used = inputs
    scores = tf.cast(scores_by_example(matmul(block, weights) + bias, labels), tf.float64)
    return tf.reduce_sum(scores * tf.cast(used, tf.float64), axis=1)
