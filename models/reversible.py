"""A block of reversible units whose backward pass reconstructs activations instead of storing them.

Gomez et al., "The Reversible Residual Network: Backpropagation Without Storing Activations"
(2017); the units' form is that of section 3.1 of the paper.
"""

import keras
import tensorflow as tf

from models.layers import PACKAGE, BatchNormalization, Convolution, Statistics, WeightDecay


class Residual(keras.layers.Layer):
    """The function F of a reversible unit: a pre-activation bottleneck that keeps the shape.

    (N, H, W, C) to (N, H, W, C) by BN, ReLU and convolution three times: 1×1 to C/4 channels, 3×3,
    and 1×1 back to C, where C is *half* of the unit's channels.

    Args:
        weight_decay: wd of the penalty 0.5·wd·‖W‖² on the kernels.
        synchronized: whether replicas share their batch statistics.
    """

    def __init__(self, weight_decay: float, synchronized: bool, **kwargs):
        super().__init__(**kwargs)
        self.weight_decay = weight_decay
        self.synchronized = synchronized

    def build(self, input_shape: tuple) -> None:
        channels = input_shape[-1]
        shape = tuple(input_shape)
        self.norms, self.convolutions = [], []
        sizes = ((channels // 4, 1), (channels // 4, 3), (channels, 1))
        for i, (filters, kernel_size) in enumerate(sizes, start=1):
            norm = BatchNormalization(
                synchronized=self.synchronized, dtype=self.dtype_policy, name=f"norm{i}"
            )
            convolution = Convolution(
                filters,
                kernel_size,
                kernel_regularizer=WeightDecay(self.weight_decay),
                dtype=self.dtype_policy,
                name=f"conv{i}",
            )
            norm.build(shape)
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
            self.norms.append(norm)
            self.convolutions.append(convolution)

    def tensors(self) -> list[tf.Tensor]:
        """The current gamma, beta and kernel of each of the three steps, in this order."""
        values = []
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            kernel = tf.cast(convolution.kernel, self.compute_dtype)
            values += [norm.gamma.value, norm.beta.value, kernel]
        return values

    def evaluate(
        self, x: tf.Tensor, tensors: list[tf.Tensor], training: bool
    ) -> tuple[tf.Tensor, list[Statistics]]:
        """F(x) with the given `tensors`, and the batch statistics for `update`. Changes nothing."""
        statistics = []
        h = tf.cast(x, self.compute_dtype)
        steps = zip(self.norms, tensors[0::3], tensors[1::3], tensors[2::3], strict=True)
        for norm, gamma, beta, kernel in steps:
            h, of_batch = norm.normalize(h, gamma, beta, training)
            statistics.append(of_batch)
            h = tf.nn.conv2d(tf.nn.relu(h), kernel, strides=1, padding="SAME")
        return tf.cast(h, x.dtype), statistics

    def update(self, statistics: list[Statistics]) -> None:
        """Moves the moving statistics towards the batch's, as `evaluate` returned them."""
        for norm, of_batch in zip(self.norms, statistics, strict=True):
            norm.update(of_batch)


@keras.saving.register_keras_serializable(PACKAGE)
class ReversibleBlock(keras.layers.Layer):
    """A chain of reversible units: (N, H, W, C) to (N, H, W, C), C divisible by 8.

    A unit takes the halves x1, x2 of the channels to y2 = x2 and y1 = x1 + F(x2), and hands on
    concat(y2, y1), so that halves swap from unit to unit. Its inverse is x2 = y2,
    x1 = y1 - F(x2). The backward pass goes through the units from the last to the first,
    evaluates F once in each, and uses it both to reconstruct x1 and to differentiate.

    The forward pass keeps the block's output and nothing else, whatever the number of units, when
    it runs inside a `tf.function`; eagerly the gradients are the same, but the outer tape keeps
    what it sees. The running sum is float32 under mixed precision, or its reconstruction would
    lose digits in every unit. Reconstruction is exact up to rounding.

    Args:
        units: number of units.
        weight_decay: wd of the penalty 0.5·wd·‖W‖² on the kernels, found in `losses`.
        reversible: False for ordinary backpropagation through the same variables.
        synchronized: whether replicas share their batch statistics.
    """

    def __init__(
        self,
        units: int,
        weight_decay: float = 1e-4,
        reversible: bool = True,
        synchronized: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight_decay = weight_decay
        self.reversible = reversible
        self.synchronized = synchronized
        self.units = [
            Residual(weight_decay, synchronized, dtype=self.dtype_policy, name=f"unit{i}")
            for i in range(1, units + 1)
        ]

    def build(self, input_shape: tuple) -> None:
        half = (*input_shape[:-1], input_shape[-1] // 2)
        for unit in self.units:
            unit.build(half)

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        training = bool(training)
        run = self._run_reversibly if self.reversible else self._run
        tensors = [unit.tensors() for unit in self.units]
        wide = inputs if inputs.dtype == tf.float64 else tf.cast(inputs, tf.float32)
        outputs, statistics = run(wide, tensors, training)
        for unit, of_batch in zip(self.units, statistics, strict=True):
            unit.update(of_batch)
        return tf.cast(outputs, inputs.dtype)

    def _run(
        self, inputs: tf.Tensor, tensors: list[list[tf.Tensor]], training: bool
    ) -> tuple[tf.Tensor, list[list[Statistics]]]:
        statistics = []
        x1, x2 = _halves(inputs)
        for unit, values in zip(self.units, tensors, strict=True):
            residual, of_batch = unit.evaluate(x2, values, training)
            statistics.append(of_batch)
            x1, x2 = x2, x1 + residual
        return tf.concat([x1, x2], axis=-1), statistics

    def _run_reversibly(
        self, inputs: tf.Tensor, tensors: list[list[tf.Tensor]], training: bool
    ) -> tuple[tf.Tensor, list[list[Statistics]]]:
        # Weights enter as tensors and not as variables: the function then looks the same to eager
        # execution, graphs, XLA, strategies and SavedModels.
        @tf.custom_gradient
        def run(inputs: tf.Tensor, *flat: tf.Tensor):
            outputs, statistics = self._run(inputs, _by_unit(flat), training)

            def backward(gradient: tf.Tensor, *_: tf.Tensor) -> list[tf.Tensor]:
                return self._backward(inputs, outputs, gradient, _by_unit(flat), training)

            return (outputs, *tf.nest.flatten(statistics)), backward

        outputs, *flat_statistics = run(inputs, *tf.nest.flatten(tensors))
        values = iter(flat_statistics)
        statistics = [
            [
                (next(values), next(values)) if training and norm.trainable else ()
                for norm in unit.norms
            ]
            for unit in self.units
        ]
        return outputs, statistics

    def _backward(
        self,
        inputs: tf.Tensor,
        outputs: tf.Tensor,
        gradient: tf.Tensor,
        tensors: list[list[tf.Tensor]],
        training: bool,
    ) -> list[tf.Tensor]:
        """The gradients of the inputs and of all tensors, from the last unit to the first."""
        y2, y1 = _halves(_anew(_after(outputs, [gradient]), gradient))
        dy2, dy1 = _halves(gradient)
        gradients = []
        for i in reversed(range(len(self.units))):
            with tf.GradientTape() as tape:
                tape.watch([y2, tensors[i]])
                residual, _ = self.units[i].evaluate(y2, tensors[i], training)
            through_residual, *of_tensors = tape.gradient(residual, [y2, *tensors[i]], dy1)
            gradients = of_tensors + gradients
            dx2 = dy2 + through_residual
            dy2, dy1 = dy1, dx2
            # Nothing of the previous unit may begin before this unit is done. Otherwise the
            # executor runs ahead to the reconstructions and leaves gradients of kernels for
            # later, and with them every activation that they need.
            done = [dx2, *of_tensors]
            if i > 1:
                y2, y1 = _after(y1 - residual, done), _after(y2, done)
            elif i == 1:
                # The first unit's x2 is a half of the block's input, which is there: channels
                # that are padded with exact zeros meet a ReLU at its kink, where rounding decides
                # about the gradient.
                y2 = _halves(_anew(_after(inputs, done), gradient))[1]
        return [tf.concat([dy2, dy1], axis=-1), *gradients]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict:
        return super().get_config() | {
            "units": len(self.units),
            "weight_decay": self.weight_decay,
            "reversible": self.reversible,
            "synchronized": self.synchronized,
        }


def _by_unit(flat: tuple[tf.Tensor, ...]) -> list[list[tf.Tensor]]:
    of_one = 9  # gamma, beta and kernel of three steps
    return [list(flat[i : i + of_one]) for i in range(0, len(flat), of_one)]


def _halves(x: tf.Tensor) -> list[tf.Tensor]:
    return tf.split(x, 2, axis=-1)


def _after(x: tf.Tensor, others: list[tf.Tensor]) -> tf.Tensor:
    """x, but not before `others` have been computed."""
    with tf.control_dependencies(others):
        return tf.identity(x)


def _anew(x: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """x, in a form that compilers do not know to be x.

    F of what the forward pass has applied F to would be recognised as the same by XLA, computed
    once and kept. Where `gradient` is not finite, neither is the result of the backward pass, and
    it makes no difference that x becomes zero.
    """
    is_finite = tf.math.is_finite(tf.reduce_sum(gradient[:1, 0, 0, 0]))
    return tf.where(is_finite, x, tf.zeros((), x.dtype))
