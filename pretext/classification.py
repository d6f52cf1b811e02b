"""What tasks that end in a softmax share: the linear head, the loss, the accuracy."""

import keras
import tensorflow as tf

ACCURACIES = ("accuracy", "loss")


def linear_head(features: int, classes: int, weight_decay: float) -> keras.Model:
    """The logits layer: with a bias, float32 whatever the backbone computes in.

    Args:
        features: the size of `pre_logits`.
        classes: how many logits.
        weight_decay: of the kernel, as 0.5 · weight_decay · ‖W‖².

    Returns:
        A functional model from `{"pre_logits": (N, features)}` to logits, (N, classes).
    """
    pre_logits = keras.Input((features,), name="pre_logits")
    logits = keras.layers.Dense(
        classes,
        kernel_regularizer=keras.regularizers.L2(0.5 * weight_decay),
        dtype="float32",
        name="logits",
    )(pre_logits)
    return keras.Model({"pre_logits": pre_logits}, logits, name="head")


def cross_entropy(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The mean softmax cross-entropy: targets (N,) of integers, logits (N, classes)."""
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    )


def accuracies(targets: tf.Tensor, logits: tf.Tensor) -> dict[str, tf.Tensor]:
    """`accuracy`, 1 where the largest logit is the target's and 0 elsewhere, and `loss`: (N,)."""
    predicted = tf.argmax(logits, axis=-1, output_type=targets.dtype)
    return {
        "accuracy": tf.cast(predicted == targets, tf.float32),
        "loss": tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits),
    }
