"""The learning rate by step (PAPER section 3.2's supplement; the released code's boundaries)."""

import keras


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
