"""Cutting, colouring, pairing and averaging patches."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pretext import patches

GOLDEN = Path(__file__).parent.parent / "golden"
PREPROCESS = json.loads((GOLDEN / "preprocess.json").read_text())


def coordinates(n, height, width=None):
    """Images whose pixels hold (image, row, column), so that patches say where they come from."""
    grid = np.meshgrid(np.arange(n), np.arange(height), np.arange(width or height), indexing="ij")
    return np.stack(grid, axis=-1).astype(np.int32)


def assert_blocks(cut, size):
    """Every patch must be a contiguous square of its own image."""
    n, k = cut.shape[:2]
    corners = cut[:, :, :1, :1]
    steps = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1)
    expected = corners + np.concatenate([np.zeros((size, size, 1), int), steps], axis=-1)
    np.testing.assert_array_equal(cut, np.broadcast_to(expected, (n, k, size, size, 3)))
    np.testing.assert_array_equal(cut[:, :, 0, 0, 0], np.arange(n)[:, None].repeat(k, 1))


def test_random_origins_cover_the_cells_as_recorded():
    """300 draws, ten at a time."""
    draws = np.random.RandomState(0).uniform(size=(30, 10, 9, 2)).astype(np.float32)
    images = tf.constant(coordinates(10, 255))
    cuts = [patches.cut(images, d, patches_per_side=3, patch_size=64) for d in draws]
    assert cuts[0].shape == (10, 9, 64, 64, 3)
    assert_blocks(cuts[0].numpy(), 64)
    origins = np.concatenate([cut[:, :, 0, 0, 1:] for cut in cuts])
    recorded = PREPROCESS["crop_patches_train_255_3_21"]
    np.testing.assert_array_equal(origins.min(axis=0), recorded["origin_min"])
    np.testing.assert_array_equal(origins.max(axis=0), recorded["origin_max"])


def test_offsets_are_uniform_and_in_range():
    draws = (np.arange(2200) + 0.5) / 2200
    draws = np.concatenate([draws, [0.0, np.nextafter(np.float32(1), np.float32(0))]])
    draws = np.tile(draws[:, None, None].astype(np.float32), (1, 4, 2))
    images = tf.broadcast_to(coordinates(1, 30), (len(draws), 30, 30, 3))
    corner = patches.cut(images, draws, patches_per_side=2, patch_size=4).numpy()[:, 0, 0, 0, 1]
    room = 30 // 2 - 4
    assert (corner.min(), corner.max()) == (0, room)
    counts = np.bincount(corner[:2200], minlength=room + 1)
    assert counts.max() - counts.min() <= 1
    assert list(corner[2200:]) == [0, room]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_cut_compiles_and_keeps_the_type(dtype):
    images = np.random.RandomState(0).randint(0, 256, (3, 41, 41, 3)).astype(dtype)
    draws = np.random.RandomState(1).uniform(size=(3, 9, 2)).astype(np.float32)

    def run(x, d):
        return patches.cut(x, d, patches_per_side=3, patch_size=8)

    plain, compiled = run(images, draws), tf.function(run, jit_compile=True)(images, draws)
    assert plain.dtype == dtype
    np.testing.assert_array_equal(plain, compiled)


@pytest.mark.parametrize("name", PREPROCESS["crop_patches_eval"])
def test_regular_origins_equal_released_code(name):
    recorded = PREPROCESS["crop_patches_eval"][name]
    size = int(name.split("_")[0].removeprefix("size"))
    patch_size = recorded["shape"][1]
    cut = patches.cut_regular(coordinates(2, size), patches_per_side=3, patch_size=patch_size)
    assert_blocks(cut.numpy(), patch_size)
    np.testing.assert_array_equal(cut[0, :, 0, 0, 1:], recorded["origins"])


def test_regular_patches_of_an_oblong_image():
    cut = patches.cut_regular(coordinates(1, 20, 40), patches_per_side=2, patch_size=8).numpy()
    np.testing.assert_array_equal(cut[0, :, 0, 0, 1:], [[1, 6], [1, 26], [11, 6], [11, 26]])


def test_random_patches_are_grey_or_coloured_and_standardised():
    r = np.random.RandomState(0)
    images = r.randint(0, 256, (40, 60, 60, 3)).astype(np.uint8)
    draws = r.uniform(size=(40, 9 * patches.DRAWS)).astype(np.float32)

    def run(x, d):
        return patches.random_patches(x, d, patches_per_side=3, patch_size=16)

    result = tf.function(run, jit_compile=True)(images, draws).numpy()
    assert result.shape == (40, 9, 16, 16, 3)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.mean(axis=(2, 3, 4)), 0, atol=1e-5)
    np.testing.assert_allclose(result.std(axis=(2, 3, 4)), 1, atol=1e-5)
    is_grey = np.ptp(result, axis=-1).max(axis=(2, 3)) < 1e-6
    np.testing.assert_array_equal(is_grey, draws.reshape(40, 9, 3)[..., 2] < 2 / 3)
    mixed = is_grey.any(axis=1) & ~is_grey.all(axis=1)
    assert mixed.mean() > 0.9, "patches of one image must decide for themselves"
    assert abs(is_grey.mean() - 2 / 3) < 0.1


def test_regular_patches_are_standardised_tiles():
    images = np.random.RandomState(0).uniform(0, 255, (2, 24, 24, 3)).astype(np.float32)
    result = patches.regular_patches(images, patches_per_side=3, patch_size=8)
    tile = tf.image.per_image_standardization(images[1, 8:16, 16:24])
    np.testing.assert_allclose(result[1, 5], tile, atol=1e-5)


def test_gaps_between_neighbours_are_random():
    """The gap between neighbouring patches is random: nothing continues over a fixed border."""
    draws = np.random.RandomState(3).uniform(size=(500, 9, 2)).astype(np.float32)
    images = tf.broadcast_to(coordinates(1, 30), (500, 30, 30, 3))
    cut = patches.cut(images, draws, patches_per_side=3, patch_size=6).numpy()
    columns = cut[:, :, 0, 0, 2].reshape(500, 3, 3)
    gaps = columns[:, :, 1:] - columns[:, :, :-1] - 6
    assert gaps.min() == 0
    assert gaps.max() == 2 * (10 - 6)
    assert len(np.unique(gaps)) == 2 * (10 - 6) + 1


@pytest.mark.parametrize("name", ["perms", "relative"])
@pytest.mark.parametrize("embeddings", ["embed1", "embed2", "embed_idx"])
def test_concatenation_equals_released_code(embeddings, name):
    recorded = np.load(GOLDEN / "patch_permute.npz")
    inputs = recorded[embeddings].reshape(-1, 9, recorded[embeddings].shape[-1])
    permutations = recorded["perms" if name == "perms" else "relative_perms"]
    permutations = np.broadcast_to(permutations, (len(inputs), *permutations.shape))
    expected = recorded[f"out_{embeddings}_{name}"]
    expected = expected.reshape(len(inputs), -1, expected.shape[-1])
    result = patches.concatenate_permuted(tf.constant(inputs), tf.constant(permutations))
    np.testing.assert_array_equal(result, expected)
    if name == "relative":
        np.testing.assert_array_equal(patches.pairs(tf.constant(inputs)), expected)


def test_pairs_are_the_recorded_locations():
    locations = np.load(GOLDEN / "patch_locations.npz")["perms"]
    embeddings = tf.reshape(tf.range(9.0), (1, 9, 1))
    np.testing.assert_array_equal(patches.pairs(embeddings)[0], locations)


def test_each_image_has_its_own_permutations():
    embeddings = np.random.RandomState(0).standard_normal((2, 4, 3)).astype(np.float32)
    permutations = np.array([[[3, 1, 0, 2]], [[0, 2, 1, 3]]])
    result = patches.concatenate_permuted(tf.constant(embeddings), tf.constant(permutations))
    for n in range(2):
        np.testing.assert_array_equal(result[n, 0], embeddings[n][permutations[n, 0]].T.ravel())


def test_average_of_every_layer():
    r = np.random.RandomState(0)
    layers = {
        "block1": r.standard_normal((18, 4, 4, 2)).astype(np.float32),
        "pre_logits": r.standard_normal((18, 5)).astype(np.float32),
    }
    result = patches.average({k: tf.constant(v) for k, v in layers.items()}, 9)
    assert {k: tuple(v.shape) for k, v in result.items()} == {
        "block1": (2, 4, 4, 2),
        "pre_logits": (2, 5),
    }
    for name, value in layers.items():
        np.testing.assert_allclose(result[name][1], value[9:].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((255, 86, 3), "3×3 patches of 86 pixels need at least 258 pixels a side, got 255"),
        ((255, 85, 3), "no room for random gaps: .* at least 258 pixels"),
        ((255, 64, 1), "patches per side must be at least 2, got 1"),
        ((255, 0, 3), "patch size must be at least 1 pixel, got 0"),
    ],
)
def test_patches_that_do_not_fit(size, message):
    with pytest.raises(ValueError, match=message) as raised:
        patches.check(*size)
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match=message):
        patches.cut(
            tf.zeros((1, size[0], size[0], 3)),
            tf.zeros((1, size[2] ** 2, 2)),
            patch_size=size[1],
            patches_per_side=size[2],
        )


def test_other_misuse():
    with pytest.raises(ValueError, match="cut from square images"):
        patches.cut(tf.zeros((1, 9, 12, 3)), tf.zeros((1, 4, 2)), patches_per_side=2, patch_size=2)
    with pytest.raises(ValueError, match="need at least 192 pixels a side, got 191"):
        patches.cut_regular(tf.zeros((1, 191, 191, 3)), patches_per_side=3, patch_size=64)
    with pytest.raises(ValueError, match="must be odd, but the grid has 4 patches"):
        patches.pairs(tf.zeros((1, 4, 5)))
    patches.check(255, 64, 3)
