import keras
import numpy as np
import pytest
import tensorflow as tf

import models
import pretext
from pretext.trainer import PretextTrainer
from training.momentum import Momentum

SIZE = 32


def make_trainer(replicas: int = 1, synchronized: bool = False) -> PretextTrainer:
    keras.utils.set_random_seed(0)
    task = pretext.build("rotation", pretext.TaskOptions(SIZE, SIZE, "crop"))
    backbone = models.build(
        "resnet50_v2",
        widening_factor=1,
        image_size=SIZE,
        units=(1, 1, 1, 1),
        synchronized_batch_norm=synchronized,
    )
    trainer = PretextTrainer(task, backbone, replicas)
    trainer.compile(optimizer=Momentum(0.01))
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def batches(count: int, size: int) -> list[dict[str, tf.Tensor]]:
    random = np.random.default_rng(0)
    return [
        {
            "image": tf.constant(random.integers(0, 256, (size, SIZE, SIZE, 3)), tf.uint8),
            "label": tf.zeros([size], tf.int64),
            "draws": tf.zeros([size, 0]),
            "valid": tf.ones([size]),
        }
        for _ in range(count)
    ]


def test_two_replicas_do_what_one_device_does(mirrored):
    """The same loss, gradient and weights, batch statistics being shared."""
    one = make_trainer()
    with mirrored.scope():
        two = make_trainer(replicas=2, synchronized=True)
    one_step = tf.function(one.train_step)
    two_step = tf.function(lambda batch: mirrored.run(two.train_step, (batch,)))
    for batch in batches(3, 8):
        halves = iter([{k: v[:4] for k, v in batch.items()}, {k: v[4:] for k, v in batch.items()}])
        both = mirrored.experimental_distribute_values_from_function(lambda _, it=halves: next(it))
        loss = float(one_step(batch)["loss"])
        losses = mirrored.reduce("MEAN", two_step(both)["loss"], axis=None)
        assert loss == pytest.approx(float(losses), rel=1e-4)
    for first, second in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(first.numpy(), second.numpy(), rtol=1e-3, atol=2e-5)


def test_plain_fit_and_evaluate():
    trainer = make_trainer()
    before = [weight.numpy() for weight in trainer.trainable_weights]
    stream = tf.data.Dataset.from_tensor_slices(
        {name: tf.concat([b[name] for b in batches(2, 8)], 0) for name in batches(1, 8)[0]}
    ).batch(8, drop_remainder=True)
    history = trainer.fit(stream, epochs=1, verbose=0).history
    assert set(history) == {"loss", "weight_decay", "accuracy"}
    assert np.isfinite(history["loss"][0])
    assert any(np.any(a != b.numpy()) for a, b in zip(before, trainer.weights, strict=False))
    assert 0 <= trainer.evaluate(stream, verbose=0, return_dict=True)["accuracy"] <= 1


def test_sums_leave_out_what_fills_up():
    trainer = make_trainer()
    (batch,) = batches(1, 4)
    whole = trainer.test_sums(batch)
    part = trainer.test_sums(batch | {"valid": tf.constant([1.0, 1.0, 0.0, 0.0])})
    first_two = trainer.test_sums({name: value[:2] for name, value in batch.items()})
    assert float(whole["examples"]) == 16
    assert float(part["examples"]) == 8
    assert float(part["loss"]) == pytest.approx(float(first_two["loss"]), rel=1e-5)
    assert float(part["loss"]) != pytest.approx(float(whole["loss"]), rel=1e-2)


def test_the_step_compiles_under_xla():
    trainer = make_trainer()
    plain = make_trainer()
    (batch,) = batches(1, 4)
    compiled = tf.function(trainer.train_step, jit_compile=True)(batch)
    expected = tf.function(plain.train_step)(batch)
    assert float(compiled["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-4)
