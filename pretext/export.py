"""The trained network as a SavedModel that anyone can load, serve, probe and fine-tune.

The root is a `tf.train.Checkpoint`, because `tf.Module` and Keras models do not export the
attribute `variables`. Loading it with `tf.saved_model.load` or `hub.load` gives:

    model(images, training=False)       pre_logits
    model.representation(images, training=False)    the dict of the five layers
    model.variables, model.trainable_variables, model.regularization_losses
    model.permutations                      jigsaw's table, (permutations, patches), from 0
    model.signatures["serving_default"]    images -> pre_logits
    model.signatures["representation"]     images -> block1 … block4, pre_logits
    model.signatures["patch_representation"]   images -> the same of each patch, (N, patches, …)
    model.signatures["pretext"]            images -> logits of the pretext task
    model.signatures["serving_bytes"]      image_bytes -> block1 … block4, pre_logits
    model.signatures["pre_logits_bytes"]   image_bytes -> pre_logits
    model.signatures["input_size"]         -> resize_size, crop_size: the pixels to probe it with

Only exports of jigsaw have `permutations`, and only those of the two patch tasks
`patch_representation`: their other functions average over an image's patches.

Images are RGB, float32 in [0, 1], (N, H, W, 3); the task's own normalisation is inside. Wrong
shapes, types and values are refused by checks that are part of the functions (XLA drops those of
values, because compiled code cannot fail). Image bytes are encoded files, (N,), and are resized (by
area) and cropped as a probe would. `docs/exports.md` is the contract in full; `README.md` in the
directory says what this network is.
"""

import dataclasses

import keras
import tensorflow as tf
from absl import logging
from etils import epath

from models import saved
from pretext import export_damage, model_card
from pretext.exported_network import PRECISIONS, ExportedNetwork
from pretext.patch_task import PatchTask
from pretext.task import PretextTask, Representations
from training.error_lines import writing
from training.options import option

# Rounding on the way from 8-bit pixels and back is not an error.
SLACK = 1e-3
LAYERS = ("block1", "block2", "block3", "block4", "pre_logits")


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """In which form and precision a trained network is exported."""

    export_precision: str = option(
        "float32",
        "Type of the exported kernels; float16 takes half the bytes and is not for fine-tuning.",
        choices=tuple(PRECISIONS),
        may_differ=True,
    )
    export_keras: bool = option(
        False, "Also write the backbone as backbone.keras.", may_differ=True
    )


def export(
    task: PretextTask,
    backbone: keras.Model,
    head: keras.Model,
    path: epath.Path,
    *,
    precision: str = "float32",
    run: model_card.Run | None = None,
) -> None:
    """Writes the SavedModel and its model card; the directory appears only when it is complete.

    Args:
        task: the pretext task, for its normalisation and its logits.
        backbone: from `models.build`, float32, outside of any strategy, with trained weights.
        head: from `PretextTask.head`, with trained weights.
        path: the directory to write; replaced if it exists.
        precision: of the kernels on disk, `float32` or `float16`; see `ExportedNetwork`.
        run: what the card says about the training; None if it is unknown.

    Raises:
        ValueError: an unknown precision, or weights that it cannot represent.
        OSError: it could not be written.
    """
    network, exported_head = (ExportedNetwork(model, precision) for model in (backbone, head))
    root = _root(task, network, exported_head, _contract(task, backbone))
    signatures = _signatures(task, network, exported_head, root, _contract(task, backbone))
    card = model_card.write(
        task,
        backbone,
        measurement=model_card.measure(task, backbone, root.representation),
        precision=precision,
        run=run,
    )
    beside = _beside(path)
    with writing(path):
        for leftover in (beside, path):
            _remove(leftover)
        tf.saved_model.save(root, str(beside), signatures=signatures)
        saved.describe(backbone, beside)
        (beside / "README.md").write_text(card)
        beside.rename(path)


def is_whole(path: epath.Path) -> bool:
    """Whether a directory holds a complete export; a damaged one is named in a warning.

    At a remote store its files are renamed one after the other, so part of it can exist while the
    directory that it is renamed from still does.
    """
    if not path.exists() or _beside(path).exists():
        return False
    return _is_undamaged(path, export_damage.of_saved_model(path))


def is_whole_keras_file(path: epath.Path) -> bool:
    """Whether there is a complete file of `export_keras`; a damaged one is named in a warning."""
    return path.exists() and _is_undamaged(path, export_damage.of_keras_file(path))


def _is_undamaged(path: epath.Path, damage: str | None) -> bool:
    if damage:
        logging.warning("%s is not a complete export (%s): it will be made again", path, damage)
    return not damage


def _beside(path: epath.Path) -> epath.Path:
    return path.with_name(path.name + ".incomplete")


def export_keras(backbone: keras.Model, path: epath.Path) -> None:
    """Writes the backbone alone as Keras' own file, for those who have this code base.

    Args:
        backbone: as for `export`.
        path: the file, named *.keras; it appears only when it is complete.
    """
    beside = path.with_name("incomplete." + path.name)
    with writing(path):
        for leftover in (beside, path):
            _remove(leftover)
        backbone.save(str(beside))
        tf.io.gfile.rename(str(beside), str(path), overwrite=True)


def _remove(path: epath.Path) -> None:
    if path.is_dir():
        path.rmtree()
    else:
        path.unlink(missing_ok=True)


def _contract(task: PretextTask, backbone: keras.Model) -> tf.TensorSpec:
    """VGG takes whole images of one size only; patches are cut from images of any size."""
    own_size = backbone.input.shape[1]
    return _image_batch(own_size if own_size == task.eval_view.crop_size else None)


def _root(
    task: PretextTask, network: ExportedNetwork, head: ExportedNetwork, contract: tf.TensorSpec
) -> tf.train.Checkpoint:
    """The object that a Python client uses."""
    root = tf.train.Checkpoint()
    # First, so that the checkpoint names the weights by their index in this list.
    root.variables = network.variables
    root.trainable_variables = network.trainable_variables
    root.head_variables = head.variables
    for name, table in task.constants.items():
        setattr(root, name, tf.Variable(table, trainable=False, name=name))
    root.regularization_losses = [tf.function(network.penalty, input_signature=[], autograph=False)]

    def representation(images: tf.Tensor, training: bool = False) -> Representations:
        images = _checked(images, contract)
        layers = task.represent(network, images, training)
        _check_maps(layers)
        return {name: tf.cast(layers[name], tf.float32) for name in LAYERS}

    def pre_logits(images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return root.representation(images, training=training)["pre_logits"]

    # AutoGraph has nothing to convert in what is exported, and would take seconds.
    root.representation = tf.function(representation, autograph=False)
    root.__call__ = tf.function(pre_logits, autograph=False)
    for function in (root.representation, root.__call__):
        for training in (False, True):
            function.get_concrete_function(contract, training=training)
    return root


def _signatures(
    task: PretextTask,
    network: ExportedNetwork,
    head: ExportedNetwork,
    root: tf.train.Checkpoint,
    contract: tf.TensorSpec,
) -> dict[str, tf.types.experimental.GenericFunction]:
    """The signatures, with named inputs and outputs, that a server or a tool uses."""
    # TensorFlow Serving takes base64 for inputs whose name ends in _bytes.
    encoded = tf.TensorSpec([None], tf.string, name="image_bytes")
    view = task.eval_view
    pixels = tf.TensorSpec([view.crop_size, view.crop_size, 3], tf.float32)

    @tf.function(input_signature=[encoded], autograph=False)
    def decoded(image_bytes: tf.Tensor) -> tf.Tensor:
        views = tf.map_fn(lambda each: view(each, None), image_bytes, fn_output_signature=pixels)
        return views / 255.0

    @tf.function(input_signature=[contract], autograph=False)
    def serving_default(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"pre_logits": root.__call__(images, training=False)}

    @tf.function(input_signature=[contract], autograph=False)
    def representation(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return root.representation(images, training=False)

    @tf.function(input_signature=[contract], autograph=False)
    def pretext(images: tf.Tensor) -> dict[str, tf.Tensor]:
        images = _checked(images, contract)
        return {"logits": task.logits(network, head, images)}

    @tf.function(input_signature=[encoded], autograph=False)
    def serving_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return root.representation(decoded(image_bytes), training=False)

    @tf.function(input_signature=[encoded], autograph=False)
    def pre_logits_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"pre_logits": root.__call__(decoded(image_bytes), training=False)}

    @tf.function(input_signature=[], autograph=False)
    def input_size() -> dict[str, tf.Tensor]:
        return {
            "resize_size": tf.constant(view.resize_size),
            "crop_size": tf.constant(view.crop_size),
        }

    @tf.function(input_signature=[contract], autograph=False)
    def patch_representation(images: tf.Tensor) -> dict[str, tf.Tensor]:
        images = _checked(images, contract)
        layers = task.represent_patches(network, images, training=False)
        return {name: tf.cast(layers[name], tf.float32) for name in LAYERS}

    of_patches = {"patch_representation": patch_representation}
    return {
        "serving_default": serving_default,
        "representation": representation,
        "pretext": pretext,
        "serving_bytes": serving_bytes,
        "pre_logits_bytes": pre_logits_bytes,
        "input_size": input_size,
    } | (of_patches if isinstance(task, PatchTask) else {})


def _image_batch(size: int | None) -> tf.TensorSpec:
    """A batch of any number of RGB images of `size` pixels a side, or of any size."""
    return tf.TensorSpec([None, size, size, 3], tf.float32, name="images")


def _checked(images: tf.Tensor, contract: tf.TensorSpec) -> tf.Tensor:
    """The same images, unless their shape or their values show that they are something else.

    Raises:
        tf.errors.InvalidArgumentError: at run time, for another shape, a value outside of [0, 1]
            or NaN.
    """
    # The function's signature says the same, but a caller can get around it.
    images = tf.ensure_shape(images, contract.shape)
    # A comparison with NaN is false.
    is_valid = tf.reduce_all((images >= -SLACK) & (images <= 1 + SLACK))
    message = (
        "images must be RGB, float32 in [0, 1] (divide 8-bit pixels by 255); smallest, largest:"
    )
    check = tf.debugging.Assert(
        is_valid, [message, tf.reduce_min(images), tf.reduce_max(images)], name="in_range"
    )
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(images)


def _check_maps(layers: Representations) -> None:
    """Refuses images that are too small for the network, of which a map has no pixels left.

    Raises:
        tf.errors.InvalidArgumentError: at run time, if a map has no pixel.
    """
    for name, value in layers.items():
        if value.shape.rank == 4:
            tf.debugging.assert_positive(
                tf.shape(value)[1:3], f"images are too small: nothing is left of them in {name}"
            )
