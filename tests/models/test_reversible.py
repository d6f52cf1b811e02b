"""The reversible backward pass gives the gradients of ordinary backpropagation, everywhere."""

import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import models
from models.reversible import ReversibleBlock

IMAGES = np.random.RandomState(0).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def _restore_precision():
    yield
    keras.mixed_precision.set_dtype_policy("float32")


def _network(reversible, units=(3, 2, 2, 1), dtype="float32"):
    keras.mixed_precision.set_dtype_policy(dtype)
    keras.utils.set_random_seed(0)
    return models.build(
        "revnet50", widening_factor=1, image_size=32, units=units, reversible=reversible
    )


def _block(units, reversible, values=None, dtype="float64"):
    block = ReversibleBlock(units, reversible=reversible, dtype=dtype)
    block.build((None, None, None, 16))
    if values is not None:
        block.set_weights(values)
    return block


def _loss(outputs):
    """A number that feels every value differently."""
    wide = tf.cast(outputs, tf.float64)
    return tf.reduce_mean(wide * tf.cos(tf.range(wide.shape[-1], dtype=tf.float64)))


def _gradients(network, images, training=True):
    with tf.GradientTape() as tape:
        outputs = network(images, training=training)["pre_logits"]
        loss = _loss(outputs) + tf.cast(tf.add_n(network.losses), tf.float64)
    return loss, tape.gradient(loss, network.trainable_variables)


def _worst(ours, expected):
    """The largest relative error of any gradient, by norm."""
    return max(float(tf.norm(a - b) / tf.norm(b)) for a, b in zip(ours, expected, strict=True))


@pytest.mark.parametrize(
    ("units", "training", "size"),
    [
        ((3, 4, 6, 3), True, 32),
        ((1, 2, 3, 2), True, 33),  # Maps of 9, 5, 3 and 2 pixels a side.
        ((1, 2, 3, 2), False, 32),
    ],
)
def test_float64_gradients_are_those_of_backpropagation(units, training, size):
    images = np.random.RandomState(0).uniform(-1, 1, (4, size, size, 3))
    results = []
    for reversible in (False, True):
        network = _network(reversible, units, "float64")
        before = [variable.numpy() for variable in network.non_trainable_variables]
        compiled = tf.function(_gradients, autograph=False)
        loss, gradients = compiled(network, tf.constant(images), training)
        results.append((loss, gradients, [v.numpy() for v in network.non_trainable_variables]))
    (expected_loss, expected, expected_moving), (loss, gradients, moving) = results
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-12)
    assert _worst(gradients, expected) < 1e-9
    # Statistics have moved once, and not once more with the reconstruction.
    for ours, theirs, start in zip(moving, expected_moving, before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert training == (not np.array_equal(ours, start))


def test_eager_graph_xla_and_the_gradient_of_the_input():
    x = tf.constant(np.random.RandomState(1).standard_normal((2, 5, 6, 16)))

    def gradients(block):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = _loss(block(x, training=True) ** 2)
        return tape.gradient(loss, [x, *block.trainable_variables])

    ordinary = _block(4, reversible=False)
    values = ordinary.get_weights()
    expected = gradients(ordinary)
    for options in ({}, {"jit_compile": False}, {"jit_compile": True}):
        block = _block(4, True, values)
        run = tf.function(gradients, autograph=False, **options) if options else gradients
        assert _worst(run(block), expected) < 1e-9
        for ours, theirs in zip(block.get_weights(), ordinary.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_xla_does_not_merge_reconstruction_and_forward_pass():
    x = tf.random.stateless_normal((2, 6, 6, 16), (0, 0))

    def convolutions(reversible):
        block = _block(4, reversible, dtype="float32")

        @tf.function(jit_compile=True, autograph=False)
        def gradients(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(block(x, training=True) ** 2)
            return tape.gradient(loss, [x, *block.trainable_variables])

        text = gradients.experimental_get_compiler_ir(x)(stage="optimized_hlo")
        return len(re.findall(r"= \S+ (?:convolution|dot)\(|custom-call\(.*[Cc]onv", text))

    # Of the first two units, whose inputs need no reconstruction, two of three convolutions do.
    assert convolutions(True) - convolutions(False) == 3 + 3 + 2 + 2


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_lower_precisions(dtype):
    gradients = []
    for reversible in (False, True):
        network = _network(reversible, dtype=dtype)
        outputs = network(IMAGES)
        assert outputs["block2"].dtype == ("float32" if dtype == "float32" else "bfloat16")
        gradients.append(tf.function(_gradients, autograph=False)(network, IMAGES)[1])
    # The running sum is float32 in both, so bfloat16 loses nothing that float32 keeps.
    assert _worst(*reversed(gradients)) < 1e-4


def test_reconstruction_in_bfloat16():
    """Six units, RevNet50's longest block, in bfloat16, against ordinary backpropagation.

    Both evaluate F in bfloat16, whose numbers have 8 bits, and would agree bit for bit if F were
    given the same. What it is given is the running sum, which the reconstruction has to within
    float32's rounding; where that puts a number on the other side of one of bfloat16's roundings,
    F changes by one part in 2⁸. So the gradients have to agree within 2⁻⁸. Measured: 0, and 0.43
    with a running sum in bfloat16 (0.044 for three units).
    """
    x = tf.constant(np.random.RandomState(1).standard_normal((2, 6, 6, 16)), tf.bfloat16)

    @tf.function(autograph=False)
    def gradients(block):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = _loss(block(x, training=True))
        gradients = tape.gradient(loss, [x, *block.trainable_variables])
        return [tf.cast(gradient, tf.float32) for gradient in gradients]

    ordinary = _block(6, False, dtype="mixed_bfloat16")
    block = _block(6, True, ordinary.get_weights(), dtype="mixed_bfloat16")
    assert _worst(gradients(block), gradients(ordinary)) < 2**-8


@pytest.mark.parametrize("jit_compile", [False, True])
def test_replicas(mirrored, jit_compile):
    values = _block(3, reversible=False).get_weights()
    x = np.random.RandomState(1).standard_normal((4, 6, 6, 16))

    def gradients(block, x):
        with tf.GradientTape() as tape:
            loss = _loss(block(x, training=True) ** 2)
        return tape.gradient(loss, block.trainable_variables)

    with mirrored.scope():
        block = _block(3, True, values)

    def of_replica(x):
        # One function each, because XLA binds a function to the variables of its device.
        run = tf.function(gradients, autograph=False, jit_compile=jit_compile)
        return run(block, x)

    @tf.function(autograph=False)
    def step(x):
        return mirrored.run(of_replica, (x,))

    parts = mirrored.experimental_distribute_values_from_function(
        lambda context: tf.constant(x[2 * context.replica_id_in_sync_group :][:2])
    )
    of_replicas = [mirrored.experimental_local_results(gradient) for gradient in step(parts)]
    for i, ours in enumerate(zip(*of_replicas, strict=True)):
        ordinary = _block(3, False, values)
        assert _worst(ours, gradients(ordinary, tf.constant(x[2 * i :][:2]))) < 1e-9
        if i == 0:
            for a, b in zip(block.get_weights(), ordinary.get_weights(), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_saved_model_can_be_trained(tmp_path):
    network = _network(reversible=True)
    export = tf.train.Checkpoint(network=network)
    export.__call__ = tf.function(
        lambda images, training=False: network(images, training=training)["pre_logits"],
        autograph=False,
    )
    for training in (False, True):
        shape = tf.TensorSpec((None, None, None, 3))
        export.__call__.get_concrete_function(shape, training=training)
    export.trainable_variables = [variable.value for variable in network.trainable_variables]
    tf.saved_model.save(export, str(tmp_path))
    expected_outputs = network(IMAGES)["pre_logits"]
    loaded = tf.saved_model.load(str(tmp_path))

    @tf.function(autograph=False)
    def gradients():
        with tf.GradientTape() as tape:
            loss = _loss(loaded(IMAGES, training=True))
        return tape.gradient(loss, loaded.trainable_variables)

    np.testing.assert_allclose(loaded(IMAGES, training=False), expected_outputs, atol=1e-6)
    ordinary = _network(reversible=False)
    with tf.GradientTape() as tape:
        loss = _loss(ordinary(IMAGES, training=True)["pre_logits"])
    assert _worst(gradients(), tape.gradient(loss, ordinary.trainable_variables)) < 1e-4
    # The moving statistics of the loaded network have moved.
    np.testing.assert_allclose(
        loaded(IMAGES, training=False), ordinary(IMAGES)["pre_logits"], atol=1e-4
    )


def test_keras_file(tmp_path):
    network = _network(reversible=True)
    network(IMAGES, training=True)
    network.save(tmp_path / "network.keras")
    restored = keras.models.load_model(tmp_path / "network.keras")
    assert restored.get_layer("block1").reversible
    expected = network(IMAGES)
    for name, values in restored(IMAGES).items():
        np.testing.assert_array_equal(values, expected[name])


PEAKS = """
import json, pathlib
import tensorflow as tf
from models.reversible import ReversibleBlock

def gradients(units, reversible):
    block = ReversibleBlock(units, reversible=reversible)
    block.build((None, None, None, 64))

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, None, None, 64))])
    def compute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_mean(block(x, training=True) ** 2)
        return [tf.norm(g) for g in tape.gradient(loss, [x, *block.trainable_variables])]

    compute(tf.ones((1, 2, 2, 64)))
    return compute

def peak(compute):
    compute(tf.random.stateless_normal((16, 64, 64, 64), (0, 0)))
    # Not getrusage's maximum, which a process inherits from the one that started it.
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024

# A process's peak only rises: the small ones come first.
cases = [gradients(*case) for case in ((2, True), (8, True), (2, False), (8, False))]
print(json.dumps([peak(case) for case in cases]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak has other units")
def test_memory_does_not_grow_with_depth():
    allocator = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(2**20)}
    output = subprocess.run(
        [sys.executable, "-c", PEAKS],
        env=os.environ | allocator,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    shallow, deep, shallow_ordinary, deep_ordinary = json.loads(output.splitlines()[-1])
    assert deep_ordinary - shallow_ordinary > 100
    assert deep - shallow < 0.25 * (deep_ordinary - shallow_ordinary)
