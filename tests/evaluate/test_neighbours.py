"""The nearest-neighbours probe against a plain search."""

import numpy as np
import pytest

from evaluate import neighbours
from evaluate.neighbours import evaluate


def clusters(
    num_examples: int, num_classes: int = 8, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_examples)
    centres = np.random.default_rng(99).standard_normal((num_classes, 30))
    return (centres[labels] + 2 * rng.standard_normal((num_examples, 30))).astype("f4"), labels


def plain_accuracies(train_features, train_labels, features, labels, k: int) -> tuple[float, float]:
    """One example after the other, with Python's own sorting."""
    hits = {1: 0, 5: 0}
    train_features = train_features.astype(np.float64)
    for example, label in zip(features.astype(np.float64), labels, strict=True):
        cosines = train_features @ example / np.linalg.norm(train_features, axis=1)
        cosines /= np.linalg.norm(example)
        nearest = np.argsort(-cosines)[:k]
        classes = {
            voted: (
                -(train_labels[nearest] == voted).sum(),
                -cosines[nearest][train_labels[nearest] == voted].sum(),
            )
            for voted in train_labels[nearest]
        }
        ranking = sorted(classes, key=classes.get)
        for best in hits:
            hits[best] += label in ranking[:best]
    return hits[1] / len(labels), hits[5] / len(labels)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_accuracies_are_those_of_a_plain_search(k: int, dtype: type, monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK_BYTES", 64 * 30 * 4)
    train_features, train_labels = clusters(500)
    features, labels = clusters(150, seed=1)
    train_features, features = train_features.astype(dtype), features.astype(dtype)
    expected = plain_accuracies(train_features, train_labels, features, labels, k)
    assert 0.3 < expected[0] < 0.95
    assert evaluate(
        train_features, train_labels, features, labels, num_classes=8, k=k
    ) == pytest.approx(expected, abs=0.007)


def test_equal_votes_go_to_the_nearer_class() -> None:
    angles = np.array([0.0, 0.5, 0.6, 0.9])
    train_features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    train_labels = np.array([1, 0, 0, 1])
    query = np.array([[1, 0]], np.float32)
    # cos 0 + cos 0.9 = 1.62 < cos 0.5 + cos 0.6 = 1.70.
    top1, _ = evaluate(train_features, train_labels, query, np.array([0]), num_classes=2, k=4)
    assert top1 == 1


def test_lengths_do_not_count_and_zeros_do_no_harm() -> None:
    train_features = np.array([[100, 0], [0, 1], [0, 0]], np.float32)
    query = np.array([[0.1, 1], [0, 0]], np.float32)
    top1, _ = evaluate(train_features, np.arange(3), query, np.array([1, 0]), num_classes=3, k=1)
    assert top1 == 1


def test_few_training_examples_and_classes_without_any() -> None:
    features, _ = clusters(3)
    top1, top5 = evaluate(features, np.arange(3), features, np.arange(3), num_classes=100)
    assert (top1, top5) == (1, 1)
    top1, top5 = evaluate(features, np.arange(3), features, np.array([97, 98, 99]), num_classes=100)
    assert (top1, top5) == (0, 0)


def test_bad_input_is_one_clear_line() -> None:
    features, labels = clusters(50)
    with pytest.raises(ValueError, match="30 features, the others 29"):
        evaluate(features, labels, features[:, :29], labels, num_classes=8)
    with pytest.raises(ValueError, match="at least 1 neighbour, not 0"):
        evaluate(features, labels, features, labels, num_classes=8, k=0)
    with pytest.raises(ValueError, match=r"1500 of 1500 .* NaN"):
        evaluate(features, labels, features * np.nan, labels, num_classes=8)
    with pytest.raises(ValueError, match="0 … 6"):
        evaluate(features, labels, features, labels, num_classes=7)
