import io
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data import images

FOLDER = pathlib.Path(__file__).parents[1] / "golden"
GOLDEN = json.loads((FOLDER / "preprocess.json").read_text())
SEED = tf.constant([1, 2], tf.int64)


def encode(pixels: np.ndarray, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def photograph(height: int, width: int) -> np.ndarray:
    """Pixels that tell their place: red is the row, green the column."""
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.stack([rows % 256, columns % 256, rows // 256 + columns // 256], -1).astype(np.uint8)


@pytest.mark.parametrize("case", GOLDEN["resize_small_shapes"])
def test_smaller_side_as_in_the_released_code(case):
    size, small = case.split("_small")
    height, width = map(int, size.split("x"))
    resized = images.resize_smaller_side(tf.zeros([height, width, 3], tf.uint8), int(small))
    assert list(resized.shape) == GOLDEN["resize_small_shapes"][case]


@pytest.mark.parametrize("case", "abc")
def test_values_as_in_the_released_code(case):
    recorded = np.load(FOLDER / "resize_small.npz")
    pixels, small = recorded[f"{case}__image"], int(recorded[f"{case}__smaller"])
    expected = recorded[f"{case}__resized"]
    np.testing.assert_array_equal(images.resize_smaller_side(pixels, small), expected)
    # And in what a representation is measured on, and a probe trained on.
    view = images.CentralCrop(small, 32)(encode(pixels), SEED).numpy()
    top, left = (side // 2 - 16 for side in expected.shape[:2])
    np.testing.assert_array_equal(view, expected[top : top + 32, left : left + 32])
    view = images.RandomCrop(small, 32, flip=False, method="area")(encode(pixels), SEED).numpy()
    windows = np.lib.stride_tricks.sliding_window_view(expected, view.shape)
    assert (windows == view).all((-3, -2, -1)).sum() == 1


@pytest.mark.parametrize(
    "view", [images.CentralCrop(48, 40), images.RandomCrop(48, 40, flip=False, method="area")]
)
def test_representations_see_every_pixel_of_a_large_photograph(view):
    size = 480
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (size, size, 1), np.uint8).repeat(3, 2)
    encoded = encode(pixels, "JPEG")
    decoded = np.asarray(images.decode(tf.constant(encoded)), float)
    means = decoded.reshape(48, 10, 48, 10, 3).mean((1, 3))
    windows = np.lib.stride_tricks.sliding_window_view(means, (40, 40, 3))
    differences = np.abs(windows - view(encoded, SEED).numpy()).max((-3, -2, -1))
    assert differences.min() < 1e-3


@pytest.mark.parametrize("case", GOLDEN["central_crop"])
def test_central_crop_as_in_the_released_code(case):
    size, crop = case.split("_crop")
    height, width = map(int, size.split("x"))
    view = images.CentralCrop(0, int(crop.split("x")[0]))(encode(photograph(height, width)), SEED)
    assert list(view.shape) == GOLDEN["central_crop"][case]["shape"]
    top, left = GOLDEN["central_crop"][case]["origin"]
    expected = photograph(height, width)[top : top + view.shape[0], left : left + view.shape[1]]
    np.testing.assert_array_equal(view, expected)


def test_resizing_is_symmetric():
    image = np.random.default_rng(0).integers(0, 256, (37, 37, 3), np.uint8)
    resize = lambda pixels: images.resize_smaller_side(tf.constant(pixels), 24).numpy()  # noqa: E731
    for turns in range(4):
        turned = np.rot90(resize(image), turns)
        np.testing.assert_allclose(turned, resize(np.rot90(image, turns).copy()), atol=1e-3)


def test_random_crops_reach_every_place_and_mirror_half_of_them():
    encoded = encode(photograph(12, 14))
    view = images.RandomCrop(0, 8)
    origins, mirrored = set(), 0
    for seed in range(300):
        pixels = view(encoded, tf.constant([seed, 0], tf.int64)).numpy().astype(int)
        flipped = pixels[0, 0, 1] > pixels[0, 1, 1]
        mirrored += flipped
        origins.add((pixels[0, 0, 0], pixels[0, :, 1].min()))
    assert origins == {(top, left) for top in range(5) for left in range(7)}
    assert 110 < mirrored < 190


def test_inception_crops_cover_the_areas_they_should():
    encoded = encode(photograph(200, 200))
    view = images.InceptionCrop(32)
    areas = []
    for seed in range(200):
        pixels = view(encoded, tf.constant([seed, 0], tf.int64)).numpy().astype(float)
        assert pixels.shape == (32, 32, 3)
        areas.append(np.ptp(pixels[..., 0]) * np.ptp(pixels[..., 1]) / 200**2)
    assert min(areas) < 0.12
    assert max(areas) > 0.8
    assert 0.3 < np.mean(areas) < 0.6  # Large ones of the wrong aspect do not fit and are redrawn.


@pytest.mark.parametrize(
    ("size", "largest"),
    [((200, 200), 1.0), ((375, 500), 1.0), ((500, 375), 1.0), ((64, 300), 4 / 3 * 64 / 300)],
)
def test_no_inception_crop_is_below_a_tenth_of_the_image(size, largest):
    view = images.InceptionCrop(32)

    @tf.function
    def shares(seeds: tf.Tensor) -> tf.Tensor:
        def share(seed: tf.Tensor) -> tf.Tensor:
            begin, extent, _ = view.draw(tf.constant(size), seed)
            inside = tf.reduce_all((begin >= 0) & (begin + extent <= size))
            covered = tf.reduce_prod(extent) / (size[0] * size[1])
            return tf.where(inside, covered, -1.0)

        return tf.map_fn(share, seeds, fn_output_signature=tf.float64)

    drawn = shares(tf.stack([tf.range(10_000), tf.zeros(10_000, tf.int32)], 1)).numpy()
    assert 0.1 <= drawn.min() < 0.102
    assert 0.95 * largest < drawn.max() <= largest


def test_an_image_too_long_for_any_rectangle_is_seen_whole():
    begin, extent, _ = images.InceptionCrop(32).draw(tf.constant([30, 500]), SEED)
    assert begin.numpy().tolist() == [0, 0]
    assert extent.numpy().tolist() == [30, 500]


def test_same_seed_same_view():
    encoded = encode(photograph(40, 40), "JPEG")
    view = images.InceptionCrop(16)
    np.testing.assert_array_equal(view(encoded, SEED), view(encoded, SEED))
    assert np.any(view(encoded, SEED) != view(encoded, SEED + 1))


def test_an_image_smaller_than_the_crop():
    with pytest.raises(tf.errors.InvalidArgumentError, match="smaller than the crop of 8 pixels"):
        images.CentralCrop(0, 8)(encode(photograph(7, 20)), SEED)


@pytest.mark.parametrize(
    ("mode", "form"), [("L", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("L", "JPEG")]
)
def test_other_kinds_of_images_become_rgb(mode, form):
    buffer = io.BytesIO()
    Image.fromarray(photograph(20, 20)).convert(mode).save(buffer, form)
    assert images.decode(tf.constant(buffer.getvalue())).shape == (20, 20, 3)
