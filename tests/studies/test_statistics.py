"""Spreads and rank correlations."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from studies import frames, statistics


def test_spread():
    frame = pd.DataFrame({"seed": [0, 1, 2, 0], "top1": [0.80, 0.84, 0.82, 0.8], "k": [1, 1, 1, 2]})
    assert list(frames.spreads(frame, ["k"]).text) == ["82.0 ± 2.0 (3)", "80.0 (1)"]


def test_spreads_leave_out_what_was_not_measured():
    frame = pd.DataFrame({"task": ["a", "a", "b"], "top1": [1.0, 3.0, None]})
    found = frames.spreads(frame, ["task"])
    assert list(found.task) == ["a"]
    assert list(found["mean"]) == [2.0]


def test_coefficients_are_scipys():
    first = [[0.1], [0.5], [0.3], [0.9], [0.3]]
    second = [[0.2], [0.4], [0.1], [0.8], [0.6]]
    found = statistics.rank_correlation(first, second, paired=False)
    flat = [np.ravel(values) for values in (first, second)]
    assert found.spearman == pytest.approx(stats.spearmanr(*flat).statistic)
    assert found.kendall == pytest.approx(stats.kendalltau(*flat).statistic)
    assert found.p == pytest.approx(stats.kendalltau(*flat).pvalue)
    assert found.spearman_interval is None, "one seed each"
    assert found.count == 5


def test_resampled_coefficients_are_scipys():
    random = np.random.default_rng(0)
    # Small whole numbers, so that there are ties.
    first, second = random.integers(0, 4, (2, 50, 5)).astype(float)
    table = statistics.coefficients_of_rows(first, second)
    expected = [
        (stats.spearmanr(a, b).statistic, stats.kendalltau(a, b).statistic)
        for a, b in zip(first, second, strict=True)
        if np.ptp(a) and np.ptp(b)
    ]
    np.testing.assert_allclose(table, expected, atol=1e-12)


def test_the_interval_comes_from_the_seeds():
    sure = [[0.1, 0.11], [0.5, 0.51], [0.9, 0.91]]
    found = statistics.rank_correlation(sure, sure, paired=False)
    assert found.spearman_interval == (1.0, 1.0)
    vague = [[0.1, 0.9], [0.5, 0.51], [0.2, 0.8]]
    found = statistics.rank_correlation(sure, vague, paired=False)
    assert found.spearman_interval[0] < 0 < found.spearman_interval[1]
    again = statistics.rank_correlation(sure, vague, paired=False)
    assert found == again, "seeded"


def test_pairs_are_drawn_together():
    values = [[0.1, 0.9], [0.5, 0.4], [0.2, 0.8]]
    assert statistics.rank_correlation(values, values, paired=True).kendall_interval == (1.0, 1.0)
    assert statistics.rank_correlation(values, values, paired=False).kendall_interval[0] < 1.0


@pytest.mark.parametrize("second", [[[0.1], [0.2]], [[0.5], [0.5], [0.5]]])
def test_nothing_to_rank(second):
    found = statistics.rank_correlation([[0.1], [0.2], [0.3]][: len(second)], second, paired=False)
    assert found.spearman is found.kendall is found.p is None


def test_in_order_repeats_nothing():
    assert frames.in_order(["b", "z", "a", "b"], ("c", "b", "a", "b")) == ["b", "a", "z"]
