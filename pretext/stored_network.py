"""A network as an export stores it: which variables, of which type, behind one traced function."""

import keras
import tensorflow as tf

PRECISIONS = ("float32", "float16")


class StoredNetwork:
    """A Keras model whose weights are stored in float32, or its kernels in float16.

    Both compute in float32: kernels in float16 are widened where they are used, so that half the
    bytes come with one rounding of each weight and with nothing else. Vectors (biases, gamma, beta
    and moving statistics, under one per cent of the bytes) stay float32; a moving average in
    float16 would not move.

    A call goes through one `tf.function`, so that the graph of the network is in the SavedModel
    once for every value of `training`, however many signatures use it.

    Args:
        model: a float32 functional model, outside of any strategy.
        precision: one of `PRECISIONS`.

    Attributes:
        variables, trainable_variables: what is stored, in the order of the model's.

    Raises:
        ValueError: an unknown precision, or a weight that float16 cannot hold.
    """

    def __init__(self, model: keras.Model, precision: str = "float32") -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"unknown precision {precision}: use one of {', '.join(PRECISIONS)}")
        self._model = model
        self._halves = {}
        if precision == "float16":
            self._halves = {
                id(variable): _half(variable)
                for variable in model.trainable_variables
                if len(variable.shape) > 1
            }
        self.variables = [self._stored(variable) for variable in model.variables]
        self.trainable_variables = [self._stored(each) for each in model.trainable_variables]
        self._call = tf.function(self._run, autograph=False)

    def __call__(self, inputs: object, training: bool = False) -> object:
        """What the model makes of its inputs; in training mode its moving statistics move."""
        return self._call(inputs, training=training)

    def penalty(self) -> tf.Tensor:
        """The sum of the model's weight decay, 0.5·wd·‖W‖² each, from the stored weights."""
        with keras.StatelessScope(state_mapping=self._widened()):
            losses = self._model.losses
        return tf.add_n(losses) if losses else tf.zeros([])

    def _run(self, inputs: object, training: bool) -> object:
        if not self._halves:
            return self._model(inputs, training=training)
        with keras.StatelessScope(state_mapping=self._widened()) as scope:
            outputs = self._model(inputs, training=training)
        for variable in self._model.non_trainable_variables:
            moved = scope.get_current_value(variable)
            if training and moved is not None:
                variable.assign(moved)
        return outputs

    def _stored(self, variable: keras.Variable) -> tf.Variable:
        return self._halves.get(id(variable), variable.value)

    def _widened(self) -> list[tuple[keras.Variable, tf.Tensor]]:
        return [
            (variable, tf.cast(self._stored(variable), variable.dtype))
            for variable in self._model.trainable_variables
        ]


def _half(variable: keras.Variable) -> tf.Variable:
    half = tf.Variable(tf.cast(variable.value, tf.float16), name=variable.name)
    if not tf.reduce_all(tf.math.is_finite(half)):
        raise ValueError(
            f"{variable.path} has weights that float16 cannot hold (beyond ±65504, or not "
            "finite): export it in float32"
        )
    return half
