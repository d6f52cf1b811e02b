"""The layers that all families share: convolution, pooling and batch normalisation.

They exist because Keras' own differ in one point each from what the paper's networks need:
explicit symmetric padding of strided windows, and TensorFlow's fused batch normalisation.
"""

import functools

import keras
import tensorflow as tf

PACKAGE = "revisiting_self_supervised"

Statistics = tuple[tf.Tensor, ...]


@keras.saving.register_keras_serializable(PACKAGE)
class WeightDecay(keras.regularizers.Regularizer):
    """The penalty 0.5·wd·‖W‖² of the released code (Keras' L2 has no factor 0.5).

    Args:
        weight_decay: wd.
    """

    def __init__(self, weight_decay: float):
        self.weight_decay = weight_decay

    def __call__(self, kernel: tf.Tensor) -> tf.Tensor:
        # One pass over the kernel and none over a copy of its squares.
        return self.weight_decay * tf.nn.l2_loss(tf.convert_to_tensor(kernel))

    def get_config(self) -> dict:
        return {"weight_decay": self.weight_decay}


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


def fused_batch_norm(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float, moving: Statistics = ()
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalises (N, C) or (N, H, W, C) by its own statistics, or by the moving ones if given.

    Returns:
        The normalised x in its own type, and the mean and the unbiased variance, (C,) each.
    """
    if x.dtype == tf.float64:  # which the fused operation does not have
        mean, variance = moving or tf.nn.moments(x, list(range(x.shape.rank - 1)))
        outputs = tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)
        return outputs, mean, variance if moving else _unbiased(variance, x)
    is_map = x.shape.rank == 4
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        x if is_map else x[:, tf.newaxis, tf.newaxis, :],
        gamma,
        beta,
        *moving,
        epsilon=epsilon,
        is_training=not moving,
    )
    return outputs if is_map else outputs[:, 0, 0, :], mean, variance


def batch_norm_of_replicas(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """As `fused_batch_norm`, by the statistics of all replicas' batches together.

    It reduces over replicas, which TensorFlow does not compile by XLA except on a TPU.
    """
    replicas = tf.distribute.get_replica_context()
    if replicas is None or replicas.num_replicas_in_sync == 1:
        return fused_batch_norm(x, gamma, beta, epsilon)
    average = functools.partial(replicas.all_reduce, tf.distribute.ReduceOp.MEAN)
    axes = list(range(x.shape.rank - 1))
    wide = tf.cast(x, gamma.dtype)
    mean = average(tf.reduce_mean(wide, axes))
    variance = average(tf.reduce_mean(tf.math.squared_difference(wide, mean), axes))
    outputs = tf.nn.batch_normalization(wide, mean, variance, beta, gamma, epsilon)
    unbiased = _unbiased(variance, x, replicas.num_replicas_in_sync)
    return tf.cast(outputs, x.dtype), mean, unbiased


def _unbiased(variance: tf.Tensor, x: tf.Tensor, replicas: int = 1) -> tf.Tensor:
    size = tf.cast(tf.size(x) // x.shape[-1] * replicas, variance.dtype)
    return variance * (size / tf.maximum(size - 1, 1))


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
        outputs, statistics = self.normalize(inputs, self.gamma.value, self.beta.value, training)
        self.update(statistics)
        return outputs

    def normalize(
        self,
        inputs: tf.Tensor,
        gamma: tf.Tensor,
        beta: tf.Tensor,
        training: bool | None = None,
    ) -> tuple[tf.Tensor, Statistics]:
        """Normalises with the given gamma and beta, (C,), and changes no variable.

        Returns:
            The normalised inputs, and the statistics to call `update` with: the batch's mean and
            unbiased variance, (C,) each, or () where the moving statistics were used.
        """
        if training and self.trainable:
            batch_norm = batch_norm_of_replicas if self.synchronized else fused_batch_norm
            outputs, mean, variance = batch_norm(inputs, gamma, beta, self.epsilon)
            return outputs, (mean, variance)
        moving = self.moving_mean.value, self.moving_variance.value
        outputs, _, _ = fused_batch_norm(inputs, gamma, beta, self.epsilon, moving)
        return outputs, ()

    def update(self, statistics: Statistics) -> None:
        """Moves the moving statistics towards the batch's, as `normalize` returned them."""
        for moving, batch in zip(
            (self.moving_mean, self.moving_variance), statistics, strict=False
        ):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict:
        return super().get_config() | {
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "synchronized": self.synchronized,
        }
