"""A network small enough to compile in a moment, and batches for it."""

import keras
import numpy as np
import tensorflow as tf

from models.layers import BatchNormalization

LAYERS = ("block1", "block2", "block3", "block4", "pre_logits")


def network(width: int = 8, synchronized: bool = False, name: str = "tiny") -> keras.Model:
    """Four convolutions with batch normalisation; `pre_logits` has 4 · width values."""
    images = x = keras.Input((None, None, 3))
    outputs = {}
    for block, channels in zip(LAYERS, (width, width, 2 * width, 4 * width), strict=False):
        x = keras.layers.Conv2D(
            channels,
            3,
            2,
            padding="same",
            use_bias=False,
            kernel_regularizer=keras.regularizers.L2(1e-4),
            name=f"{block}_convolution",
        )(x)
        normalise = BatchNormalization(
            momentum=0.9, synchronized=synchronized, name=f"{block}_normalisation"
        )
        x = normalise(x)
        outputs[block] = x = keras.layers.ReLU()(x)
    outputs["pre_logits"] = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, outputs, name=name)


def batch(task, images: int = 4, size: int = 36, views: int = 0, seed: int = 0) -> dict:
    """Random pixels as `data.pipeline` would hand them over; `views` per image where not 0."""
    random = np.random.RandomState(seed)
    shape = (images, views, size, size, 3) if views else (images, size, size, 3)
    return {
        "image": tf.constant(random.randint(0, 256, shape), tf.uint8),
        "draws": tf.constant(random.uniform(size=(images, task.draws)), tf.float32),
        "label": tf.constant(random.randint(0, 5, images), tf.int64),
        "valid": tf.ones(images),
    }


def one_image(batch: dict, number: int) -> dict:
    """The batch of one image of a batch."""
    return {name: value[number : number + 1] for name, value in batch.items()}


def assert_compiles(task, batch: dict) -> None:
    """Views, loss, gradients and metrics under XLA must equal those without it."""
    backbone = network()
    head = task.head(backbone.output["pre_logits"].shape[-1])

    def run(batch):
        inputs, targets = task.views(batch, training=True)
        images = inputs.pop("images")
        with tf.GradientTape() as tape:
            pre_logits = backbone(images, training=False)["pre_logits"]
            logits = head({"pre_logits": pre_logits, **inputs}, training=False)
            loss = task.loss(targets, logits)
        gradient = tape.gradient(loss, head.trainable_variables[0])
        return images, targets, logits, loss, gradient, task.metrics(targets, logits)

    plain = tf.nest.flatten(run(batch))
    compiled = tf.nest.flatten(tf.function(run, jit_compile=True)(batch))
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


def assert_same_draws_same_views(task, batch: dict) -> None:
    """Views depend on an image's own pixels and draws, and on nothing else."""
    (inputs, targets), (again, _) = (task.views(batch, training=True) for _ in range(2))
    views = len(inputs["images"]) // len(batch["image"])
    for name in inputs:
        np.testing.assert_array_equal(inputs[name], again[name])
    alone, _ = task.views(one_image(batch, 2), training=True)
    np.testing.assert_allclose(
        alone["images"], inputs["images"][2 * views : 3 * views], rtol=1e-4, atol=1e-4
    )
    others, _ = task.views(batch | {"draws": 1 - batch["draws"]}, training=True)
    assert np.any(np.abs(others["images"] - inputs["images"]) > 0.1)
    assert len(targets) % len(batch["image"]) == 0
