"""Blocks of rows of a feature array as TensorFlow tensors, without ever copying the array.

The features of a data set are the largest thing an evaluation holds (ImageNet at 8192 features:
21 GB as float16), so everything that reads them works on blocks of rows. `tf.constant` would
copy each block. Here TensorFlow borrows a block where it lies, in memory or in a memory-mapped
file; only arrays with gaps between their elements, and rows chosen out of an array
(`evaluate.low_data.ChosenRows`), go through one staging buffer.

TensorFlow's kernels take memory from addresses divisible by 64 only. Memory maps begin there,
arrays of `numpy.empty` in general do not. Of such an array the rows are lent from the first
divisible address on: every lent row lacks its first few features (the head, lent separately as
a small copy) and ends with those of the next row instead. `matmul` and `transposed_matmul`
make up for it exactly.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

ALIGNMENT = 64
# Large enough for the cost of a call to vanish, small beside the features.
BLOCK_BYTES = 64 * 2**20


class Block(NamedTuple):
    """R rows of D features: `head` holds their first H, `lent` the other D - H and H strangers.

    Both are float16 or float32 of shapes (R, H) and (R, D); H is 0 for aligned features. They
    may share their memory with the features or with a buffer that the reader uses again.
    """

    head: tf.Tensor
    lent: tf.Tensor


class _Writable:
    """The same memory, declared writable: DLPack as TensorFlow speaks it knows no read-only."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array  # Keeps the memory, or the mapping of the file, alive.
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


class RowBlocks:
    """Reads (N, D) features, float16 or float32, in memory or a memory map, block by block."""

    def __init__(self, features: np.ndarray) -> None:
        self._features = features
        self._flat = None
        self._skipped = 0
        if isinstance(features, np.ndarray) and features.flags.c_contiguous:
            self._flat = np.asarray(_Writable(features)).reshape(-1)
            self._skipped = -features.ctypes.data % ALIGNMENT // features.itemsize
            if self._skipped > features.shape[1]:
                self._flat = None
        self._staging = np.empty(0, features.dtype)

    def ranges(
        self, num_parts: int = 1, block_bytes: int = BLOCK_BYTES
    ) -> Iterator[tuple[int, int]]:
        """Ranges (start, stop) of rows, in order, of at most about `block_bytes` as float32.

        Every start but that of the last range is a multiple of 32: so all blocks begin at the
        same distance from an aligned address, whatever the number of features. The last row,
        which has no next one to borrow from, comes alone if the features are not aligned.

        Args:
            num_parts: how many ranges there are at least, as far as the rows suffice.
            block_bytes: the size of a block as float32, in bytes.
        """
        num_rows, num_features = self._features.shape
        rows = min(block_bytes // (4 * num_features), -(-num_rows // num_parts))
        rows = 32 * max(-(-rows // 32), 1)
        end = num_rows - 1 if self._flat is not None and self._skipped else num_rows
        for start in range(0, end, rows):
            yield start, min(start + rows, end)
        if end < num_rows:
            yield end, num_rows

    def read(self, start: int, stop: int) -> Block:
        """The block features[start:stop] on the CPU, a range of `ranges` or an empty one.

        Valid until the next call.
        """
        if self._flat is None or (self._skipped and stop == len(self._features)):
            return self._staged(start, stop)
        num_features = self._features.shape[1]
        first = start * num_features + self._skipped
        lent = self._flat[first : first + (stop - start) * num_features]
        head = tf.constant(self._features[start:stop, : self._skipped])
        return Block(head, _lend(lent.reshape(stop - start, num_features)))

    def _staged(self, start: int, stop: int) -> Block:
        num_rows, num_features = stop - start, self._features.shape[1]
        if self._staging.size < num_rows * num_features:
            self._staging = _aligned_empty(num_rows * num_features, self._features.dtype)
        rows = self._staging[: num_rows * num_features].reshape(num_rows, num_features)
        np.copyto(rows, self._features[start:stop])
        return Block(tf.zeros((num_rows, 0), self._features.dtype), _lend(rows))


def matmul(block: Block, weights: tf.Tensor) -> tf.Tensor:
    """The block's rows times the transpose of `weights` (C, D) float32: (R, C) float32."""
    if _is_whole(block):
        return tf.matmul(tf.cast(block.lent, tf.float32), weights, transpose_b=True)
    skipped = tf.shape(block.head)[1]
    head = tf.cast(block.head, tf.float32)
    lent = tf.cast(block.lent, tf.float32)
    lent_weights = tf.pad(weights[:, skipped:], [[0, 0], [0, skipped]])
    return tf.matmul(lent, lent_weights, transpose_b=True) + tf.matmul(
        head, weights[:, :skipped], transpose_b=True
    )


def transposed_matmul(block: Block, matrix: tf.Tensor) -> tf.Tensor:
    """`matrix` (C, R) float32 times the block's rows: (C, D) float32."""
    if _is_whole(block):
        return tf.matmul(matrix, tf.cast(block.lent, tf.float32))
    skipped = tf.shape(block.head)[1]
    head = tf.matmul(matrix, tf.cast(block.head, tf.float32))
    lent = tf.matmul(matrix, tf.cast(block.lent, tf.float32))
    return tf.concat([head, lent[:, : tf.shape(lent)[1] - skipped]], axis=1)


def rows(block: Block) -> tf.Tensor:
    """A copy of the block's rows: (R, D) float32."""
    skipped = tf.shape(block.head)[1]
    lent = block.lent[:, : tf.shape(block.lent)[1] - skipped]
    return tf.cast(tf.concat([block.head, lent], axis=1), tf.float32)


def _is_whole(block: Block) -> bool:
    """Whether the lent rows are known to be the features' own: then copies can be spared."""
    return block.head.shape[1] == 0


def _aligned_empty(size: int, dtype: np.dtype) -> np.ndarray:
    """A vector of `size` uninitialised elements that can be lent to TensorFlow."""
    num_bytes = size * np.dtype(dtype).itemsize
    memory = np.empty(num_bytes + ALIGNMENT, np.uint8)
    offset = -memory.ctypes.data % ALIGNMENT
    return memory[offset : offset + num_bytes].view(dtype)


def _lend(array: np.ndarray) -> tf.Tensor:
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
