"""Probes whose examples are spread over workers find what they find where all are in one place."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from etils import epath

from evaluate import label_free, logistic_regression, low_data, neighbours, split_parts
from evaluate.features import feature_means
from evaluate.representations import Representations
from evaluate.split_parts import SplitPart
from evaluate.training_examples import CachedExamples
from tests.evaluate.team import together
from training import between_workers
from training.between_workers import Workers

CLASSES = 4
# Of two, three, and three workers of whom one has nothing: where each one's rows end.
ENDS = {"two": (70, 200), "three": (10, 64, 200), "nothing": (120, 120, 200)}


@pytest.fixture(scope="module")
def examples() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = np.sort(random.integers(0, CLASSES, 200))  # A worker has not seen every class.
    centres = random.standard_normal((CLASSES, 12))
    return (centres[labels] + random.standard_normal((200, 12))).astype(np.float32), labels


@pytest.fixture(params=ENDS)
def on_workers(request) -> Callable[..., list[Any]]:
    """Calls something with each worker's rows of arrays, and the worker."""
    ends = (0, *ENDS[request.param])

    def call(work: Callable[..., Any], *arrays: np.ndarray) -> list[Any]:
        def of_worker(workers: Workers) -> Any:
            rows = slice(ends[workers.index], ends[workers.index + 1])
            return work(*(array[rows] for array in arrays), workers)

        return together(len(ends) - 1, of_worker)

    return call


def test_the_choice_of_a_penalty_and_the_optimum(examples, on_workers) -> None:
    def choose(features, labels, workers=between_workers.ALONE):
        choice = logistic_regression.choose_l2(
            features, labels, num_classes=CLASSES, candidates=(1e-1, 1e-3), workers=workers
        )
        return choice, logistic_regression.evaluate(choice.probe, features, labels, workers)

    (one, scores) = choose(*examples)
    (first, _), *others = made = on_workers(choose, *examples)
    for choice, _ in others:
        np.testing.assert_array_equal(choice.probe.weights, first.probe.weights, "bit for bit")
        np.testing.assert_array_equal(choice.probe.bias, first.probe.bias)
    for choice, scores_there in made:
        assert choice.l2 == one.l2
        assert choice.accuracies == pytest.approx(one.accuracies)
        assert choice.probe.objective == pytest.approx(one.probe.objective, rel=1e-6)
        assert scores_there == pytest.approx(scores, rel=1e-3)


def test_different_weights_are_told(examples) -> None:
    """What processors that compute differently would lead to."""

    def fit(workers: Workers) -> None:
        start = logistic_regression.Probe(
            weights=np.full((12, CLASSES), 1e-3 * workers.index, np.float32),
            bias=np.zeros(CLASSES, np.float32),
            **dict.fromkeys([f.name for f in dataclasses.fields(logistic_regression.Probe)][2:], 0),
        )
        logistic_regression.fit(
            *examples, num_classes=CLASSES, l2=1e-3, initial=start, workers=workers
        )

    with pytest.raises(ValueError, match=r"come to different weights: .* machines of one kind"):
        together(2, fit)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_nearest_neighbours(dtype, examples, on_workers, monkeypatch) -> None:
    features, labels = examples
    features = features.astype(dtype)
    features[150] = features[3]  # Equally near.
    known = features[:, ::2], labels
    monkeypatch.setattr(neighbours, "SHARED_BYTES", 4 * 6 * 50)

    def accuracies(known_features, known_labels, features, labels, workers=between_workers.ALONE):
        return [
            neighbours.evaluate(
                known_features,
                known_labels,
                features,
                labels,
                num_classes=CLASSES,
                k=k,
                workers=workers,
            )
            for k in (1, 20, 180)
        ]

    others = features[:, 1::2], labels
    expected = accuracies(*known, *others)
    assert 0.3 < expected[1][0] < 1
    for made in on_workers(accuracies, *known, *others):
        assert made == expected


@pytest.mark.parametrize("examples_only", [False, True])
def test_label_free_scores(examples_only, examples, on_workers, monkeypatch) -> None:
    if examples_only:
        monkeypatch.setattr(label_free, "MAX_SIZE", 11)

    def scores(features, workers=between_workers.ALONE):
        made = label_free.label_free_scores(features, 1, workers)
        return made.effective_rank, made.first_ten_variance

    expected = scores(examples[0])
    for made in on_workers(scores, examples[0]):
        assert made == pytest.approx(expected, rel=1e-6)


def test_a_subset_and_a_fifth_are_the_same_images(examples, on_workers) -> None:
    labels = examples[1]
    positions = np.arange(200) * 2
    rows = np.arange(200)

    def chosen(labels, positions, rows, workers):
        held_out = workers.own(low_data.held_out_fifth(workers.concatenate(labels), 0), len(labels))
        subset = low_data.subset(labels, 0.2, 0, positions, workers)
        return rows[subset].tolist(), rows[held_out == 1].tolist()

    made = on_workers(chosen, labels, positions, rows)
    subsets, fifths = zip(*made, strict=True)
    assert list(itertools.chain(*subsets)) == low_data.subset(labels, 0.2, 0, positions).tolist()
    fifth = np.flatnonzero(low_data.held_out_fifth(labels, 0))
    assert list(itertools.chain(*fifths)) == fifth.tolist()


def test_bad_features_are_counted_on_all(examples, on_workers) -> None:
    features = examples[0].copy()
    features[[0, 199], 3] = np.nan

    def message(features, workers):
        with pytest.raises(ValueError, match="2 of 2400 feature values are NaN") as raised:
            feature_means(features, workers)
        return str(raised.value)

    assert len(set(on_workers(message, features))) == 1


def test_all_examples_are_validated_on(examples, on_workers) -> None:
    """As many batches on all workers, as the one with the most examples needs."""

    def counted(features, labels, workers):
        part = Representations({"x": features}, labels, np.arange(len(labels)), (), 0, {})
        cached = CachedExamples(part, CLASSES, workers=workers)
        context = tf.distribute.InputContext(workers.count, workers.index, workers.count)
        batches = cached.in_order(context, batch_size=12).take(cached.steps_in_order(12))
        return cached.steps_in_order(12), sum(batch["valid"].numpy().sum() for batch in batches)

    steps, valid = zip(*on_workers(counted, *examples), strict=True)
    assert len(set(steps)) == 1
    assert sum(valid) == 200


@pytest.mark.parametrize("size", [1, 63, 64, 65, 1000])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_parts_are_whole_batches_and_together_the_split(size, count) -> None:
    parts = [split_parts.part_of(size, 16, Workers(index, count)) for index in range(count)]
    assert parts[0].first == 0
    assert parts[-1].stop == size
    assert all(one.stop == other.first for one, other in itertools.pairwise(parts))
    assert all(part.first % 16 == 0 or part.first == size for part in parts)
    sizes = [part.size for part in parts]
    assert max(sizes) - min(sizes) < 32
    assert SplitPart(3, 5).size == 2


def test_no_two_workers_share_a_directory(tmp_path) -> None:
    directories = {
        split_parts.directory_of(epath.Path(tmp_path), Workers(index, count))
        for count in (1, 2, 3)
        for index in range(count)
    }
    assert len(directories) == 6


def test_what_workers_have_in_common() -> None:
    def compared(workers: Workers) -> tuple[bool, bool, int]:
        return (
            workers.same_everywhere(b"same"),
            workers.same_everywhere(b"%d" % workers.index),
            workers.distinct(["a", "b", str(workers.index)]),
        )

    assert together(3, compared) == [(True, False, 5)] * 3
    assert together(2, lambda workers: workers.distinct([])) == [0, 0]
    assert compared(between_workers.ALONE) == (True, True, 3)
