"""Any SavedModel that can be probed: images in, representations by layer out."""

import contextlib
import dataclasses
from collections.abc import Iterator

import tensorflow as tf
from absl import logging
from etils import epath

from training import fingerprints
from training.error_lines import reason

SIGNATURE = "representation"
PATCHES = "patch_representation"
PATCH_TASKS = ("jigsaw", "relative_patch_location")


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """A loaded SavedModel.

    Attributes:
        path: its directory.
        fingerprint: differs where the weights or the graph differ.
        represent: the signature from images (float32 in [0, 1], RGB, (N, H, W, 3)) to a dict of
            the layers' outputs.
        loaded: the result of `tf.saved_model.load`; a signature does not keep it alive.
        layers: the names of the layers, sorted.
        represent_patches: like `represent`, with an axis of patches after the first, where the
            network sees an image as patches; else None.
        resize_size, crop_size: the pixels at which the model is to be probed; None where it does
            not specify them.
    """

    path: str
    fingerprint: str
    represent: tf.types.experimental.ConcreteFunction
    loaded: object
    layers: tuple[str, ...]
    resize_size: int | None
    crop_size: int | None
    represent_patches: tf.types.experimental.ConcreteFunction | None = None


def load(path: str) -> SavedModel:
    """Loads a SavedModel with a `representation` signature; see the class for its properties.

    Raises:
        ValueError: there is no SavedModel at the path, it is damaged, or it lacks the signature.
    """
    if not path:
        raise ValueError("--saved_model is missing: name the directory that train.py exported")
    if not tf.saved_model.contains_saved_model(path):
        raise ValueError(f"{path} is not a SavedModel: it should hold a saved_model.pb")
    file = epath.Path(path) / "saved_model.pb"
    if file.exists() and not file.stat().length:
        raise ValueError(f"{file} is empty: export the network again")
    try:
        with _without_log_lines():
            loaded = tf.saved_model.load(path)
    except Exception as error:  # TensorFlow raises various types for damage.
        raise ValueError(
            f"the SavedModel {path} cannot be loaded, a part of it is missing or damaged: "
            f"{reason(error)[:300]}"
        ) from error
    signatures = loaded.signatures
    if SIGNATURE not in signatures:
        raise ValueError(
            f"the SavedModel {path} has no signature '{SIGNATURE}' from images to named layers; "
            f"its signatures are {', '.join(signatures) or 'none'}"
        )
    represent = signatures[SIGNATURE]
    if PATCHES not in signatures and _is_of_patches(path):
        logging.warning(
            "%s has no signature '%s', because it was exported by an older version: its blocks are "
            "averaged over the patches before they are pooled, not after as in the paper "
            "(pre_logits is the same); delete it and run train.py again to export it again",
            path,
            PATCHES,
        )
    return SavedModel(
        path=path,
        fingerprint=fingerprints.of_saved_model(path),
        represent=represent,
        loaded=loaded,
        layers=tuple(sorted(represent.structured_outputs)),
        represent_patches=signatures.get(PATCHES),
        **_own_sizes(signatures),
    )


def input_size(model: SavedModel, resize_size: int, crop_size: int) -> tuple[int, int]:
    """The pixels to resize to and to crop, from the flags or else from the model.

    Args:
        model: the network.
        resize_size, crop_size: the flags; 0 for the model's own.

    Raises:
        ValueError: neither specifies them, or they are invalid; names the flags.
    """
    resize_size = resize_size or model.resize_size
    crop_size = crop_size or model.crop_size
    if resize_size is None or crop_size is None:
        raise ValueError(
            f"{model.path} does not say which image size it expects: "
            "give --resize_size and --crop_size"
        )
    if resize_size < 0 or crop_size < 1:
        raise ValueError(
            f"--resize_size={resize_size} --crop_size={crop_size}: the pixels of a side are "
            "at least 1"
        )
    if resize_size and crop_size > resize_size:
        raise ValueError(
            f"--crop_size={crop_size} does not fit into --resize_size={resize_size}: "
            "the image would be smaller than the crop"
        )
    return resize_size, crop_size


def images_at_a_time(model: SavedModel) -> int | None:
    """The batch size that the network requires; None if it takes any, or does not specify it."""
    shapes = [spec.shape for spec in _inputs(model).values()]
    return shapes[0][0] if len(shapes) == 1 and shapes[0].rank else None


def fits(model: SavedModel, images: tf.TensorSpec) -> bool:
    """Whether the signature takes images of this shape and type, and nothing else."""
    specs = list(_inputs(model).values())
    return (
        len(specs) == 1
        and specs[0].dtype == images.dtype
        and specs[0].shape.is_compatible_with(images.shape)
    )


def takes(model: SavedModel) -> str:
    """What the signature takes, for a message: `images: float32 (any, 32, 32, 3)`."""
    return ", ".join(
        f"{name}: {spec.dtype.name}"
        + (f" ({', '.join(str(size or 'any') for size in spec.shape)})" if spec.shape.rank else "")
        for name, spec in _inputs(model).items()
    )


def _inputs(model: SavedModel) -> dict[str, tf.TensorSpec]:
    return model.represent.structured_input_signature[1]


def _own_sizes(signatures: dict[str, tf.types.experimental.ConcreteFunction]) -> dict:
    """`resize_size` and `crop_size`; None where a foreign signature gives anything else."""
    sizes = dict.fromkeys(("resize_size", "crop_size"))
    if "input_size" in signatures:
        try:
            outputs = signatures["input_size"]()
            sizes = {name: int(outputs[name]) for name in sizes}
        except (KeyError, TypeError, ValueError, tf.errors.OpError):
            pass
    return sizes


@contextlib.contextmanager
def _without_log_lines() -> Iterator[None]:
    """Keeps TensorFlow from logging tracebacks of errors that do not matter."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.FATAL)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _is_of_patches(path: str) -> bool:
    """Whether the model card, if there is one, says that the network was trained on patches."""
    try:
        card = (epath.Path(path) / "README.md").read_text()
    except (OSError, UnicodeDecodeError, tf.errors.OpError):
        return False
    return any(f"**Pretext task**: {task}\n" in card for task in PATCH_TASKS)
