"""The label-free scores of matrices whose singular values are known."""

import numpy as np
import pytest

from evaluate import label_free
from evaluate.label_free import label_free_scores


def features_with(singular: list[float], num_examples: int, num_features: int) -> np.ndarray:
    """Centred features with these singular values, and an offset that must not count."""
    rng = np.random.default_rng(0)
    left = rng.standard_normal((num_examples, len(singular)))
    left, _ = np.linalg.qr(left - left.mean(axis=0))
    right, _ = np.linalg.qr(rng.standard_normal((num_features, len(singular))))
    return ((left * singular) @ right.T + rng.standard_normal(num_features)).astype(np.float32)


@pytest.mark.parametrize("max_size", [2048, 40])
def test_known_singular_values(max_size: int, monkeypatch) -> None:
    # With 30 examples, all of them, both ways must agree.
    monkeypatch.setattr(label_free, "MAX_SIZE", max_size)
    singular = np.linspace(10, 1, 14)
    scores = label_free_scores(features_with(list(singular), 30, 60))
    shares = singular / singular.sum()
    entropy = -(shares * np.log(shares)).sum()
    assert scores.effective_rank == pytest.approx(np.exp(entropy), rel=1e-3)
    squares = singular**2
    assert scores.first_ten_variance == pytest.approx(squares[:10].sum() / squares.sum(), rel=1e-4)


def test_equal_directions_count_one_each() -> None:
    scores = label_free_scores(features_with([5.0] * 20, 100, 50))
    assert scores.effective_rank == pytest.approx(20, rel=1e-3)
    assert scores.first_ten_variance == pytest.approx(0.5, rel=1e-4)


def test_a_drawn_subset_is_close_and_repeatable(monkeypatch) -> None:
    features = features_with(list(np.linspace(10, 1, 12)), 3000, 50)
    exact = label_free_scores(features)
    monkeypatch.setattr(label_free, "MAX_SIZE", 49)
    assert label_free_scores(features, seed=1) == label_free_scores(features, seed=1)
    assert label_free_scores(features, seed=1) != label_free_scores(features, seed=2)
    drawn = label_free_scores(features, seed=1)
    assert drawn.effective_rank == pytest.approx(exact.effective_rank, rel=0.1)
    assert drawn.first_ten_variance == pytest.approx(exact.first_ten_variance, abs=0.05)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_constant_features_have_no_direction(dtype: type) -> None:
    for value in (0.0, 0.1, -70.0):
        scores = label_free_scores(np.full((1000, 12), value, dtype))
        assert (scores.effective_rank, scores.first_ten_variance) == (0, 1)
    one = np.ones((100, 3), dtype)
    one[:, 1] = np.arange(100)
    assert label_free_scores(one).effective_rank == pytest.approx(1, rel=1e-3)


def test_one_example_has_no_direction() -> None:
    assert label_free_scores(np.ones((1, 5), np.float32)).effective_rank == 0


def test_nan_is_one_clear_line() -> None:
    with pytest.raises(ValueError, match="NaN"):
        label_free_scores(np.full((4, 4), np.nan, np.float32))
