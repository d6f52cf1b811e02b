"""What a TPU asks of the training step, as far as that can be seen without one.

Every task on every architecture (in `make test` each at least once) is compiled to XLA's language,
which has no operations of the host, with static shapes. The networks have one unit a block: more of
them bring nothing new.
"""

import itertools
import re

import keras
import pytest
import tensorflow as tf

import models
import pretext
from pretext import precision
from pretext.trainer import PretextTrainer
from tests.pretext import tiny
from training.momentum import Momentum
from training.schedule import WarmupPiecewise

# A dimension that is only known when it is computed, which XLA writes as a bound.
DYNAMIC = re.compile(r"\[[\d,]*<=\d")


def make_trainer(task: str, architecture: str) -> PretextTrainer:
    patches = task in ("jigsaw", "relative_patch_location")
    options = pretext.TaskOptions(
        resize_size=108 if patches else 36,
        crop_size=108 if patches else 32,
        patch_size=32,
        class_names=("a", "b", "c"),
        embedding_size=8,
        views_per_image=2,
        permutations=5,
        permutations_per_image=2,
    )
    task = pretext.build(task, options)
    network = {"image_size": 32, **task.backbone_options(architecture)}
    if architecture != "vgg19_bn":
        network["units"] = (1, 1, 1, 1)
    trainer = PretextTrainer(task, models.build(architecture, widening_factor=1, **network))
    trainer.compile(optimizer=Momentum(WarmupPiecewise(0.1, 3, (5,))))
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def batch_for(trainer: PretextTrainer) -> dict[str, tf.Tensor]:
    options = trainer.task.options
    views = options.views_per_image if trainer.task.name == "exemplar" else 0
    return tiny.batch(trainer.task, images=2, size=options.crop_size, views=views)


def lowered(function, *arguments) -> str:
    """The function in XLA's language; TensorFlow refuses what XLA does not know."""
    compiled = tf.function(function, jit_compile=True)
    return compiled.experimental_get_compiler_ir(*arguments)(stage="hlo")


QUICK = {
    ("rotation", "resnet50_v2"),
    ("rotation", "resnet50_v2_minus"),
    ("exemplar", "resnet50_v1"),
    ("jigsaw", "revnet50"),
    ("relative_patch_location", "vgg19_bn"),
    ("supervised", "revnet50_minus"),
}


@pytest.mark.parametrize(
    ("task", "architecture"),
    [
        pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.long])
        for case in itertools.product(pretext.TASKS, models.NAMES)
    ],
)
def test_the_training_step(task, architecture):
    trainer = make_trainer(task, architecture)
    hlo = lowered(trainer.train_step, batch_for(trainer))
    assert "convolution" in hlo
    assert not DYNAMIC.search(hlo)
    assert "infeed" not in hlo
    assert "outfeed" not in hlo


def test_validation_and_bfloat16():
    """The other function of the loop, and the floats of a TPU."""
    with precision.computing_in("bfloat16"):
        trainer = make_trainer("jigsaw", "revnet50")
    hlo = lowered(trainer.test_sums, batch_for(trainer))
    assert "bf16" in hlo
    assert not DYNAMIC.search(hlo)
    hlo = lowered(trainer.train_step, batch_for(trainer))
    assert not DYNAMIC.search(hlo)


def test_the_test_sees_host_operations_and_dynamic_shapes():
    numbers = tf.constant([1.0, -1.0])
    with pytest.raises(ValueError, match="PyFunc"):
        lowered(lambda x: tf.numpy_function(lambda y: y, [x], tf.float32), numbers)
    assert DYNAMIC.search(lowered(lambda x: tf.boolean_mask(x, x > 0), numbers))
    keras.backend.clear_session()
