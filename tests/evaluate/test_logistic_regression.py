"""The probe against scikit-learn, on several replicas, from memory maps, and with bad features."""

import logging
import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from evaluate.logistic_regression import (
    choose_l2,
    evaluate,
    fit,
    held_out_fifth,
    paper_l2,
)

TIGHT = {"ftol": 1e-15, "gtol": 1e-7, "max_updates": 3000}


def examples(
    num_examples: int = 600, num_features: int = 40, num_classes: int = 5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Noisy classes behind a random ReLU layer: correlated features of at least zero."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_examples)
    centres = np.random.default_rng(99).standard_normal((num_classes, 8))
    hidden = centres[labels] + 1.5 * rng.standard_normal((num_examples, 8))
    layer = np.random.default_rng(98).standard_normal((8, num_features))
    return np.maximum(hidden @ layer + 1, 0).astype(np.float32), labels


def objective(features, labels, weights, bias, l2: float) -> float:
    """The textbook formula in float64; `weights` are (D, C)."""
    logits = features.astype(np.float64) @ weights + bias
    logits -= logits.max(axis=1, keepdims=True)
    right = logits[np.arange(len(labels)), labels]
    cross_entropy = np.log(np.exp(logits).sum(axis=1)) - right
    return cross_entropy.mean() + l2 * np.square(weights, dtype=np.float64).sum()


@pytest.mark.parametrize("l2", [1e-1, 1e-3, 1e-4])
def test_the_optimum_is_scikit_learns(l2: float) -> None:
    features, labels = examples()
    test_features, test_labels = examples(2000, seed=1)
    probe = fit(features, labels, num_classes=5, l2=l2, **TIGHT)
    peer = LogisticRegression(C=1 / (2 * l2 * len(labels)), tol=1e-9, max_iter=10000)
    with threadpool_limits(1):  # Its threads and TensorFlow's would wait for each other.
        peer.fit(features.astype(np.float64), labels)

    expected = objective(features, labels, peer.coef_.T, peer.intercept_, l2)
    assert objective(features, labels, probe.weights, probe.bias, l2) == pytest.approx(
        expected, rel=1e-6
    )
    assert probe.objective == pytest.approx(expected, rel=1e-6)
    top1, _, _ = evaluate(probe, test_features, test_labels)
    assert top1 == pytest.approx(peer.score(test_features, test_labels), abs=0.002)


def test_the_reported_numbers_belong_to_the_returned_weights() -> None:
    features, labels = examples()
    reports = []
    probe = fit(
        features, labels, num_classes=5, l2=1e-2, progress=lambda *report: reports.append(report)
    )
    assert probe.converged
    assert probe.weights.shape == (40, 5)
    assert probe.weights.dtype == probe.bias.dtype == np.float32
    assert [update for update, _ in reports] == list(range(1, probe.updates + 1))
    losses = [loss for _, loss in reports]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(probe.objective, rel=1e-7)
    penalised = objective(features, labels, probe.weights, probe.bias, 1e-2)
    assert probe.objective == pytest.approx(penalised, rel=1e-6)
    plain = objective(features, labels, probe.weights, probe.bias, 0)
    assert probe.loss == pytest.approx(plain, rel=1e-6)
    assert evaluate(probe, features, labels)[2] == pytest.approx(plain, rel=1e-6)


def test_several_replicas_find_the_same(mirrored) -> None:
    features, labels = examples(num_examples=333)
    alone = fit(features, labels, num_classes=5, l2=1e-2)
    together = fit(features, labels, num_classes=5, l2=1e-2, strategy=mirrored)
    assert together.objective == pytest.approx(alone.objective, rel=1e-6)
    np.testing.assert_allclose(together.weights, alone.weights, atol=0.02)


def test_a_half_precision_memory_map_is_read_without_a_copy(tmp_path) -> None:
    features, labels = examples(20000, 400)
    np.save(tmp_path / "features.npy", features.astype(np.float16))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    tracemalloc.start()
    try:
        probe = fit(mapped, labels, num_classes=5, l2=1e-2, max_updates=5)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < mapped.nbytes / 4
    in_memory = fit(np.array(mapped, np.float32), labels, num_classes=5, l2=1e-2, max_updates=5)
    assert probe.objective == pytest.approx(in_memory.objective, rel=1e-6)


def test_the_optimum_on_a_half_precision_memory_map_is_scikit_learns(tmp_path) -> None:
    features, labels = examples()
    np.save(tmp_path / "features.npy", features.astype(np.float16))
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    probe = fit(mapped, labels, num_classes=5, l2=1e-3, **TIGHT)
    peer = LogisticRegression(C=1 / (2e-3 * len(labels)), tol=1e-9, max_iter=10000)
    with threadpool_limits(1):
        peer.fit(mapped.astype(np.float64), labels)
    expected = objective(mapped, labels, peer.coef_.T, peer.intercept_, 1e-3)
    assert probe.objective == pytest.approx(expected, rel=1e-6)
    right = evaluate(probe, mapped, labels)[0]
    assert right == pytest.approx(peer.score(mapped.astype(np.float64), labels), abs=0.002)


def test_features_with_a_large_offset_converge_as_fast() -> None:
    features, labels = examples()
    probe = fit(features, labels, num_classes=5, l2=1e-2)
    shifted = fit(features + 8, labels, num_classes=5, l2=1e-2)
    assert shifted.updates <= 1.5 * probe.updates
    assert shifted.objective == pytest.approx(probe.objective, rel=1e-4)


def test_a_warm_start_begins_where_the_other_fit_ended() -> None:
    features, labels = examples()
    probe = fit(features, labels, num_classes=5, l2=1e-2)
    again = fit(features, labels, num_classes=5, l2=1e-2, initial=probe)
    assert again.updates < probe.updates / 4
    with pytest.raises(ValueError, match=r"\(40, 5\), these are \(39, 5\)"):
        fit(
            features,
            labels,
            num_classes=5,
            l2=1,
            initial=fit(features[:, 1:], labels, num_classes=5, l2=1),
        )


def test_the_limit_of_updates_is_reported(caplog) -> None:
    features, labels = examples()
    with caplog.at_level(logging.WARNING, logger="absl"):
        probe = fit(features, labels, num_classes=5, l2=1e-5, max_updates=3)
    assert probe.updates == 3
    assert not probe.converged
    assert "limit of 3 updates" in caplog.text


def test_choose_l2_takes_the_best_on_the_held_out_fifth() -> None:
    features, labels = examples()
    choice = choose_l2(features, labels, num_classes=5, candidates=(1e-2, 1e1))
    assert list(choice.accuracies) == [1e1, 1e-2]
    assert choice.accuracies[choice.l2] == max(choice.accuracies.values())
    assert choice.probe.l2 == choice.l2

    # The same by hand, on copies of the two parts.
    held_out = held_out_fifth(labels, seed=0) == 1
    for l2, accuracy in choice.accuracies.items():
        by_hand = fit(features[~held_out], labels[~held_out], num_classes=5, l2=l2)
        top1, _, _ = evaluate(by_hand, features[held_out], labels[held_out])
        assert accuracy == pytest.approx(top1, abs=0.03)
    refitted = fit(features, labels, num_classes=5, l2=choice.l2)
    assert choice.probe.objective == pytest.approx(refitted.objective, rel=1e-3)


def test_of_equally_good_penalties_the_largest_is_chosen() -> None:
    features = np.repeat(np.eye(2, dtype=np.float32), 10, axis=0)
    choice = choose_l2(features, np.repeat([0, 1], 10), num_classes=2)
    assert set(choice.accuracies.values()) == {1.0}
    assert choice.l2 == 1e-1


def test_the_held_out_fifth_is_balanced_and_seeded() -> None:
    labels = np.repeat([0, 1, 2], [50, 100, 200])
    held_out = held_out_fifth(labels, seed=1)
    assert [held_out[labels == label].sum() for label in range(3)] == [10, 20, 40]
    assert (held_out == held_out_fifth(labels, seed=1)).all()
    assert (held_out != held_out_fifth(labels, seed=2)).any()
    with pytest.raises(ValueError, match="needs 5 examples, there are 4"):
        held_out_fifth(labels[:4], seed=0)


def test_accuracies_of_known_weights() -> None:
    features, labels = examples(num_examples=200, num_classes=12)
    probe = fit(features, labels, num_classes=12, l2=1e-2, max_updates=10)
    order = np.argsort(-(features @ probe.weights + probe.bias), axis=1)
    top1, top5, _ = evaluate(probe, features, labels)
    assert top1 == pytest.approx((order[:, 0] == labels).mean())
    assert top5 == pytest.approx((order[:, :5] == labels[:, None]).any(axis=1).mean())
    assert top1 < top5 < 1


def test_top5_of_three_classes_is_one() -> None:
    features, labels = examples(num_classes=3)
    probe = fit(features, labels, num_classes=3, l2=1e-2, max_updates=1)
    assert evaluate(probe, features, labels)[1] == 1


def test_constant_features_and_missing_classes_are_no_error() -> None:
    features, labels = examples()
    expected = fit(features, labels, num_classes=5, l2=1e-2)
    features = np.concatenate([features, np.full((600, 2), 7, np.float32)], axis=1)
    probe = fit(features, labels, num_classes=7, l2=1e-2, max_updates=200)
    assert np.isfinite(probe.weights).all()
    np.testing.assert_allclose(probe.weights[40:], 0, atol=1e-5)
    assert probe.loss == pytest.approx(expected.loss, rel=1e-3)
    assert evaluate(probe, features, labels)[0] > 0.6


def test_fewer_examples_than_classes_are_no_error() -> None:
    features, _ = examples(num_examples=6)
    probe = fit(features, np.arange(6), num_classes=100, l2=1e-3)
    assert evaluate(probe, features, np.arange(6))[0] == 1
    fit(features[:1], np.zeros(1, int), num_classes=100, l2=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.full((600, 40), np.nan, np.float32)}, "24000 of 24000 .* NaN"),
        ({"features": np.zeros((600, 40))}, "float16 or float32, these are float64"),
        ({"features": np.zeros((600, 4, 10), np.float32)}, "have the shape"),
        ({"features": np.zeros((0, 40), np.float32)}, "no features"),
        ({"labels": np.zeros(599, int)}, "600 examples need 600 labels"),
        ({"labels": np.full(600, 5)}, r"0 … 4, these range from 5 to 5"),
        ({"labels": np.full(600, -1)}, "from -1"),
        ({"labels": np.zeros(600)}, "integers, these are float64"),
        ({"num_classes": 1}, "at least 2 classes, not 1"),
        ({"l2": -1.0}, "at least 0, not -1"),
        ({"l2": np.nan}, "at least 0, not nan"),
        ({"max_updates": 0}, "at least 1 update, not 0"),
    ],
)
def test_bad_input_is_one_clear_line(change: dict, message: str) -> None:
    features, labels = examples()
    arguments = {"features": features, "labels": labels, "num_classes": 5, "l2": 1e-2} | change
    with pytest.raises(ValueError, match=message) as error:
        fit(**arguments)
    assert "\n" not in str(error.value)


def test_one_infinite_value_is_found() -> None:
    features, labels = examples()
    probe = fit(features, labels, num_classes=5, l2=1e-2)
    features[17, 23] = np.inf
    with pytest.raises(ValueError, match=r"1 of 24000 .* 1 of 40 features, first in number 23"):
        fit(features, labels, num_classes=5, l2=1e-2)
    with pytest.raises(ValueError, match="1 of 24000"):
        evaluate(probe, features, labels)
    with pytest.raises(ValueError, match="fitted to 40 features, these are 39"):
        evaluate(probe, features[:, :20].repeat(2, 1)[:, :39], labels)


def test_the_papers_penalty() -> None:
    assert paper_l2(2048, 1000) == pytest.approx(100 / 2048000)
