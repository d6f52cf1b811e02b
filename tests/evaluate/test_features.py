"""Blocks hold the features' rows, and share their memory where it is aligned."""

import numpy as np
import pytest
import tensorflow as tf

from evaluate.features import ALIGNMENT, RowBlocks, matmul, transposed_matmul


def features_at(offset: int, num_rows: int, num_features: int, dtype: type) -> np.ndarray:
    """Random features that begin `offset` bytes behind an address divisible by 64."""
    num_bytes = num_rows * num_features * np.dtype(dtype).itemsize
    memory = np.zeros(num_bytes + 2 * ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT + offset
    features = memory[begin : begin + num_bytes].view(dtype).reshape(num_rows, num_features)
    features[:] = np.random.default_rng(0).standard_normal(features.shape)
    return features


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("offset", [0, 4, 16, 60])
@pytest.mark.parametrize("num_features", [1, 7, 33])
def test_products_are_those_of_the_features(offset: int, num_features: int, dtype: type) -> None:
    features = features_at(offset, 100, num_features, dtype)
    weights = np.random.default_rng(1).standard_normal((3, num_features)).astype(np.float32)
    blocks = RowBlocks(features)
    ranges = list(blocks.ranges(block_bytes=32 * 4 * num_features))
    assert [start for start, _ in ranges][:4] == [0, 32, 64, 96]
    assert ranges[-1][1] == 100
    for start, stop in ranges:
        block = blocks.read(start, stop)
        rows = features[start:stop].astype(np.float32)
        np.testing.assert_array_equal(block, features[start:stop])
        np.testing.assert_allclose(matmul(block, weights), rows @ weights.T, atol=1e-5)
        matrix = np.random.default_rng(2).standard_normal((2, stop - start)).astype(np.float32)
        np.testing.assert_allclose(transposed_matmul(block, matrix), matrix @ rows, atol=1e-4)


def test_an_aligned_block_is_not_copied() -> None:
    features = features_at(0, 64, 40, np.float32)
    block = RowBlocks(features).read(0, 32)
    features[:32, 20] = 42
    assert (block[:, 20].numpy() == 42).all()


def test_an_unaligned_block_is_a_copy() -> None:
    features = features_at(16, 100, 40, np.float32)
    blocks = RowBlocks(features)
    assert list(blocks.ranges()) == [(0, 100)]
    block = blocks.read(0, 100)
    before = features.copy()
    features[:, 20] = 42
    np.testing.assert_array_equal(block, before)


def test_an_empty_block_has_no_rows() -> None:
    """Replicas beyond the last block get one."""
    for offset in (0, 16):
        assert RowBlocks(features_at(offset, 64, 40, np.float16)).read(0, 0).shape == (0, 40)


def test_a_read_only_memory_map_is_not_copied(tmp_path) -> None:
    features = features_at(0, 64, 40, np.float16)
    features.tofile(tmp_path / "features.float16")
    mapped = np.memmap(tmp_path / "features.float16", np.float16, mode="r", shape=(64, 40))
    blocks = RowBlocks(mapped)
    assert not mapped.flags.writeable
    block = blocks.read(32, 64)
    np.testing.assert_array_equal(block, features[32:64])
    with open(tmp_path / "features.float16", "r+b") as file:
        file.write(bytes(features.nbytes))
    assert not tf.reduce_any(block != 0), "the block is the file's memory"


def test_features_with_gaps_are_read_too() -> None:
    features = features_at(0, 64, 40, np.float32)[:, ::2]
    np.testing.assert_array_equal(RowBlocks(features).read(32, 64), features[32:64])


def test_there_are_blocks_for_every_part() -> None:
    assert len(list(RowBlocks(features_at(0, 128, 2, np.float32)).ranges(num_parts=4))) == 4
