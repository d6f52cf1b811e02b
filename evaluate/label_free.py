"""Two scores of a representation that need no labels.

The paper leaves open how to choose a model without labels (it finds that the pretext task's own
accuracy is no guide). These two are cheap and are reported beside the probes' accuracies:

- the effective rank of O. Roy and M. Vetterli, *The effective rank: a measure of effective
  dimensionality*, EUSIPCO 2007: exp(-Σ p log p) with p the singular values of the representations'
  matrix divided by their sum. It is n for n equally strong directions. Here the matrix is centred
  first, so that a common offset of all examples does not count as a direction;
- the share of the variance that lies in the first ten principal directions.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from evaluate.features import RowBlocks, feature_means
from training import between_workers
from training.between_workers import Workers

DIRECTIONS = 10
# An effective rank below which a layer gives all images nearly the same features.
COLLAPSED_RANK = 1.5
# Eigenvalues of larger matrices take minutes.
MAX_SIZE = 2048
BLOCK_BYTES = 16 * 2**20


@dataclass(frozen=True)
class LabelFreeScores:
    """Effective rank, from 0 to min(N - 1, D), and the first ten directions' share, in [0, 1]."""

    effective_rank: float
    first_ten_variance: float


def label_free_scores(
    features: np.ndarray, seed: int = 0, workers: Workers = between_workers.ALONE
) -> LabelFreeScores:
    """The scores of all workers' (N, D) features, float16 or float32, in memory or a memory map.

    Up to 2048 features, all examples count. (Where there are fewer examples than features, it is
    their products whose eigenvalues are taken: the same but for zeros, in less time.) With more,
    2048 examples drawn by the seed stand for all of them, or all where there are fewer; the
    effective rank is then below 2048 whatever it is for all examples, so compare it only with ranks
    from as many. Sums and eigenvalues are float64: the many weak directions together matter for the
    rank. Features without any variance have the
    effective rank 0, and the first ten directions hold all (1) of it.

    Raises:
        ValueError: features that are empty, not finite, or not float16 or float32.
    """
    means = feature_means(features, workers)
    num_examples = workers.total(len(features))
    if features.shape[1] <= min(MAX_SIZE, num_examples):
        products = _products_of_features(features, means, num_examples, workers)
    else:
        products = _products_of_examples(features, seed, num_examples, workers)
    # The singular values' squares: the same for both products but for zeros.
    squares = np.linalg.eigvalsh(products)[::-1]
    # What rounding makes of zero.
    floor = squares[0] * len(squares) * np.finfo(np.float64).eps
    squares = squares[squares > floor]
    if not len(squares) or squares[0] <= _rounding(means, num_examples):
        return LabelFreeScores(effective_rank=0.0, first_ten_variance=1.0)
    singular = np.sqrt(squares)
    shares = singular / singular.sum()
    return LabelFreeScores(
        effective_rank=float(np.exp(-(shares * np.log(shares)).sum())),
        first_ten_variance=float(squares[:DIRECTIONS].sum() / squares.sum()),
    )


def _rounding(means: np.ndarray, num_examples: int) -> float:
    """The squares that remain where features differ by no more than float32's rounding."""
    return float(np.square(np.finfo(np.float32).eps * means).sum() * num_examples)


def _products_of_features(
    features: np.ndarray, means: np.ndarray, num_examples: int, workers: Workers
) -> np.ndarray:
    """XᵀX (D, D) of the centred features, float64."""
    blocks = RowBlocks(features)
    products, sums = np.zeros((features.shape[1],) * 2), np.zeros(features.shape[1])
    for start, stop in blocks.ranges(block_bytes=BLOCK_BYTES):
        block = _block_products(blocks.read(start, stop), tf.constant(means))
        products += block[0].numpy()
        sums += block[1].numpy()
    products, sums = workers.sum(products), workers.sum(sums)
    # The means come from float32 sums; this takes out what they missed.
    return products - np.outer(sums, sums) / num_examples


def _products_of_examples(
    features: np.ndarray, seed: int, num_examples: int, workers: Workers
) -> np.ndarray:
    """XXᵀ of at most 2048 examples, centred by their own mean, float64."""
    count = min(num_examples, MAX_SIZE)
    drawn = np.zeros(num_examples, bool)
    drawn[np.random.default_rng(seed).choice(num_examples, count, replace=False)] = True
    rows = np.flatnonzero(workers.own(drawn, len(features)))
    examples = tf.constant(workers.concatenate(features[rows].astype(np.float32)), tf.float64)
    examples -= tf.reduce_mean(examples, axis=0)
    return tf.matmul(examples, examples, transpose_b=True).numpy()


@tf.function(autograph=False, reduce_retracing=True)
def _block_products(block: tf.Tensor, means: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    centred = tf.cast(block, tf.float64) - means
    return tf.matmul(centred, centred, transpose_a=True), tf.reduce_sum(centred, axis=0)
