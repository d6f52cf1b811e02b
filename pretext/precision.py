"""Computing in 16 bits: where that pays, Keras' dtype policies, and float16's scaling of the loss.

Variables, batch statistics, logits, losses and the optimiser stay in float32; convolutions and
what lies between them are computed in the narrow type (Micikevicius et al., "Mixed Precision
Training", 2018).
"""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf
from etils import epath

from training import devices, run_directory
from training.options import AUTO

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def resolve(precision: str, strategy: tf.distribute.Strategy, directory: epath.Path) -> str:
    """The precision that `--precision` stands for.

    `auto` is what the run that has begun in the directory computes in, whatever it computes on now;
    before that, bfloat16 where all devices of all machines multiply it in hardware, else float32.
    Several machines have to ask together.

    Args:
        precision: one of `POLICIES`, or `auto`.
        strategy: the devices of the run.
        directory: the run's; it need not be there.

    Returns:
        One of `POLICIES`.
    """
    if precision != AUTO:
        return precision
    # Asked whatever the directory holds: the machines answer together.
    by_hardware = "bfloat16" if devices.multiplies_bfloat16(strategy) else "float32"
    before = run_directory.begun_with(directory).get("precision")
    return before if before in POLICIES else by_hardware


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Layers that are made inside compute in `precision`, one of `POLICIES`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


class LossScale:
    """What float16's objective is multiplied by, so that small gradients do not become zero.

    The scale doubles after `growth_steps` updates in a row with finite gradients, and halves when
    a gradient is not finite. That update is then left out: its gradients become NaN, all of them,
    on all replicas, and `training.momentum.Momentum` takes none of them.

    Args:
        initial: the first scale.
        growth_steps: updates after which a larger scale is tried.
    """

    def __init__(self, initial: float = 2.0**15, growth_steps: int = 2000) -> None:
        self.growth_steps = growth_steps
        # Every replica computes the same new value from the same sum over replicas.
        once = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.scale = tf.Variable(initial, name="loss_scale", **once)
        self.good_steps = tf.Variable(0.0, name="good_steps", **once)

    @property
    def variables(self) -> list[tf.Variable]:
        """The state that a checkpoint has to hold."""
        return [self.scale, self.good_steps]

    def unscale(self, gradients: list[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor]:
        """A replica's gradients divided by the scale, or NaN if one of them is not finite.

        Returns:
            The gradients, and whether they were finite: float32, 0 or 1.
        """
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
        factor = tf.where(finite, 1.0 / self.scale, float("nan"))
        return [gradient * factor for gradient in gradients], tf.cast(finite, tf.float32)

    def update(self, finite: tf.Tensor) -> None:
        """Sets the scale for the next update; `finite` is 1 where all replicas' gradients were."""
        good_steps = tf.where(finite < 1, 0.0, self.good_steps + 1)
        grows = good_steps >= self.growth_steps
        factor = tf.where(finite < 1, 0.5, tf.where(grows, 2.0, 1.0))
        self.scale.assign(self.scale * factor)
        self.good_steps.assign(tf.where(grows, 0.0, good_steps))
