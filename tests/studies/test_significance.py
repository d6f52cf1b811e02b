"""Tests of means, Holm's correction and the logic of verdicts, against SciPy and by hand."""

import dataclasses
import itertools

import pytest
from scipy import stats

from studies.significance import Cells, Comparison, all_of, any_of, holm, opposite, rank_agreement


def cells(**values: list[float]) -> Cells[str]:
    return Cells({name: dict(enumerate(seeds)) for name, seeds in values.items()})


def comparison(p: float | None, difference: float = 1.0) -> Comparison:
    return Comparison("", difference, None if p is None else 0.1, p, (2, 2), ())


def test_two_cells_of_one_spread_are_students_t():
    a, b = [0.50, 0.52, 0.54], [0.57, 0.59, 0.61]
    found = cells(a=a, b=b).compare("", "b", "a")
    expected = stats.ttest_ind(b, a)
    assert found.difference == pytest.approx(0.07)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.error == pytest.approx(0.07 / expected.statistic)


def test_one_cell_against_zero_is_students_t():
    values = [0.01, 0.03, 0.02]
    assert cells(a=values).above("", "a").p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_other_cells_widen_an_error_and_create_none():
    alone = cells(a=[0.5, 0.501], b=[0.6, 0.601])
    beside = cells(a=[0.5, 0.501], b=[0.6, 0.601], c=[0.2, 0.4], d=[0.1, 0.3], e=[0.7])
    assert beside.compare("", "b", "a").error > 10 * alone.compare("", "b", "a").error
    assert alone.compare("", "b", "a").sign == 1
    assert beside.compare("", "b", "a").sign == 0
    single = beside.compare("", "e", "a")
    assert (single.error, single.p, single.sign) == (None, None, 0)
    assert single.difference == pytest.approx(0.1995)


def test_a_cell_that_varies_more_than_the_others_is_judged_by_itself():
    steady = {name: [0.5, 0.502] for name in "cdefghij"}
    found = cells(a=[0.5, 0.502], b=[0.55, 0.65], **steady).compare("", "b", "a")
    by_itself = stats.ttest_ind([0.5, 0.502], [0.55, 0.65], equal_var=False)
    assert found.sign == 0
    assert 0.5 * by_itself.pvalue < found.p < by_itself.pvalue
    assert cells(a=[0.5, 0.502], b=[0.599, 0.601], **steady).compare("", "b", "a").sign == 1


def test_no_spread_and_no_difference():
    same = cells(a=[0.1 + 0.2] * 2, b=[0.3] * 2, c=[0.4] * 2)
    assert same.compare("", "a", "b").p == 1.0, "but for rounding"
    assert same.compare("", "c", "b").p == 0.0


def test_kinds_do_not_share_a_spread():
    values = {("x", 1): [0.5, 0.51], ("x", 2): [0.6, 0.61], ("y", 1): [0.1, 0.9]}
    found = Cells({key: dict(enumerate(v)) for key, v in values.items()}, alike=lambda key: key[0])
    assert found.error(("x", 1)) == pytest.approx(0.005)


def test_a_bound():
    found = cells(a=[0.500, 0.502, 0.501], b=[0.505, 0.507, 0.506])
    assert found.compare("", "b", "a", below=0.02).sign == 1
    assert found.compare("", "b", "a", below=0.001).sign == -1
    assert "predicted below +2" in str(found.compare("", "b", "a", below=0.02))
    assert ": +0.5 ±" in str(found.compare("", "b", "a", below=0.02)), "the difference itself"


def test_holm_by_hand():
    raw = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "e": None}
    found = holm({name: comparison(p) for name, p in raw.items()})
    assert {name: each.p for name, each in found.items()} == {
        **{"a": pytest.approx(0.03), "b": pytest.approx(0.06), "c": pytest.approx(0.06)},
        **{"d": pytest.approx(0.02), "e": None},
    }
    assert [each.sign for each in found.values()] == [1, 0, 0, 1, 0]
    assert holm({1: comparison(0.9), 2: comparison(0.8)})[1].p == 1.0


def test_signs():
    assert comparison(0.05).sign == 1
    assert comparison(0.051).sign == 0
    assert comparison(0.01, -1.0).sign == -1


def test_the_logic_of_verdicts():
    assert all_of([1, 1]) == 1
    assert all_of([1, 0]) == 0, "not in each"
    assert all_of([1, 0, -1]) == -1, "one counterexample"
    assert any_of([-1, 0, 1]) == 1
    assert any_of([-1, 0]) == 0
    assert any_of([-1, -1]) == -1
    assert all_of([]) == any_of([]) == 0
    signs = {(a, b): opposite(a, b) for a, b in itertools.product((1, 0, -1), repeat=2)}
    assert [pair for pair, sign in signs.items() if sign == 1] == [(1, -1), (-1, 1)]
    assert [pair for pair, sign in signs.items() if sign == -1] == [(1, 1), (-1, -1)]


def test_rank_agreement():
    steps = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    sure = Cells({i: {0: step, 1: step + 0.001} for i, step in enumerate(steps)})
    vague = Cells({i: {0: step - 0.2, 1: step + 0.2} for i, step in enumerate(steps)})
    back = Cells({i: {0: -step, 1: -step - 0.001} for i, step in enumerate(steps)})
    single = Cells({i: {0: step} for i, step in enumerate(steps)})
    pairs = [(i, i) for i in range(6)]
    assert rank_agreement(sure, sure, pairs, any_turned=False).sign == 1
    assert rank_agreement(sure, vague, pairs, any_turned=False).sign == 0
    assert rank_agreement(sure, back, pairs, any_turned=True).sign == -1
    assert rank_agreement(sure, back, pairs, any_turned=False).sign == 0, "none beyond the noise"
    assert rank_agreement(sure, single, pairs, any_turned=False).sign == 0
    assert rank_agreement(sure, sure, pairs[:4], any_turned=False).sign == 0, "four may by chance"


def test_a_comparison_in_words():
    made = dataclasses.replace(comparison(0.0123), label="b over a")
    assert str(made) == "b over a: +100.0 ± 10.0 (2 + 2 seeds, p 0.012)"
    assert str(dataclasses.replace(made, p=None, error=None, seeds=(1,))) == (
        "b over a: +100.0 (1 seed)"
    )
