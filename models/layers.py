"""The layers that all families share: convolution, pooling and batch normalisation.

They exist because Keras' own differ in one point each from what the paper's networks need:
explicit symmetric padding of strided windows, and TensorFlow's fused batch normalisation.
"""

import keras
import tensorflow as tf

PACKAGE = "revisiting_self_supervised"

Statistics = tuple[tf.Tensor, tf.Tensor]


def l2(weight_decay: float) -> keras.regularizers.Regularizer:
    """The penalty 0.5·weight_decay·‖W‖² of the released code (Keras' L2 lacks the factor 0.5)."""
    return keras.regularizers.L2(0.5 * weight_decay)


@keras.saving.register_keras_serializable(PACKAGE)
class Convolution(keras.layers.Conv2D):
    """A bias-free convolution of odd kernel size k, padded by (k-1)/2 zeros on every side.

    (N, H, W, C) to (N, ceil(H/stride), ceil(W/stride), filters). The padding does not depend on
    the input's size, as in the released code; TensorFlow's "SAME" does, as soon as the stride is
    not 1.

    Args:
        filters: number of output channels.
        kernel_size: k, odd.
        strides: stride in both directions.
    """

    def __init__(self, filters: int, kernel_size: int | tuple[int, int], strides=1, **kwargs):
        defaults = {"use_bias": False, "padding": "same", "data_format": "channels_last"}
        super().__init__(filters, kernel_size, strides, **(kwargs | defaults))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if self.strides == (1, 1):
            return tf.nn.conv2d(inputs, self.kernel, strides=1, padding="SAME")
        # Explicit margins as an argument of the convolution leave its fast path on the CPU; a pad
        # before it is fused into it there.
        margins = [[0, 0], *([(k - 1) // 2] * 2 for k in self.kernel_size), [0, 0]]
        return tf.nn.conv2d(tf.pad(inputs, margins), self.kernel, self.strides, padding="VALID")


@keras.saving.register_keras_serializable(PACKAGE)
class RootPooling(keras.layers.Layer):
    """3×3 max-pooling with stride 2 over the map padded by one *zero* on every side.

    (N, H, W, C) to (N, ceil(H/2), ceil(W/2), C). Maps with negative values (the networks without
    a ReLU after the root convolution) feel that the padding is zero and not minus infinity.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]])
        return tf.nn.max_pool2d(padded, ksize=3, strides=2, padding="VALID")

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        n, height, width, channels = input_shape
        halved = (None if size is None else (size + 1) // 2 for size in (height, width))
        return (n, *halved, channels)


@keras.saving.register_keras_serializable(PACKAGE)
class BatchNormalization(keras.layers.Layer):
    """Batch normalisation over TensorFlow's fused operation, with Keras' interface.

    Takes (N, C) or (N, H, W, C) of any float type and returns the same. Statistics, gamma and beta
    are float32 under mixed precision. In training the batch is normalised by its own mean and
    variance, and the moving statistics move by 1 - momentum towards them; as in TensorFlow 1 the
    variance that enters the moving one is the unbiased estimate, N/(N-1) times the batch's. A
    layer with `trainable = False` always uses the moving statistics.

    Under a distribution strategy every replica normalises by its own batch and keeps its own
    moving statistics; the first replica's are the ones that are saved. With `synchronized` the
    batch statistics are those of all replicas together.

    Args:
        axis: the axis of channels, the last.
        momentum: how much of the moving statistics stays at every update.
        epsilon: added to the variance.
        synchronized: whether replicas share their batch statistics.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        synchronized: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if axis != -1:
            raise ValueError(f"axis must be -1, the last, got {axis}")
        self.axis = axis
        self.momentum = momentum
        self.epsilon = epsilon
        self.synchronized = synchronized

    def build(self, input_shape: tuple) -> None:
        channels = (input_shape[-1],)
        # Statistics that are "averaged over replicas" at every assignment cost two reductions a
        # layer and cannot be assigned inside XLA; with aggregation "none" each replica has its own.
        fixed = {"trainable": False, "autocast": False, "aggregation": "none"}
        self.gamma = self.add_weight(channels, "ones", name="gamma", autocast=False)
        self.beta = self.add_weight(channels, "zeros", name="beta", autocast=False)
        self.moving_mean = self.add_weight(channels, "zeros", name="moving_mean", **fixed)
        self.moving_variance = self.add_weight(channels, "ones", name="moving_variance", **fixed)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        outputs, statistics = self.normalize(inputs, training)
        if statistics is not None:
            self.update(statistics)
        return outputs

    def normalize(
        self, inputs: tf.Tensor, training: bool | None = None
    ) -> tuple[tf.Tensor, Statistics | None]:
        """Normalises without moving anything.

        Args:
            inputs: (N, C) or (N, H, W, C).
            training: whether to use the batch's statistics.

        Returns:
            The normalised inputs, and the batch's mean and unbiased variance, (C,) each, for
            `update`; None instead of them where the moving statistics were used.
        """
        if not (training and self.trainable):
            if self._is_fusable(inputs):
                return self._fused(inputs, training=False)[0], None
            moving = self.moving_mean, self.moving_variance
            return self._scale(self._widen(inputs), *moving, inputs.dtype), None
        if self._is_fusable(inputs) and not self.synchronized:
            return self._fused(inputs, training=True)
        return self._by_moments(inputs)

    def update(self, statistics: Statistics) -> None:
        """Moves the moving statistics towards the batch's, as `normalize` returned them."""
        pairs = zip((self.moving_mean, self.moving_variance), statistics, strict=True)
        for moving, batch in pairs:
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))

    def _is_fusable(self, inputs: tf.Tensor) -> bool:
        return inputs.dtype != tf.float64

    def _fused(self, inputs: tf.Tensor, training: bool) -> tuple[tf.Tensor, Statistics]:
        is_map = inputs.shape.rank == 4
        moving = {"mean": self.moving_mean.value, "variance": self.moving_variance.value}
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs if is_map else inputs[:, tf.newaxis, tf.newaxis, :],
            self.gamma.value,
            self.beta.value,
            **({} if training else moving),
            epsilon=self.epsilon,
            is_training=training,
        )
        return outputs if is_map else outputs[:, 0, 0, :], (mean, variance)

    def _by_moments(self, inputs: tf.Tensor) -> tuple[tf.Tensor, Statistics]:
        wide = self._widen(inputs)
        axes = list(range(inputs.shape.rank - 1))
        mean = self._over_replicas(tf.reduce_mean(wide, axes))
        deviations = tf.math.squared_difference(wide, mean)
        variance = self._over_replicas(tf.reduce_mean(deviations, axes))
        size = tf.cast(tf.size(inputs) // inputs.shape[-1], wide.dtype) * self._replicas()
        statistics = mean, variance * (size / tf.maximum(size - 1, 1))
        return self._scale(wide, mean, variance, inputs.dtype), statistics

    def _scale(
        self, wide: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, dtype: tf.DType
    ) -> tf.Tensor:
        parameters = self.beta.value, self.gamma.value, self.epsilon
        return tf.cast(tf.nn.batch_normalization(wide, mean, variance, *parameters), dtype)

    def _widen(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.cast(inputs, self.variable_dtype)

    def _replicas(self) -> int:
        context = tf.distribute.get_replica_context()
        return context.num_replicas_in_sync if self.synchronized and context else 1

    def _over_replicas(self, statistic: tf.Tensor) -> tf.Tensor:
        if self._replicas() == 1:
            return statistic
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.MEAN, statistic)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict:
        return super().get_config() | {
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "synchronized": self.synchronized,
        }
