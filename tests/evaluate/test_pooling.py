"""Pooling against recorded values, textbook bins, and the table in the documentation."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from evaluate.pooling import KINDS, pool, pool_patches, pooled_shape

GOLDEN = Path(__file__).parent.parent / "golden"
RECORDED = json.loads((GOLDEN / "adaptive_pool.json").read_text())
VALUES = np.load(GOLDEN / "adaptive_pool.npz")
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "pooling.md"


@pytest.mark.parametrize("case", RECORDED)
def test_recorded_shapes_and_values(case: str) -> None:
    name, kind = case.split("__")
    shape = tuple(int(size) for size in name.split("x"))
    expected = RECORDED[case]
    assert pooled_shape(shape[1:], kind) == tuple(expected["out_shape"][1:])
    maps = np.random.RandomState(3).standard_normal(shape).astype(np.float32)
    features = pool(maps, kind).numpy()
    assert features.shape == (2, expected["features"])
    if expected["repeatable"]:
        pooled = features.reshape(expected["out_shape"])
        np.testing.assert_allclose(pooled[0, :2, :2, :8], VALUES[f"{case}__slice"], atol=1e-6)
        if f"{case}__full0" in VALUES:
            np.testing.assert_allclose(pooled[0], VALUES[f"{case}__full0"], atol=1e-6)
        assert features.mean(dtype=np.float64) == pytest.approx(expected["mean"], abs=1e-6)
        assert features.std(dtype=np.float64) == pytest.approx(expected["std"], rel=1e-5)


def test_patches_are_pooled_before_they_are_averaged() -> None:
    maps = np.random.default_rng(0).standard_normal((2, 9, 5, 4, 10)).astype(np.float32)
    for kind in KINDS:
        expected = np.mean([pool(maps[:, patch], kind, 60) for patch in range(9)], axis=0)
        np.testing.assert_allclose(pool_patches(maps, kind, 60), expected, atol=1e-6)
    assert np.abs(pool_patches(maps, "max", 60) - pool(maps.mean(1), "max", 60)).max() > 0.5
    vectors = maps[:, :, 0, 0]
    np.testing.assert_allclose(pool_patches(vectors), vectors.mean(1), atol=1e-6)


@pytest.mark.parametrize(("kind", "reduce"), [("adaptive_max", np.max), ("adaptive_avg", np.mean)])
def test_adaptive_bins(kind: str, reduce) -> None:
    maps = np.random.default_rng(0).standard_normal((2, 7, 5, 10)).astype(np.float32)
    pooled = pool(maps, kind, max_features=90).numpy().reshape(2, 3, 3, 10)
    # Three bins: of 7 pixels 0-2, 2-4, 4-6; of 5 pixels 0-1, 1-3, 3-4.
    rows = [slice(0, 3), slice(2, 5), slice(4, 7)]
    columns = [slice(0, 2), slice(1, 4), slice(3, 5)]
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            expected = reduce(maps[:, row, column], axis=(1, 2))
            np.testing.assert_allclose(pooled[:, i, j], expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_is_known_in_a_graph(kind: str) -> None:
    graph = tf.function(
        lambda maps: pool(maps, kind), input_signature=[tf.TensorSpec((None, 28, 28, 32))]
    ).get_concrete_function()
    assert graph.output_shapes.as_list() == [None, np.prod(pooled_shape((28, 28, 32), kind))]


def test_vectors_and_small_maps_are_only_flattened() -> None:
    vectors = np.random.default_rng(0).standard_normal((3, 9500)).astype(np.float32)
    np.testing.assert_array_equal(pool(vectors), vectors)
    maps = vectors[:, :9000].reshape(3, 30, 30, 10)
    np.testing.assert_array_equal(pool(maps, "avg"), vectors[:, :9000])


def test_maps_with_more_channels_than_features_leave_one_pixel() -> None:
    assert [pooled_shape((7, 7, 40000), kind) for kind in KINDS] == [(1, 1, 40000)] * 4


def test_bad_arguments_are_one_clear_line() -> None:
    with pytest.raises(ValueError, match="there are max, avg, adaptive_max, adaptive_avg"):
        pooled_shape((7, 7, 64), "mean")
    with pytest.raises(ValueError, match=r"not \(None, 7, 64\)"):
        pooled_shape((None, 7, 64))
    with pytest.raises(ValueError, match=r"not \(7, 64\)"):
        pool(np.zeros((1, 7, 64), np.float32))
    with pytest.raises(ValueError, match="not 0"):
        pooled_shape((7, 7, 64), max_features=0)


def table() -> str:
    """The rows of docs/pooling.md: every block of every family at 224 × 224 by widening factor."""
    blocks = {
        "ResNet50, RevNet50": [(56, 64), (28, 128), (14, 256), (7, 512)],
        "VGG19-BN": [(112, 16), (56, 32), (28, 64), (14, 64)],
    }
    lines = []
    for family, maps in blocks.items():
        for number, (side, channels) in enumerate(maps, start=1):
            for k in (4, 8, 12, 16):
                shape = (side, side, channels * k)
                pooled = [pooled_shape(shape, kind) for kind in ("max", "adaptive_max")]
                sizes = " | ".join(f"{h}×{w}×{c} = {h * w * c}" for h, w, c in pooled)
                values = np.prod(shape)
                lines.append(
                    f"| {family} | `block{number}` | {k} | {side}×{side}×{shape[2]} = {values} "
                    f"| {sizes} |"
                )
    return "\n".join(lines)


def test_the_documented_table_is_what_the_code_does() -> None:
    assert table() in DOCUMENT.read_text()
