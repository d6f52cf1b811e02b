"""SGD with momentum as in TensorFlow 1 and the released code."""

import keras
import tensorflow as tf


class Momentum(keras.optimizers.SGD):
    """v ← μ·v + g;  w ← w − rate·v.

    Keras' own SGD has the learning rate inside the velocity (v ← μ·v − rate·g). The two agree
    while the rate is constant and differ when it falls: there the old rate persists in Keras'
    velocity for some ten steps, and here it does not.

    Args:
        learning_rate: a number or a schedule.
        momentum: μ.
        skip_nan: whether a gradient that begins with NaN leaves the weights and the velocity as
            they are; see `pretext.precision.LossScale`.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
        momentum: float = 0.9,
        skip_nan: bool = False,
        name: str = "momentum",
        **options: object,
    ) -> None:
        super().__init__(learning_rate=learning_rate, momentum=momentum, name=name, **options)
        self.skip_nan = skip_nan

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        velocity = self.momentums[self._get_variable_index(variable)]
        momentum = tf.cast(self.momentum, variable.dtype)
        if self.skip_nan:
            skip = tf.math.is_nan(tf.reshape(gradient, [-1])[0])
            gradient = tf.where(skip, tf.zeros_like(gradient), gradient)
            learning_rate = tf.where(skip, 0.0, learning_rate)
            momentum = tf.where(skip, tf.ones_like(momentum), momentum)
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=momentum,
        )
