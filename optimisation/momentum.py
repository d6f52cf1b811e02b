"""SGD with momentum as TensorFlow 1 and the released code have it."""

import keras
import tensorflow as tf


class Momentum(keras.optimizers.SGD):
    """v ← μ·v + g;  w ← w − rate·v.

    Keras' own SGD has the learning rate inside the velocity (v ← μ·v − rate·g). The two agree
    while the rate is constant and differ when it falls: there the old rate lives on in Keras'
    velocity for some ten steps, and here it does not.

    Args:
        learning_rate: a number or a schedule.
        momentum: μ.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
        momentum: float = 0.9,
        name: str = "momentum",
        **options: object,
    ) -> None:
        super().__init__(learning_rate=learning_rate, momentum=momentum, name=name, **options)

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        velocity = self.momentums[self._get_variable_index(variable)]
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=velocity.value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
            momentum=tf.cast(self.momentum, variable.dtype),
        )
