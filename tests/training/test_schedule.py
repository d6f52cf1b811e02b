import pathlib

import keras
import numpy as np
import pytest

from training.momentum import Momentum
from training.schedule import WarmupPiecewise, in_epochs, read_epochs

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


def test_schedules_in_epochs():
    # The schedule study of section 4.7: a first decay, and another one 20 epochs later.
    schedule = in_epochs(0.1, 7, decay_epochs=read_epochs(["30", "50"]))
    steps = [0, 30 * 7, 30 * 7 + 1, 50 * 7, 50 * 7 + 1, 70 * 7]
    rates = [float(schedule(step)) for step in steps]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rtol=1e-6)
    assert in_epochs(0.1, 100, decay_epochs=[0.5], warmup_epochs=0.25).boundaries == (50,)
    assert in_epochs(0.1, 100, warmup_epochs=0.25).warmup_steps == 25


@pytest.mark.parametrize("texts", [["soon"], ["20", "10"], ["-1"], ["nan"], ["inf"], [""]])
def test_decays_that_are_none(texts):
    with pytest.raises(ValueError, match="use ascending numbers of epochs"):
        read_epochs(texts)


def test_a_schedule_that_is_none():
    with pytest.raises(ValueError, match="--learning_rate=nan: use a number of at least 0"):
        in_epochs(float("nan"), 7)
    with pytest.raises(ValueError, match="--warmup_epochs=-1: use a number of at least 0"):
        in_epochs(0.1, 7, warmup_epochs=-1)
