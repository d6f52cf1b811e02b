"""Neighbour stability against a plain search, and what a collapsed network gets."""

import numpy as np
import pytest

from evaluate import neighbour_stability as module
from evaluate.neighbour_stability import neighbour_stability, recognised


def views(noise: float, count: int = 150, dtype: type = np.float32) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((count, 30))
    return tuple(
        (images + noise * rng.standard_normal(images.shape)).astype(dtype) for _ in range(2)
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_same_images_as_a_plain_search_finds(dtype: type, monkeypatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 64 * 30 * 4)  # Three blocks, the last one short.
    first, second = views(noise=1.2, dtype=dtype)
    cosines = first.astype("f8") @ second.astype("f8").T
    cosines /= np.linalg.norm(second.astype("f8"), axis=1)
    expected = cosines.argmax(axis=1) == np.arange(len(first))
    assert 0.2 < expected.mean() < 0.8
    np.testing.assert_array_equal(recognised(first, second), expected)
    assert neighbour_stability(first, second) == pytest.approx(expected.mean())


def test_one_view_twice_is_always_recognised_and_lengths_do_not_count() -> None:
    first, _ = views(noise=0)
    assert neighbour_stability(first, first) == 1
    lengths = np.linspace(1, 9, len(first), dtype=np.float32)[:, None]
    assert neighbour_stability(first, first * lengths) == 1


@pytest.mark.parametrize("value", [0, 0.1, -70])
def test_a_collapsed_network_recognises_nothing(value: float, monkeypatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 32 * 30 * 4)
    constant = np.full((100, 30), value, np.float32)
    assert neighbour_stability(constant, constant) == 0


def test_bad_input_is_one_clear_line() -> None:
    first, second = views(noise=1)
    with pytest.raises(ValueError, match="same images and the same layer"):
        recognised(first, second[:-1])
    with pytest.raises(ValueError, match="one image"):
        recognised(first[:1], second[:1])
    with pytest.raises(ValueError, match="NaN"):
        recognised(first, second * np.nan)
