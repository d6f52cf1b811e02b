"""Loads a backbone from an export: its layers from a file beside the graph, and its weights.

An export is a SavedModel, whose functions do not need this code base. For users who have it, the
directory also contains `assets/backbone.json`, Keras' description of the network.
"""

import json

import keras
import numpy as np
import tensorflow as tf
from etils import epath

DESCRIPTION = "assets/backbone.json"
WEIGHTS = "variables/variables"


def describe(backbone: keras.Model, path: epath.Path) -> None:
    """Writes the network's layers, without weights, to where `load` looks in the export `path`."""
    file = path / DESCRIPTION
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(backbone.to_json() + "\n")


def load(path: str) -> keras.Model:
    """The functional backbone of an export, with its weights.

    Args:
        path: the SavedModel's directory, as `train.py` leaves it; local, or such as gs://….

    Returns:
        A float32 `keras.Model` as `models.build` made it, from float images (N, H, W, 3) to a dict
        with the keys `block1` … `block4` and `pre_logits`. It takes images as the task normalises
        them ([-1, 1] in rotation), whereas the SavedModel takes [0, 1] and does that itself.
        Weights that were exported as float16 are widened.

    Raises:
        ValueError: there is no SavedModel, or it was not exported by this project, or its weights
            do not match its description.
    """
    root = epath.Path(path)
    backbone = _described(root)
    try:
        weights = tf.train.load_checkpoint(str(root / WEIGHTS))
        for number, variable in enumerate(backbone.variables):
            value = weights.get_tensor(f"variables/{number}/.ATTRIBUTES/VARIABLE_VALUE")
            variable.assign(np.asarray(value, variable.dtype))
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"the weights in {path} are not those of its network: {reason}") from error
    return backbone


def is_described(path: str) -> bool:
    """Whether `load` and `untrained` find the network's layers in a SavedModel."""
    return (epath.Path(path) / DESCRIPTION).exists()


def untrained(path: str, seed: int) -> keras.Model:
    """The network of an export as it was before any training.

    Args:
        path: as for `load`.
        seed: of the initial weights.

    Returns:
        As `load`, with initial weights.

    Raises:
        ValueError: as `load`, but for the weights.
    """
    keras.utils.set_random_seed(seed)
    return _described(epath.Path(path))


def _described(root: epath.Path) -> keras.Model:
    """The network of an export with initial weights."""
    if not tf.saved_model.contains_saved_model(str(root)):
        raise ValueError(f"{root} is not a SavedModel: it should hold a saved_model.pb")
    file = root / DESCRIPTION
    if not file.exists():
        raise ValueError(
            f"{root} does not describe its network (it has no {DESCRIPTION}): use "
            "tf.saved_model.load, or export it again with train.py"
        )
    try:
        return keras.models.model_from_json(file.read_text())
    except (ValueError, TypeError, KeyError, json.JSONDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{file} does not describe a network: {reason}") from error
