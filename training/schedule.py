"""The learning rate by step (paper, section 3.2 and supplement; the released code's boundaries)."""

import dataclasses
import math
from collections.abc import Sequence

import keras

from training.options import option


def read_epochs(texts: Sequence[str | float]) -> tuple[float, ...]:
    """The epochs of a list of --decay_epochs.

    Raises:
        ValueError: they are not ascending numbers of at least 0.
    """
    try:
        epochs = tuple(float(text) for text in texts)
    except ValueError:
        epochs = (-1.0,)
    if not all(0 <= epoch < math.inf for epoch in epochs) or list(epochs) != sorted(epochs):
        given = ",".join(str(text) for text in texts)
        raise ValueError(f"--decay_epochs={given}: use ascending numbers of epochs, such as 15,25")
    return epochs


@dataclasses.dataclass(frozen=True)
class ScheduleOptions:
    """The learning rate by epoch."""

    learning_rate: float = option(
        0.1,
        "The learning rate for a batch of --lr_scale_batch_size images.",
        minimum=0,
        maximum=1e6,
    )
    lr_scale_batch_size: int = option(
        256,
        "The rate used is learning_rate · batch_size / this; 0: not scaled.",
        minimum=0,
        maximum=2**20,
    )
    decay_epochs: tuple[float, ...] = option(
        (15.0, 25.0),
        "Epochs after which the rate is divided by ten; auto: 15, 25 of 35, for supervised "
        "30, 60, 80 of 90, in proportion to --epochs; empty: never.",
        auto=True,
        check=read_epochs,
    )
    warmup_epochs: float = option(
        5.0,
        "Epochs over which the rate rises from zero; auto: 5 of 35, for supervised 5 of 90, in "
        "proportion to --epochs.",
        auto=True,
        minimum=0,
        maximum=1_000_000,
    )

    def in_steps(self, batch_size: int, steps_per_epoch: int) -> "WarmupPiecewise":
        """The schedule in steps, for a batch size and a number of steps per epoch."""
        scale = batch_size / self.lr_scale_batch_size if self.lr_scale_batch_size else 1.0
        return in_epochs(
            self.learning_rate * scale,
            steps_per_epoch,
            decay_epochs=self.decay_epochs,
            warmup_epochs=self.warmup_epochs,
        )


def in_epochs(
    learning_rate: float,
    steps_per_epoch: int,
    *,
    decay_epochs: Sequence[float] = (),
    warmup_epochs: float = 0.0,
) -> "WarmupPiecewise":
    """Converts a schedule in epochs to one in steps.

    Args:
        learning_rate: the rate after the warm-up, at least 0.
        steps_per_epoch: updates of an epoch.
        decay_epochs: the epochs after which the rate is divided by ten, ascending.
        warmup_epochs: the epochs over which the rate rises from zero.

    Raises:
        ValueError: the rate or the warm-up is invalid.
    """
    if not 0 <= learning_rate < math.inf:
        raise ValueError(f"--learning_rate={learning_rate}: use a number of at least 0")
    if not 0 <= warmup_epochs < math.inf:
        raise ValueError(f"--warmup_epochs={warmup_epochs}: use a number of at least 0")
    return WarmupPiecewise(
        learning_rate,
        warmup_steps=round(warmup_epochs * steps_per_epoch),
        boundaries=tuple(round(epoch * steps_per_epoch) for epoch in decay_epochs),
    )


class WarmupPiecewise(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up from zero, then a constant rate divided by `factor` after some steps.

    A boundary belongs to the old rate, as in the released code: with a boundary at 1500, step
    1500 still has the old rate and step 1501 the new one.

    Args:
        learning_rate: the rate after the warm-up.
        warmup_steps: steps of the warm-up; step s of it has the rate `learning_rate * s / steps`.
        boundaries: the steps after which the rate falls, ascending.
        factor: what the rate is divided by at each boundary.
    """

    def __init__(
        self,
        learning_rate: float,
        warmup_steps: int = 0,
        boundaries: tuple[int, ...] = (),
        factor: float = 10.0,
    ) -> None:
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.boundaries = tuple(boundaries)
        self.factor = factor

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        step = keras.ops.cast(step, "float32")
        rate = keras.ops.convert_to_tensor(self.learning_rate, "float32")
        for boundary in self.boundaries:
            rate = keras.ops.where(step > boundary, rate / self.factor, rate)
        if self.warmup_steps:
            rate = rate * keras.ops.minimum(step / self.warmup_steps, 1.0)
        return rate

    def get_config(self) -> dict[str, object]:
        return {
            "learning_rate": self.learning_rate,
            "warmup_steps": self.warmup_steps,
            "boundaries": self.boundaries,
            "factor": self.factor,
        }
