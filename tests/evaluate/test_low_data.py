"""A part of the labels: balanced, seeded, nested, and the same whatever the features are."""

import numpy as np
import pytest

import data
from evaluate.features import RowBlocks
from evaluate.logistic_regression import fit
from evaluate.low_data import ChosenRows, choose, records_part, subset


def test_as_many_of_every_class() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 100))
    chosen = subset(labels, 0.1, seed=0)
    np.testing.assert_array_equal(np.bincount(labels[chosen]), np.full(10, 10))
    assert (np.diff(chosen) > 0).all()


def test_classes_of_different_sizes_are_evened_out() -> None:
    labels = np.repeat([0, 1, 2, 4], [1000, 300, 20, 3])
    counts = np.bincount(labels[subset(labels, 0.1, seed=1)], minlength=5)
    assert counts.sum() == 132
    assert counts[[2, 3, 4]].tolist() == [20, 0, 3]
    assert abs(counts[0] - counts[1]) <= 1


def test_at_least_one_of_every_class_and_all_of_all() -> None:
    labels = np.repeat(np.arange(50), 4)
    assert len(subset(labels, 1e-6, seed=0)) == 50
    assert sorted(labels[subset(labels, 0.01, seed=0)]) == list(range(50))
    np.testing.assert_array_equal(subset(labels, 1.0, seed=3), np.arange(200))


def test_the_seed_decides_and_smaller_parts_lie_in_larger_ones() -> None:
    labels = np.random.default_rng(0).integers(0, 7, 900)
    first, again, other = (subset(labels, 0.1, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)
    assert set(subset(labels, 0.05, 0)) < set(first) < set(subset(labels, 0.2, 0))


def test_an_unreadable_image_hardly_changes_the_part() -> None:
    labels = np.random.default_rng(0).integers(0, 7, 900)
    kept = np.delete(np.arange(900), [3, 400])
    whole = set(subset(labels, 0.1, 0))
    part = set(kept[subset(labels[kept], 0.1, 0, positions=kept)])
    assert len(whole ^ part) <= 6


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.5, float("nan")])
def test_a_fraction_is_above_0_and_at_most_1(fraction: float) -> None:
    with pytest.raises(ValueError, match="use a number above 0 and at most 1"):
        subset(np.zeros(3, int), fraction, 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_chosen_rows_are_read_and_fitted_like_a_copy(dtype: type) -> None:
    random = np.random.default_rng(0)
    features = random.standard_normal((500, 33)).astype(dtype)
    labels = (features[:, 0] + 0.5 * random.standard_normal(500) > 0).astype(int)
    chosen = subset(labels, 0.3, 0)
    view = choose(features, chosen)
    assert isinstance(view, ChosenRows)
    assert choose(features, np.arange(500)) is features
    np.testing.assert_array_equal(RowBlocks(view).read(32, 96), features[chosen[32:96]])
    probes = [fit(each, labels[chosen], num_classes=2, l2=1e-2) for each in (view, view[:])]
    # SciPy stops where the gradient is below 1e-5: within 1e-5 / (2 · l2) of the optimum each.
    np.testing.assert_allclose(probes[0].weights, probes[1].weights, atol=1e-3)


def test_a_part_of_unread_records_is_the_same_part(labelled_folder) -> None:
    records = data.load("folder", "all", labelled_folder)
    assert records_part(records, 1.0, seed=0) is records
    part = records_part(records, 0.3, seed=3)
    entries, chosen = ([*each.entries().as_numpy_iterator()] for each in (records, part))
    labels = np.array([entry["label"] for entry in entries])
    expected = [entries[row]["id"] for row in subset(labels, 0.3, seed=3)]
    assert [entry["id"] for entry in chosen] == expected
    assert part.size == len(expected) == 36
    assert part.fingerprint != records.fingerprint
