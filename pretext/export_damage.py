"""Damage of an existing export: a truncated copy, an empty file, flipped bits.

A run whose export exists is finished, so whether it exists is decided by all of its bytes that
carry checksums, and not by its name.
"""

import zipfile

import tensorflow as tf
from etils import epath
from tensorflow.core.protobuf import saved_model_pb2

from models import saved
from training import regular_files
from training.checkpoints import damage_of
from training.error_lines import reason


def of_saved_model(path: epath.Path) -> str | None:
    """What is wrong with a SavedModel's directory, in a few words; None if it is intact.

    Its graph must be valid, and all its variables must be present and match their checksums.
    """
    graph = path / tf.saved_model.SAVED_MODEL_FILENAME_PB
    if not graph.exists():
        return f"it has no {graph.name}"
    try:
        content = saved_model_pb2.SavedModel.FromString(regular_files.read_bytes(graph))
    except Exception as error:  # Protocol buffers' own type depends on how they are implemented.
        return f"its {graph.name} is cut or damaged: {reason(error)}"
    if not content.meta_graphs:
        return f"its {graph.name} is empty"
    damage = damage_of(path / saved.WEIGHTS)
    return damage and f"of its variables: {damage}"


def of_keras_file(path: epath.Path) -> str | None:
    """What is wrong with a Keras file, a zip archive with checksums; None if it is intact."""
    try:
        regular_files.check(path)
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except (OSError, ValueError, zipfile.BadZipFile, tf.errors.OpError) as error:
        return reason(error)
    return damaged and f"{damaged} in it is damaged"
