"""The short version of tests/shortcuts.py, and that it finds a shortcut where there is one."""

import dataclasses

import pytest
import tensorflow as tf

import pretext
from data import images
from tests import shortcuts

STEPS = 60


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if name in ("exemplar", "jigsaw") else [])
        for name in shortcuts.CHANCE
    ],
)
def test_noise_leaves_the_network_at_chance(name):
    task = pretext.build(name, shortcuts.OPTIONS)
    accuracy, error = shortcuts.accuracy_on_noise(task, STEPS)
    assert abs(accuracy - shortcuts.CHANCE[name]) < shortcuts.STANDARD_ERRORS * error


@dataclasses.dataclass(frozen=True)
class Squeezed:
    """Rectangles that are always wide, so that turned views tell by which axis they shrank."""

    crop_size: int

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        image = images.decode(encoded)
        view = tf.image.resize(image[5:35], [self.crop_size, self.crop_size])
        return tf.cast(view, tf.uint8)


def test_a_shortcut_is_found():
    task = pretext.build("rotation", shortcuts.OPTIONS)
    task.train_view = Squeezed(39)
    accuracy, error = shortcuts.accuracy_on_noise(task, STEPS)
    assert accuracy - 1 / 4 > 2 * shortcuts.STANDARD_ERRORS * error
