"""Feature arrays: their checks, and their rows in blocks as TensorFlow tensors without a copy.

The features of a data set are the largest thing an evaluation holds (ImageNet at 8192 features:
21 GB as float16), so everything that reads them works on blocks of rows. `tf.constant` would copy
each block. Here TensorFlow borrows a block where it lies, in a memory-mapped file or in memory. Its
kernels take memory from addresses divisible by 64 only: memory maps begin there. Other arrays, and
rows chosen out of an array (`evaluate.low_data.ChosenRows`), go through one staging buffer.
"""

import mmap
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from training import between_workers
from training.between_workers import Workers

ALIGNMENT = 64
# Large enough for the cost of a call to vanish, small beside the features.
BLOCK_BYTES = 64 * 2**20


class _Writable:
    """The same memory, declared writable: DLPack as TensorFlow speaks it knows no read-only."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array  # Keeps the memory, or the mapping of the file, alive.
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


class RowBlocks:
    """Reads (N, D) features, float16 or float32, block by block."""

    def __init__(self, features: np.ndarray) -> None:
        self._features = features
        self._borrowed = None
        if (
            isinstance(features, np.ndarray)
            and features.flags.c_contiguous
            and features.ctypes.data % ALIGNMENT == 0
        ):
            self._borrowed = np.asarray(_Writable(features))
        self._staging = np.empty(0, features.dtype)

    def ranges(
        self, num_parts: int = 1, block_bytes: int = BLOCK_BYTES
    ) -> Iterator[tuple[int, int]]:
        """Ranges (start, stop) of rows, in order, of at most about `block_bytes` as float32.

        Every start is a multiple of 32, so that all blocks begin at an aligned address, whatever
        the number of features.

        Args:
            num_parts: how many ranges there are at least, as far as the rows suffice.
            block_bytes: the size of a block as float32, in bytes.
        """
        num_rows, num_features = self._features.shape
        rows = min(block_bytes // (4 * num_features), -(-num_rows // num_parts))
        rows = 32 * max(-(-rows // 32), 1)
        for start in range(0, num_rows, rows):
            yield start, min(start + rows, num_rows)

    def read(self, start: int, stop: int) -> tf.Tensor:
        """The block features[start:stop] on the CPU, a range of `ranges` or an empty one.

        It may share its memory with the features or with a buffer, and is valid until the next
        call.
        """
        if self._borrowed is not None:
            return _borrow(self._borrowed[start:stop])
        num_rows, num_features = stop - start, self._features.shape[1]
        if self._staging.size < num_rows * num_features:
            self._staging = _aligned_empty(num_rows * num_features, self._features.dtype)
        rows = self._staging[: num_rows * num_features].reshape(num_rows, num_features)
        np.copyto(rows, self._features[start:stop])
        return _borrow(rows)


def matmul(block: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The block's rows times the transpose of `weights` (C, D) float32: (R, C) float32."""
    return tf.matmul(tf.cast(block, tf.float32), weights, transpose_b=True)


def transposed_matmul(block: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """`matrix` (C, R) float32 times the block's rows: (C, D) float32."""
    return tf.matmul(matrix, tf.cast(block, tf.float32))


def release(features: np.ndarray) -> None:
    """Takes the pages of a memory map out of this process's memory; reading brings them back.

    They are the system's to drop in any case, but count as this process's as long as it has them.
    """
    if isinstance(features, np.memmap) and hasattr(mmap, "MADV_DONTNEED"):
        features._mmap.madvise(mmap.MADV_DONTNEED)


def check_features(features: np.ndarray, workers: Workers = between_workers.ALONE) -> None:
    """Accepts (N, D) arrays of float16 or float32 with N, D >= 1; raises ValueError otherwise.

    One of several workers may have no rows.
    """
    if features.ndim != 2:
        raise ValueError(
            f"Features must have the shape (examples, features), these have {features.shape}."
        )
    if features.size == 0 and (workers.count == 1 or not features.shape[1]):
        raise ValueError(f"There are no features: their shape is {features.shape}.")
    if features.dtype not in (np.float16, np.float32):
        raise ValueError(f"Features must be float16 or float32, these are {features.dtype}.")


def check_labels(labels: np.ndarray, num_examples: int, num_classes: int) -> np.ndarray:
    """`labels` as int32, (N,); ValueError if they are not N integers in [0, num_classes)."""
    labels = np.asarray(labels)
    if labels.shape != (num_examples,):
        raise ValueError(
            f"{num_examples} examples need {num_examples} labels, these have {labels.shape}."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"Labels must be integers, these are {labels.dtype}.")
    if len(labels) and (labels.min() < 0 or labels.max() >= num_classes):
        raise ValueError(
            f"Labels of {num_classes} classes must be in 0 … {num_classes - 1}, "
            f"these range from {labels.min()} to {labels.max()}."
        )
    return labels.astype(np.int32)


def feature_means(features: np.ndarray, workers: Workers = between_workers.ALONE) -> np.ndarray:
    """The mean of every feature of (N, D) features, over all workers' rows: (D,) float64.

    Raises:
        ValueError: a feature is NaN or infinite; the message counts them.
    """
    check_features(features, workers)
    num_examples = workers.total(len(features))
    blocks = RowBlocks(features)
    total = np.zeros(features.shape[1])
    for start, stop in blocks.ranges():
        total += _block_sums(blocks.read(start, stop)).numpy()
    total = workers.sum(total)
    if not np.isfinite(total).all():
        bad = sum(
            np.count_nonzero(~np.isfinite(features[start:stop])) for start, stop in blocks.ranges()
        )
        columns = np.flatnonzero(~np.isfinite(total))
        raise ValueError(
            f"{workers.total(bad)} of {num_examples * len(total)} feature values are NaN or "
            f"infinite or too large to add up; they are in {len(columns)} of {features.shape[1]} "
            f"features, first in number {columns[0]} (from 0)."
            + (" float16 ends at 65504: try float32." if features.dtype == np.float16 else "")
        )
    return total / num_examples


@tf.function(autograph=False, reduce_retracing=True)
def directions(block: tf.Tensor) -> tf.Tensor:
    """The block's rows divided by their lengths, whose products are cosines: (R, D) float32."""
    return tf.math.l2_normalize(tf.cast(block, tf.float32), axis=1)


@tf.function(autograph=False, reduce_retracing=True)
def _block_sums(block: tf.Tensor) -> tf.Tensor:
    ones = tf.ones((1, tf.shape(block)[0]))
    return transposed_matmul(block, ones)[0]


def _aligned_empty(size: int, dtype: np.dtype) -> np.ndarray:
    """A vector of `size` uninitialised elements that TensorFlow can borrow."""
    num_bytes = size * np.dtype(dtype).itemsize
    memory = np.empty(num_bytes + ALIGNMENT, np.uint8)
    offset = -memory.ctypes.data % ALIGNMENT
    return memory[offset : offset + num_bytes].view(dtype)


def _borrow(array: np.ndarray) -> tf.Tensor:
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
