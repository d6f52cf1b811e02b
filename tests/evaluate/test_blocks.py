"""Blocks share the features' memory, whatever its alignment, and multiply like plain matrices."""

import numpy as np
import pytest

from evaluate.blocks import ALIGNMENT, Block, RowBlocks, matmul, transposed_matmul


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
        np.testing.assert_allclose(matmul(block, weights), rows @ weights.T, atol=1e-5)
        matrix = np.random.default_rng(2).standard_normal((2, stop - start)).astype(np.float32)
        np.testing.assert_allclose(transposed_matmul(block, matrix), matrix @ rows, atol=1e-4)


def column(block: Block, number: int) -> np.ndarray:
    weights = np.eye(block.lent.shape[1], dtype=np.float32)[number : number + 1]
    return matmul(block, weights).numpy()[:, 0]


@pytest.mark.parametrize("offset", [0, 16])
def test_a_block_is_lent_and_not_copied(offset: int) -> None:
    features = features_at(offset, 64, 40, np.float32)
    block = RowBlocks(features).read(0, 32)
    features[:32, 20] = 42
    assert (column(block, 20) == 42).all()


def test_of_unaligned_features_only_the_last_row_is_copied() -> None:
    features = features_at(16, 100, 40, np.float32)
    blocks = RowBlocks(features)
    assert list(blocks.ranges()) == [(0, 99), (99, 100)]
    lent = blocks.read(0, 99)
    features[:99, 20] = 42
    assert (column(lent, 20) == 42).all()


def test_a_read_only_memory_map_is_lent(tmp_path) -> None:
    features = features_at(0, 64, 40, np.float16)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    blocks = RowBlocks(mapped)
    assert not mapped.flags.writeable
    assert blocks.read(0, 64).head.shape == (64, 0)
    np.testing.assert_allclose(column(blocks.read(32, 64), 3), features[32:64, 3])


def test_features_with_gaps_are_read_too() -> None:
    features = features_at(0, 64, 40, np.float32)[:, ::2]
    np.testing.assert_allclose(column(RowBlocks(features).read(32, 64), 3), features[32:64, 3])


def test_there_are_blocks_for_every_part() -> None:
    assert len(list(RowBlocks(features_at(0, 128, 2, np.float32)).ranges(num_parts=4))) == 4
