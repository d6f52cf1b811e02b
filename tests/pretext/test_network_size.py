import keras
import pytest

import models
from pretext import network_size


def build(widening_factor: int) -> keras.Model:
    return models.build("vgg19_bn", widening_factor=widening_factor, image_size=32)


def test_is_told_before_it_is_made():
    with pytest.raises(MemoryError, match=r"weights, and training it takes .* more than the 24 GB"):
        network_size.check(lambda: build(1000), 24_000_000_000)
    # Nor is it made later: Keras would, at the end of the next such scope.
    with keras.StatelessScope():
        pass


def test_counting_takes_nothing_and_changes_nothing():
    def random_weights(count: bool) -> float:
        if count:
            network_size.check(lambda: build(1), 24_000_000_000)
        keras.utils.set_random_seed(0)
        return build(1).get_weights()[0].sum()

    assert random_weights(count=True) == random_weights(count=False)
    weights = build(1).count_params()
    network_size.check(lambda: build(1), 12 * weights)
    with pytest.raises(MemoryError, match=f"has {weights:,} weights"):
        network_size.check(lambda: build(1), 12 * weights - 1)
    network_size.check(lambda: build(1000), None)
