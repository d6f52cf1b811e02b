"""Convolution, pooling and batch normalisation against Keras' own and against arithmetic."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.layers import BatchNormalization, Convolution, RootPooling, WeightDecay
from models.revnet import Downsampling

X = np.random.RandomState(0).standard_normal((6, 5, 4, 3)).astype(np.float32) * 3 + 1


def _pair(x, **options):
    """Our layer and Keras', with the same gamma, beta and moving statistics."""
    layers = BatchNormalization(**options), keras.layers.BatchNormalization()
    for layer in layers:
        layer.build(x.shape)
    values = [np.random.RandomState(i).uniform(0.5, 1.5, x.shape[-1]) for i in range(4)]
    for layer in layers:
        layer.set_weights(values)
    return layers


@pytest.mark.parametrize("x", [X, X[:, 0, 0]], ids=["maps", "vectors"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normalises_as_keras_does(x, dtype):
    ours, keras_own = _pair(x, dtype=dtype)
    x = x.astype(dtype)
    for training in (False, True):
        np.testing.assert_allclose(
            ours(x, training=training), keras_own(x, training=training), atol=2e-5
        )
    size = x.size / x.shape[-1]
    np.testing.assert_allclose(ours.moving_mean, keras_own.moving_mean, rtol=1e-5)
    start = np.random.RandomState(3).uniform(0.5, 1.5, x.shape[-1])
    axes = tuple(range(x.ndim - 1))
    unbiased = x.var(axes) * size / (size - 1)
    np.testing.assert_allclose(ours.moving_variance, 0.99 * start + 0.01 * unbiased, rtol=1e-5)


def test_gradients_are_those_of_keras():
    gradients = []
    for layer in _pair(X):
        with tf.GradientTape() as tape:
            x = tf.constant(X)
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=True) ** 3)
        gradients.append(tape.gradient(loss, [x, layer.gamma.value, layer.beta.value]))
    for ours, expected in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3)


def test_xla_moves_the_statistics_alike():
    moved = []
    for jit_compile in (False, True):
        layer, _ = _pair(X)
        tf.function(lambda x, layer=layer: layer(x, training=True), jit_compile=jit_compile)(X)
        moved.append(layer.get_weights())
    np.testing.assert_allclose(*moved, rtol=1e-5)


def test_frozen_layer_uses_and_keeps_the_moving_statistics():
    layer, _ = _pair(X)
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_array_equal(layer(X, training=True), layer(X, training=False))
    np.testing.assert_array_equal(layer.get_weights(), before)


def test_mixed_precision_keeps_float32_statistics():
    layer, keras_own = _pair(X, dtype="mixed_bfloat16")
    outputs = layer(X, training=True)
    assert outputs.dtype == "bfloat16"
    assert {variable.dtype for variable in layer.variables} == {"float32"}
    np.testing.assert_allclose(tf.cast(outputs, "float32"), keras_own(X, training=True), atol=0.03)
    np.testing.assert_allclose(layer.moving_mean, keras_own.moving_mean, rtol=1e-3)


def test_config_round_trip():
    layer = BatchNormalization(momentum=0.5, epsilon=1e-5, synchronized=True, name="norm")
    copy = BatchNormalization.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="axis must be -1"):
        BatchNormalization(axis=1)


@pytest.mark.parametrize("synchronized", [False, True])
def test_replicas(mirrored, synchronized):
    with mirrored.scope():
        layer, _ = _pair(X, synchronized=synchronized)

    @tf.function
    def step():
        def of_replica():
            i = tf.distribute.get_replica_context().replica_id_in_sync_group
            x = tf.constant(X)[3 * i : 3 * i + 3]
            with tf.GradientTape() as tape:
                outputs = layer(x, training=True)
                loss = tf.reduce_sum(outputs**3)
            return outputs, tape.gradient(loss, layer.gamma.value)

        return mirrored.run(of_replica)

    outputs, gradients = map(mirrored.experimental_local_results, step())
    if synchronized:
        alone, _ = _pair(X)
        with tf.GradientTape() as tape:
            expected = alone(X, training=True)
            loss = tf.reduce_sum(expected**3)
        np.testing.assert_allclose(tf.concat(outputs, 0), expected, atol=1e-5)
        expected_gradient = tape.gradient(loss, alone.gamma.value)
        np.testing.assert_allclose(sum(gradients), expected_gradient, rtol=1e-3)
        np.testing.assert_allclose(layer.get_weights(), alone.get_weights(), rtol=1e-5)
    else:
        for i, ours in enumerate(outputs):
            alone, _ = _pair(X)
            expected = alone(X[3 * i : 3 * i + 3], training=True)
            np.testing.assert_allclose(ours, expected, atol=1e-5)
            if i == 0:
                np.testing.assert_allclose(layer.get_weights(), alone.get_weights(), rtol=1e-5)


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize(("kernel_size", "stride"), [(1, 1), (3, 1), (1, 2), (3, 2), (7, 2)])
def test_convolution_pads_by_half_the_kernel(size, kernel_size, stride):
    x = np.random.RandomState(0).standard_normal((2, size, size, 3)).astype(np.float32)
    layer = Convolution(4, kernel_size, stride)
    outputs = layer(x)
    half = (kernel_size - 1) // 2
    padded = np.pad(x, [(0, 0), (half, half), (half, half), (0, 0)])
    expected = tf.nn.conv2d(padded, layer.kernel, stride, "VALID")
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert layer.compute_output_shape(x.shape) == tuple(outputs.shape)
    assert layer.bias is None


@pytest.mark.parametrize("size", [7, 8])
def test_pooling_pads_with_zeros(size):
    x = -np.ones((1, size, size, 1), np.float32)
    outputs = RootPooling()(x).numpy()[0, :, :, 0]
    assert outputs.shape == ((size + 1) // 2,) * 2
    assert RootPooling().compute_output_shape(x.shape) == (1, *outputs.shape, 1)
    assert (outputs[0] == 0).all()
    assert (outputs[:, 0] == 0).all()
    assert (outputs[1:3, 1:3] == -1).all()


@pytest.mark.parametrize("size", [(6, 6), (7, 6), (3, 5)])
def test_downsampling_averages_what_a_window_covers(size):
    x = np.random.RandomState(0).standard_normal((2, *size, 3)).astype(np.float32)
    outputs = Downsampling(7, 2)(x)
    rows, columns = ([slice(i, i + 2) for i in range(0, side, 2)] for side in size)
    expected = [[x[:, row, column].mean((1, 2)) for column in columns] for row in rows]
    expected = np.transpose(expected, (2, 0, 1, 3))
    np.testing.assert_allclose(outputs[..., 2:5], expected, atol=1e-6)
    np.testing.assert_array_equal(outputs.numpy()[..., [0, 1, 5, 6]], 0)
    assert Downsampling(7, 2).compute_output_shape(x.shape) == tuple(outputs.shape)


def test_weight_decay_is_half_the_squared_norm():
    np.testing.assert_allclose(WeightDecay(0.1)(tf.constant([3.0, 4.0])), 0.5 * 0.1 * 25)
