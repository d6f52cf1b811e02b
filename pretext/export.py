"""The trained network as a SavedModel that anyone can load, probe and fine-tune.

The root is a `tf.train.Checkpoint`, because `tf.Module` and Keras models keep `variables` to
themselves, whereas whoever loads this one with `tf.saved_model.load` or `hub.load` gets:

    model(images, training=False)       pre_logits
    model.representation(images, training=False)    the dict of the five layers
    model.variables, model.trainable_variables, model.regularization_losses
    model.permutations                      jigsaw's table, (permutations, patches), from 0
    model.signatures["serving_default"]    images -> pre_logits
    model.signatures["representation"]     images -> block1 … block4, pre_logits
    model.signatures["pretext"]            images -> logits, the task's answer
    model.signatures["input_size"]         -> resize_size, crop_size: the pixels to probe it with

Images are RGB, float32 in [0, 1], (N, H, W, 3); the task's own normalisation is inside.
"""

import keras
import tensorflow as tf
from etils import epath

from pretext.task import PretextTask, Representations

LAYERS = ("block1", "block2", "block3", "block4", "pre_logits")


def export(
    task: PretextTask,
    backbone: keras.Model,
    head: keras.Model,
    path: epath.Path,
) -> None:
    """Writes the SavedModel; the directory appears only when it is whole.

    Args:
        task: the pretext task, for its normalisation and its answer.
        backbone: from `models.build`, float32, outside of any strategy, with trained weights.
        head: from `PretextTask.head`, with trained weights.
        path: the directory to write; replaced if it is there.
    """
    # VGG takes whole images of one size only; the patches that it is built for come from any.
    own_size = backbone.input.shape[1]
    image_size = own_size if own_size == task.eval_view.crop_size else None
    images = tf.TensorSpec([None, image_size, image_size, 3], tf.float32, name="images")

    def representation(images: tf.Tensor, training: bool = False) -> Representations:
        layers = task.represent(backbone, images, training)
        return {name: tf.cast(layers[name], tf.float32) for name in LAYERS}

    def pre_logits(images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return representation(images, training)["pre_logits"]

    root = tf.train.Checkpoint()
    root.__call__ = tf.function(pre_logits)
    root.representation = tf.function(representation)
    for function in (root.__call__, root.representation):
        for training in (False, True):
            function.get_concrete_function(images, training=training)
    root.variables = [variable.value for variable in backbone.variables]
    root.trainable_variables = [variable.value for variable in backbone.trainable_variables]
    root.head_variables = [variable.value for variable in head.variables]
    for name, table in task.constants.items():
        setattr(root, name, tf.Variable(table, trainable=False, name=name))
    root.regularization_losses = [
        tf.function(lambda: tf.add_n(backbone.losses), input_signature=[])
    ]

    @tf.function(input_signature=[images])
    def serving_default(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"pre_logits": pre_logits(images)}

    @tf.function(input_signature=[images])
    def five_layers(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return representation(images)

    @tf.function(input_signature=[images])
    def pretext(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": task.logits(backbone, head, images)}

    @tf.function(input_signature=[])
    def input_size() -> dict[str, tf.Tensor]:
        return {
            "resize_size": tf.constant(task.eval_view.resize_size),
            "crop_size": tf.constant(task.eval_view.crop_size),
        }

    signatures = {
        "serving_default": serving_default,
        "representation": five_layers,
        "pretext": pretext,
        "input_size": input_size,
    }
    beside = _beside(path)
    for leftover in (beside, path):
        if leftover.exists():
            leftover.rmtree()
    tf.saved_model.save(root, str(beside), signatures=signatures)
    beside.rename(path)


def is_whole(path: epath.Path) -> bool:
    """Whether a directory holds a whole export.

    At a remote store its files are renamed one after the other, so it can be there in part while
    what it is made from is not gone yet.
    """
    return path.exists() and not _beside(path).exists()


def _beside(path: epath.Path) -> epath.Path:
    return path.with_name(path.name + ".incomplete")
