"""The fingerprint of a SavedModel: by it a run remembers from which network it came."""

import hashlib

import tensorflow as tf
from absl import logging
from etils import epath

from training.error_lines import reason


def of_saved_model(path: str) -> str:
    """Text that differs where the weights or the graph of a SavedModel differ.

    Args:
        path: the directory, which holds a saved_model.pb.

    Returns:
        TensorFlow's own (`fingerprint.pb`); where that is missing or damaged, a hash of the graph
        and of the weights' checksums.
    """
    try:
        fingerprint = tf.saved_model.experimental.read_fingerprint(path)
        if fingerprint.saved_model_checksum:  # Zero where the file is empty.
            return fingerprint.singleprint()
        damage = "it is empty"
    except FileNotFoundError:
        damage = ""  # Written by TensorFlow before 2.12.
    except Exception as error:  # TensorFlow raises various types for damage.
        damage = reason(error)
    if damage:
        logging.warning(
            "%s/fingerprint.pb is damaged (%s): a hash of the graph and of the weights' checksums "
            "is used instead",
            path,
            damage[:200],
        )
    # The index holds a checksum of every variable.
    parts = [epath.Path(path) / name for name in ("saved_model.pb", "variables/variables.index")]
    contents = b"".join(part.read_bytes() for part in parts if part.exists())
    return hashlib.sha256(contents).hexdigest()
