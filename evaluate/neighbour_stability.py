"""How often a representation recognises an image in another view of it: a score without labels.

Two views of every image (random crops, say) go through the network. An image is recognised if,
among the second views of all images, the one nearest to its first view by cosine is its own. The
share of images that are is the neighbour stability: 1 / N by chance, 0 of a network that gives all
images the same features. It is the top-1 accuracy of the instance discrimination of Z. Wu et al.,
*Unsupervised Feature Learning via Non-Parametric Instance Discrimination*, CVPR 2018.

It falls with the number of images and depends on how different the views are: compare networks on
the same views. An untrained network recognises many images by their colours alone, so a high
stability proves nothing by itself.
"""

import numpy as np
import tensorflow as tf

from evaluate.features import RowBlocks, directions, feature_means
from evaluate.objective import full_float32

# Of float32 features: the cosines of two blocks take less memory than the blocks.
BLOCK_BYTES = 16 * 2**20


def neighbour_stability(first: np.ndarray, second: np.ndarray) -> float:
    """The share of images that `recognised` finds, in [0, 1]; arguments and errors as there."""
    return float(recognised(first, second).mean())


def recognised(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of which images the first view is nearer to their own second view than to any other's.

    Where two are equally near, as all are to a network that has collapsed to one value, the image
    is not recognised. A block of either view's rows is in memory at a time.

    Args:
        first: the representations of one view of every image, (N, D), float16 or float32, in memory
            or a memory map.
        second: those of another view of the same images, in the same order.

    Returns:
        bool, (N,).

    Raises:
        ValueError: the shapes differ, there is only one image, or features are not finite.
    """
    if first.shape != second.shape:
        raise ValueError(
            f"The two views' representations have the shapes {first.shape} and {second.shape}: "
            "they must be of the same images and the same layer."
        )
    for each in (first, second):
        feature_means(each)  # Raises if they are not finite.
    count = len(first)
    if count < 2:
        raise ValueError("There is one image: its nearest neighbour is itself, whatever is learnt.")
    own, others = np.full(count, -np.inf, np.float32), np.full(count, -np.inf, np.float32)
    first_blocks, second_blocks = RowBlocks(first), RowBlocks(second)
    ranges = list(first_blocks.ranges(block_bytes=BLOCK_BYTES))
    with full_float32():
        for start, stop in ranges:
            candidates = directions(second_blocks.read(start, stop))
            for query_start, query_stop in ranges:
                queries = directions(first_blocks.read(query_start, query_stop))
                if query_start == start:
                    matched, nearest = _own_and_others(queries, candidates)
                    own[start:stop] = matched.numpy()
                else:
                    nearest = _nearest(queries, candidates)
                rows = slice(query_start, query_stop)
                others[rows] = np.maximum(others[rows], nearest.numpy())
    # Equal rows need not have equal cosines to the last bit.
    return own > others + np.finfo(np.float32).eps * 4


@tf.function(autograph=False, reduce_retracing=True)
def _nearest(queries: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    return tf.reduce_max(tf.matmul(queries, candidates, transpose_b=True), axis=1)


@tf.function(autograph=False, reduce_retracing=True)
def _own_and_others(queries: tf.Tensor, candidates: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    cosines = tf.matmul(queries, candidates, transpose_b=True)
    without_own = tf.linalg.set_diag(cosines, tf.fill(tf.shape(cosines)[:1], -np.inf))
    return tf.linalg.diag_part(cosines), tf.reduce_max(without_own, axis=1)
