"""The triplet loss against the released code's numbers, TensorFlow Addons and the definition."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pretext.triplet import semi_hard_triplet_loss

GOLDEN = Path(__file__).parent.parent / "golden"
ORACLE = Path(__file__).parent / "addons_oracle.py"


def loss_and_gradient(embeddings, labels, jit_compile=False, normalised_axis=None):
    def run(x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = x if normalised_axis is None else tf.math.l2_normalize(x, normalised_axis)
            loss = semi_hard_triplet_loss(z, y, 0.5)
        return loss, tape.gradient(loss, x)

    if jit_compile:
        run = tf.function(run, jit_compile=True)
    loss, gradient = run(tf.constant(embeddings), tf.constant(labels))
    return loss.numpy(), gradient.numpy()


def by_definition(embeddings, labels, margin=0.5):
    """The loss written pair by pair."""
    x = embeddings.astype(np.float64)
    distances = np.square(x[:, None] - x[None]).sum(-1)
    terms = []
    for a in range(len(x)):
        negatives = np.sort(distances[a][labels != labels[a]])
        for p in np.flatnonzero(labels == labels[a]):
            if p != a:
                farther = negatives[negatives > distances[a, p]]
                farthest = negatives[-1] if len(negatives) else 0.0
                negative = farther[0] if len(farther) else farthest
                terms.append(max(margin + distances[a, p] - negative, 0.0))
    return np.mean(terms)


def batches():
    """Random batches and the odd ones; embeddings of length about 1, so that all rules are met."""
    r = np.random.RandomState(0)

    def points(n, d=8):
        return (r.standard_normal((n, d)) / np.sqrt(d)).astype(np.float32)

    cases = {}
    for i in range(4):
        cases[f"random{i}"] = (points(48), r.randint(0, 9, 48))
    cases["uneven"] = (points(30), np.array([7] * 14 + [-3] * 9 + [100] * 6 + [5]))
    # All negatives are closer than any positive: the farthest of them counts.
    line = np.array([[-1.0], [-0.01], [0.0], [0.01], [1.0]], np.float32)
    cases["no_farther_negative"] = (line, np.array([0, 1, 2, 3, 0]))
    cases["one_class"] = (points(12), np.zeros(12, int))
    cases["one_pair"] = (points(9), np.array([0, 1, 2, 3, 4, 5, 6, 7, 3]))
    # In steps of 1/8, so that equal distances are equal in float32 too, however they are summed.
    base = np.round(points(10) * 8) / 8
    cases["duplicates_within"] = (np.repeat(base, 3, 0), np.repeat(np.arange(10), 3))
    cases["duplicates_across"] = (np.tile(base, (3, 1)), np.repeat(np.arange(6), 5))
    cases["all_equal"] = (np.repeat(base[:1], 16, 0), np.arange(16) % 4)
    cases["all_zero"] = (np.zeros((8, 4), np.float32), np.arange(8) % 2)
    return cases


BATCHES = batches()


@pytest.fixture(scope="module")
def addons(tmp_path_factory):
    """The results of TensorFlow Addons for all batches, from one subprocess."""
    missing = [
        name
        for name in ("tensorflow_addons", "tf_keras", "typeguard")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        pytest.skip(f"not installed here: {', '.join(missing)} (no wheels for Python ≥ 3.12)")
    folder = tmp_path_factory.mktemp("addons")
    arrays = {}
    for name, (embeddings, labels) in BATCHES.items():
        arrays[f"{name}_embeddings"], arrays[f"{name}_labels"] = embeddings, labels
    np.savez(folder / "in.npz", **arrays)
    command = [sys.executable, str(ORACLE), str(folder / "in.npz"), str(folder / "out.npz"), "0.5"]
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(folder / "out.npz")


@pytest.mark.parametrize("name", BATCHES)
def test_equals_tensorflow_addons(addons, name):
    loss, gradient = loss_and_gradient(*BATCHES[name])
    np.testing.assert_allclose(loss, addons[f"{name}_loss"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient, addons[f"{name}_gradient"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", BATCHES)
def test_equals_the_definition(name):
    loss, _ = loss_and_gradient(*BATCHES[name])
    np.testing.assert_allclose(loss, by_definition(*BATCHES[name]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["random0", "uneven", "one_class", "duplicates_across"])
def test_compiles_to_the_same(name):
    plain, compiled = (loss_and_gradient(*BATCHES[name], jit_compile=jit) for jit in (False, True))
    np.testing.assert_allclose(compiled[0], plain[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(compiled[1], plain[1], rtol=1e-4, atol=1e-6)


def test_equals_released_code():
    recorded = np.load(GOLDEN / "triplet.npz")
    losses = json.loads((GOLDEN / "triplet.json").read_text())["losses"]
    assert len(losses) == 54
    for case, normalised, expected in losses:
        labels = recorded["labels_" + "_".join(case.split("_")[:2])]
        axis = {"none": None, "axis-1": -1, "axis0": 0}[normalised]
        loss, gradient = loss_and_gradient(recorded[f"{case}__embeddings"], labels, False, axis)
        name = f"{case} {normalised}"
        np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-5, err_msg=name)
        piece, length = (recorded[f"{case}__grad{k}_{normalised}"] for k in ("slice", "l2"))
        np.testing.assert_allclose(gradient[:2, :8], piece, rtol=1e-4, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(np.linalg.norm(gradient), length, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["all_equal", "all_zero", "duplicates_within"])
def test_gradient_is_finite_where_embeddings_coincide(name):
    embeddings, labels = BATCHES[name]
    for axis in (None, -1):
        loss, gradient = loss_and_gradient(embeddings, labels, normalised_axis=axis)
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()


def test_order_of_examples_does_not_matter():
    embeddings, labels = BATCHES["uneven"]
    order = np.random.RandomState(1).permutation(len(labels))
    loss, gradient = loss_and_gradient(embeddings, labels)
    shuffled_loss, shuffled_gradient = loss_and_gradient(embeddings[order], labels[order])
    np.testing.assert_allclose(shuffled_loss, loss, rtol=1e-6)
    np.testing.assert_allclose(shuffled_gradient, gradient[order], rtol=1e-4, atol=1e-6)


def test_no_positive_pair_gives_zero():
    loss, gradient = loss_and_gradient(BATCHES["random0"][0][:6], np.arange(6))
    assert loss == 0
    assert not gradient.any()


def test_nan_is_not_hidden():
    embeddings, labels = BATCHES["random0"]
    broken = embeddings.copy()
    broken[3, 2] = np.nan
    assert np.isnan(loss_and_gradient(broken, labels)[0])


def test_half_precision_is_computed_in_float32():
    embeddings, labels = BATCHES["random1"]
    half = tf.cast(embeddings, tf.bfloat16)
    loss = semi_hard_triplet_loss(half, labels)
    assert loss.dtype == tf.float32
    assert loss == semi_hard_triplet_loss(tf.cast(half, tf.float32), labels)


@pytest.mark.parametrize("margin", [0.0, -0.5, float("nan"), float("inf")])
def test_bad_margin(margin):
    with pytest.raises(ValueError, match=r"^the margin of the triplet loss must be .*got [^\n]*$"):
        semi_hard_triplet_loss(*BATCHES["random0"], margin)


def test_bad_shapes():
    with pytest.raises(ValueError, match=r"^embeddings must have shape \(B, D\)[^\n]*$"):
        semi_hard_triplet_loss(tf.zeros((2, 3, 4)), tf.zeros(2, tf.int32))
