"""The heads against plain numpy in float64 and against Keras' own layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from evaluate.probe_heads import Heads, Share
from training.momentum import Momentum

FEATURES = {"small": 3, "large": 7}
LABELS = np.array([0, 2, 1, 3, 3, 0])


def inputs(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        layer: random.standard_normal((len(LABELS), size)).astype(np.float32)
        for layer, size in FEATURES.items()
    }


def step(heads: Heads, optimizer: Momentum, batch: dict, number: int) -> dict[str, float]:
    """One update of all heads; the losses with their penalties."""
    with tf.GradientTape() as tape:
        losses, penalties = heads.losses(batch, LABELS, dropout_step=tf.constant(number))
        objective = tf.add_n([*losses.values(), *penalties.values()])
    optimizer.apply(tape.gradient(objective, heads.variables), heads.variables)
    return {layer: float(losses[layer] + penalties[layer]) for layer in losses}


def test_steps_of_the_mlp_are_those_of_float64() -> None:
    heads = Heads(FEATURES, 4, hidden=5, dropout=0.5, l2=0.03, seed=1)
    optimizer = Momentum(0.2, momentum=0.9)
    weights = [variable.numpy().astype(np.float64) for variable in heads.variables]
    velocities = [np.zeros_like(weight) for weight in weights]
    for number in range(4):
        batch = inputs(number)
        losses = step(heads, optimizer, batch, number)
        for position, layer in enumerate(FEATURES):
            own = slice(4 * position, 4 * position + 4)
            w1, b1, w2, b2 = weights[own]
            units = tf.zeros((len(LABELS), 5))
            kept = heads._dropout_factors(layer, units, tf.constant(number)).numpy()
            assert set(np.unique(kept)) == {0.0, 2.0}
            x = batch[layer].astype(np.float64)
            inner = x @ w1 + b1
            hidden = np.maximum(inner, 0) * kept
            logits = hidden @ w2 + b2
            p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            loss = -np.log(p[np.arange(len(LABELS)), LABELS]).mean()
            loss += 0.03 * ((w1**2).sum() + (w2**2).sum())
            assert losses[layer] == pytest.approx(loss, rel=1e-5)
            by_logits = (p - np.eye(4)[LABELS]) / len(LABELS)
            by_inner = by_logits @ w2.T * kept * (inner > 0)
            gradients = [
                x.T @ by_inner + 0.06 * w1,
                by_inner.sum(axis=0),
                hidden.T @ by_logits + 0.06 * w2,
                by_logits.sum(axis=0),
            ]
            for weight, velocity, gradient in zip(
                weights[own], velocities[own], gradients, strict=True
            ):
                velocity *= 0.9
                velocity += gradient
                weight -= 0.2 * velocity
    for variable, weight in zip(heads.variables, weights, strict=True):
        np.testing.assert_allclose(variable.numpy(), weight, rtol=1e-4, atol=1e-6)


def test_a_head_is_kerass_dense_layers() -> None:
    heads = Heads({"small": 3}, 4, hidden=5)
    peer = keras.Sequential([keras.layers.Dense(5, "relu"), keras.layers.Dense(4)])
    peer.build((None, 3))
    peer.set_weights([variable.numpy() for variable in heads.variables])
    features = inputs()["small"]
    np.testing.assert_allclose(heads.logits("small", features), peer(features), rtol=1e-5)


def test_a_head_does_not_depend_on_the_others() -> None:
    for hidden in (0, 5):
        together = Heads(FEATURES, 4, hidden=hidden, l2="paper", seed=3)
        alone = Heads({"large": 7}, 4, hidden=hidden, l2="paper", seed=3)
        optimizers = Momentum(0.1), Momentum(0.1)
        for number in range(3):
            batch = inputs(number)
            step(together, optimizers[0], batch, number)
            step(alone, optimizers[1], {"large": batch["large"]}, number)
        for of_all, own in zip(
            together.variables[-len(alone.variables) :], alone.variables, strict=True
        ):
            np.testing.assert_array_equal(of_all.numpy(), own.numpy())


def test_dropout_is_a_function_of_seed_layer_and_step() -> None:
    units = tf.zeros((50, 40))

    def factors(seed: int = 0, layer: str = "small", step: int = 0) -> np.ndarray:
        heads = Heads(FEATURES, 4, hidden=40, dropout=0.2, seed=seed)
        return heads._dropout_factors(layer, units, tf.constant(step)).numpy()

    assert (factors() == factors()).all()
    for other in (factors(seed=1), factors(layer="large"), factors(step=1)):
        assert (factors() != other).any()
    assert set(np.unique(factors())) == {0.0, np.float32(1.25)}
    assert factors().mean() == pytest.approx(1, abs=0.05)
    # An example's draws go with its position in the batch, whoever has it.
    heads = Heads(FEATURES, 4, hidden=40, dropout=0.2)
    share = Share(tf.constant([3, 40, 7], tf.int64), 50)
    some = heads._dropout_factors("small", units[:3], tf.constant(0), share).numpy()
    np.testing.assert_array_equal(some, factors()[[3, 40, 7]])
    # Measuring drops nothing.
    heads = Heads(FEATURES, 4, hidden=40, dropout=0.99)
    ones = np.ones((5, 3), np.float32)
    np.testing.assert_array_equal(heads.logits("small", ones), heads.logits("small", ones))
    assert np.abs(heads.logits("small", ones)).min() > 1e-4


def test_where_heads_start_and_the_papers_penalty() -> None:
    linear = Heads(FEATURES, 4, l2="paper")
    assert not any(variable.numpy().any() for variable in linear.variables)
    assert linear.l2 == {"small": 100 / 12, "large": 100 / 28}
    kernel = Heads({"x": 500}, 10, hidden=300).variables[0].numpy()
    limit = np.sqrt(6 / 800)
    assert np.abs(kernel).max() == pytest.approx(limit, rel=0.01)
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    assert kernel.dtype == np.float32
    with pytest.raises(ValueError, match="at least 2 classes, not 1"):
        Heads(FEATURES, 1)
