"""Colour operations on batches against `tf.image` on single images."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pretext import colour

GOLDEN = Path(__file__).parent.parent / "golden"


def pictures(n=16, size=12, low=0.0, high=1.0):
    r = np.random.RandomState(0)
    images = r.uniform(low, high, (n, size, size, 3)).astype(np.float32)
    images[0] = 0.3  # grey
    images[1] = 0
    images[2, :, :, 1] = images[2, :, :, 0]  # two channels tie
    images[3] = np.round(images[3])  # pure colours
    return images


def draws(n, count, seed=0):
    return np.random.RandomState(seed).uniform(size=(n, count)).astype(np.float32)


@pytest.mark.parametrize("name", ["brightness", "saturation", "hue", "contrast"])
@pytest.mark.parametrize("limits", [(0.0, 1.0), (-0.2, 1.2)])
def test_adjustments_equal_tf_image(name, limits):
    """Also outside [0, 1], where one step leaves pixels for the next."""
    images = pictures(low=limits[0], high=limits[1])
    low, high = (-0.5, 0.5) if name in ("brightness", "hue") else (0.0, 2.5)
    amounts = (low + (high - low) * draws(len(images), 1)[:, 0]).astype(np.float32)
    adjust = getattr(colour, f"adjust_{name}")
    single = getattr(tf.image, f"adjust_{name}")
    expected = np.stack([single(x, a) for x, a in zip(images, amounts, strict=True)])
    np.testing.assert_allclose(adjust(images, amounts), expected, atol=2e-6)


def inception(image, draw, fast):
    """The distortion of one image, spelled with `tf.image`."""
    order = int(draw[4] * 4)
    amounts = {
        "brightness": (2 * draw[0] - 1) * 32 / 255,
        "saturation": 0.5 + draw[1],
        "hue": (2 * draw[2] - 1) * 0.2,
        "contrast": 0.5 + draw[3],
    }
    names = [
        ["brightness", "saturation", "hue", "contrast"],
        ["saturation", "brightness", "contrast", "hue"],
        ["contrast", "hue", "brightness", "saturation"],
        ["hue", "saturation", "contrast", "brightness"],
    ][order]
    if fast:
        names = ["saturation", "brightness"] if order else ["brightness", "saturation"]
    for name in names:
        image = getattr(tf.image, f"adjust_{name}")(image, amounts[name])
    return tf.clip_by_value(image, 0, 1)


@pytest.mark.parametrize("fast", [True, False])
def test_distortion_equals_tf_image_in_every_order(fast):
    images, d = pictures(32), draws(32, colour.DRAWS)
    assert len(set((d[:, 4] * 4).astype(int))) == 4
    expected = np.stack([inception(x, u, fast) for x, u in zip(images, d, strict=True)])

    def run(x, u):
        return colour.distort(x, u, fast=fast)

    np.testing.assert_allclose(run(images, d), expected, atol=5e-6)
    np.testing.assert_allclose(tf.function(run, jit_compile=True)(images, d), expected, atol=5e-6)


def test_distortion_depends_on_each_image_alone():
    images, d = pictures(), draws(16, colour.DRAWS)
    whole = colour.distort(images, d, fast=False)
    part = colour.distort(images[5:7], d[5:7], fast=False)
    np.testing.assert_allclose(whole[5:7], part, atol=1e-6)


def test_middle_draws_change_nothing():
    d = np.full((16, colour.DRAWS), 0.5, np.float32)
    for fast in (True, False):
        np.testing.assert_allclose(colour.distort(pictures(), d, fast=fast), pictures(), atol=2e-6)


@pytest.mark.parametrize("leading", [(6,), (2, 3)])
def test_grey_views_and_patches(leading):
    images = np.random.RandomState(0).randint(0, 256, (*leading, 5, 4, 3)).astype(np.uint8)
    d = np.linspace(0, 1, 6, endpoint=False).reshape(leading).astype(np.float32)
    result = colour.grey(images, d, 0.5).numpy()
    assert result.dtype == np.float32
    mean = np.broadcast_to(images.mean(axis=-1, keepdims=True), images.shape)
    np.testing.assert_allclose(result[d < 0.5], mean[d < 0.5], rtol=1e-6)
    np.testing.assert_array_equal(result[d >= 0.5], images[d >= 0.5])
    assert (d < 0.5).sum() == 3


def test_never_and_always_grey():
    images, d = pictures(), np.zeros(16, np.float32)
    np.testing.assert_array_equal(colour.grey(images, d, 0.0), images)
    assert np.ptp(colour.grey(images, d + 0.999999, 1.0), axis=-1).max() == 0


def test_grey_and_standardised_equal_released_code():
    recorded = np.load(GOLDEN / "preprocess.npz")
    image = recorded["img"]
    np.testing.assert_allclose(
        colour.grey(image[None], tf.zeros(1), 1.0)[0], recorded["to_gray_p1"], rtol=1e-6
    )
    np.testing.assert_allclose(colour.standardise(image), recorded["standardization"], atol=1e-5)
    np.testing.assert_allclose(
        colour.standardise(recorded["patches"][None])[0],
        recorded["standardization_patches"],
        atol=1e-5,
    )
    constant = np.full((4, 4, 3), 17, np.uint8)
    np.testing.assert_array_equal(
        colour.standardise(constant), recorded["standardization_constant"]
    )
