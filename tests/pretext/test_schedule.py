import pathlib

import keras
import numpy as np

from pretext.momentum import Momentum
from pretext.schedule import WarmupPiecewise

GOLDEN = np.load(pathlib.Path(__file__).parents[1] / "golden" / "lr_schedule.npz")


def test_rates_are_those_of_the_released_code():
    for warmup, name in ((500, "lr_warm5"), (0, "lr_warm0")):
        schedule = WarmupPiecewise(0.4, warmup_steps=warmup, boundaries=(1500, 2500))
        rates = [float(schedule(step)) for step in GOLDEN["steps"]]
        np.testing.assert_allclose(rates, GOLDEN[name], rtol=1e-5, atol=1e-8)


def test_momentum_forgets_the_old_rate_at_once():
    rates = [0.5, 0.5, 0.05, 0.05]
    gradients = [1.0, -2.0, 0.5, 3.0]
    variable = keras.Variable([1.0])
    optimizer = Momentum(WarmupPiecewise(0.5, boundaries=(1,)), momentum=0.9)
    expected, velocity = 1.0, 0.0
    for rate, gradient in zip(rates, gradients, strict=True):
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [variable])
        velocity = 0.9 * velocity + gradient
        expected -= rate * velocity
        np.testing.assert_allclose(variable.numpy(), [expected], rtol=1e-6)
