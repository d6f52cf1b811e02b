"""The k-nearest-neighbours probe: an evaluation of a representation without training.

Every example gets the class that most of its k = 20 nearest training examples have, nearest by
the cosine of their features. Not part of the paper.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from evaluate.features import RowBlocks, check_labels, directions, feature_means
from evaluate.objective import full_float32
from training import between_workers
from training.between_workers import Workers

NEIGHBOURS = 20
# Of float32 features: the similarities of two blocks then take less memory than the blocks.
BLOCK_BYTES = 16 * 2**20
# Of the features that several workers show each other at a time, as float32.
SHARED_BYTES = 2**30


def evaluate(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int,
    k: int = NEIGHBOURS,
    workers: Workers = between_workers.ALONE,
) -> tuple[float, float]:
    """Top-1 and top-5 accuracy in [0, 1].

    Classes are ranked by the plain number of votes; equal numbers by the sum of the voters'
    cosines, then the class that comes first. A class without votes is never right. With five
    classes or fewer the top-5 accuracy is 1. The training features are read once, in blocks; the
    others once for each of these.

    Several workers show each other the examples to classify, a gigabyte at a time; each finds the
    nearest among its own training examples, and the nearest of those are the neighbours.

    Args:
        train_features: (N, D), float16 or float32, in memory or a memory map.
        train_labels: (N,), integers in [0, num_classes).
        features: (M, D), float16 or float32.
        labels: (M,), integers in [0, num_classes).
        num_classes: number of classes.
        k: number of neighbours, at least 1; all training examples where there are fewer.
        workers: each has its own training examples and its own others.

    Raises:
        ValueError: features that are not finite, empty or of different D; labels that do not fit.
    """
    for each in (train_features, features):
        feature_means(each, workers)  # Raises if they are not finite.
    if train_features.shape[1] != features.shape[1]:
        raise ValueError(
            f"Training examples have {train_features.shape[1]} features, "
            f"the others {features.shape[1]}: they must be of the same layer."
        )
    if k < 1:
        raise ValueError(f"There must be at least 1 neighbour, not {k}.")
    train_labels = check_labels(train_labels, len(train_features), num_classes)
    labels = check_labels(labels, len(features), num_classes)
    k = min(k, workers.total(len(train_labels)))

    top1 = top5 = count = 0
    for shown, right in _shown_to_all(features, labels, workers):
        cosines, voters = _neighbours(train_features, train_labels, shown, k, workers)
        for start, stop in RowBlocks(shown).ranges(block_bytes=BLOCK_BYTES):
            ranks = _ranks(cosines[start:stop], voters[start:stop], right[start:stop], num_classes)
            top1 += int(np.count_nonzero(ranks < 1))
            top5 += int(np.count_nonzero(ranks < 5))
        count += len(right)
    return top1 / count, top5 / count if num_classes > 5 else 1.0


def _shown_to_all(
    features: np.ndarray, labels: np.ndarray, workers: Workers
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All workers' examples, worker by worker in parts of `SHARED_BYTES`, the same for all."""
    if workers.count == 1:
        yield features, labels
        return
    at_once = max(SHARED_BYTES // (4 * features.shape[1]), 1)
    for start in range(0, int(workers.each(len(labels)).max()), at_once):
        rows = slice(start, start + at_once)
        yield (
            workers.concatenate(np.asarray(features[rows], np.float32)),
            workers.concatenate(labels[rows].astype(np.int64)),
        )


def _neighbours(
    train_features: np.ndarray,
    train_labels: np.ndarray,
    features: np.ndarray,
    k: int,
    workers: Workers,
) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and labels of the k nearest of all workers' training examples: two arrays (M, k)."""
    cosines, indices = nearest(train_features, features, k)
    if workers.count == 1:
        return cosines, train_labels[indices]
    # Of a worker with fewer than k examples the last ones are not any: further than all others.
    voters = np.append(train_labels, 0)[np.where(np.isfinite(cosines), indices, -1)]
    every = [workers.concatenate(each.T[None]) for each in (cosines, voters.astype(np.int64))]
    # (M, workers · k): equal cosines stay in the order of the training examples.
    cosines, voters = (each.reshape(-1, len(features)).T for each in every)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return tuple(np.take_along_axis(each, order, axis=1) for each in (cosines, voters))


def nearest(
    train_features: np.ndarray, features: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest training examples of every example, by the cosine of their features.

    Args:
        train_features: (N, D), float16 or float32, in memory or a memory map.
        features: (M, D).
        k: how many, from 1 to N.

    Returns:
        Their cosines, float32, and their indices, int32: each (M, k), the nearest first.
    """
    train_blocks, blocks = RowBlocks(train_features), RowBlocks(features)
    cosines = np.full((len(features), k), -np.inf, np.float32)
    indices = np.zeros((len(features), k), np.int32)
    with full_float32():
        for train_start, train_stop in train_blocks.ranges(block_bytes=BLOCK_BYTES):
            train_block = directions(train_blocks.read(train_start, train_stop))
            for start, stop in blocks.ranges(block_bytes=BLOCK_BYTES):
                merged = _merge_nearest(
                    directions(blocks.read(start, stop)),
                    train_block,
                    tf.constant(train_start),
                    tf.constant(cosines[start:stop]),
                    tf.constant(indices[start:stop]),
                )
                cosines[start:stop], indices[start:stop] = (each.numpy() for each in merged)
    return cosines, indices


def _ranks(
    cosines: np.ndarray, neighbours: np.ndarray, labels: np.ndarray, num_classes: int
) -> np.ndarray:
    """The rank of the right class among all, from 0, by neighbours (M, k): (M,).

    It is num_classes for a class that has no vote.
    """
    examples = np.arange(len(labels))
    votes = np.zeros((len(labels), num_classes))
    np.add.at(votes, (examples[:, None], neighbours), 1)
    # Cosines moved to less than 1 / k each: together they cannot outweigh a vote.
    k = neighbours.shape[1]
    scores = votes.copy()
    np.add.at(scores, (examples[:, None], neighbours), (cosines + 1) / (2 * k + 1))
    right = scores[examples, labels][:, None]
    earlier = np.arange(num_classes) < labels[:, None]
    ranks = np.count_nonzero((scores > right) | ((scores == right) & earlier), axis=1)
    return np.where(votes[examples, labels] > 0, ranks, num_classes)


@tf.function(autograph=False, reduce_retracing=True)
def _merge_nearest(
    block: tf.Tensor,
    train_block: tf.Tensor,
    train_start: tf.Tensor,
    cosines: tf.Tensor,
    indices: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The k nearest among those found so far, `cosines` and `indices` (M, k), and a new block.

    Both blocks are of rows of length 1.
    """
    k = tf.shape(cosines)[1]
    products = tf.matmul(block, train_block, transpose_b=True)
    new_cosines, new_indices = tf.math.top_k(products, tf.minimum(k, tf.shape(products)[1]))
    all_cosines = tf.concat([cosines, new_cosines], axis=1)
    all_indices = tf.concat([indices, new_indices + train_start], axis=1)
    best, positions = tf.math.top_k(all_cosines, k)
    return best, tf.gather(all_indices, positions, batch_dims=1)
