"""What a file name of ImageNet says about an image: its id and its class."""

import functools
import re

import tensorflow_datasets as tfds

TRAINING = re.compile(r"^(n\d{8})_\d+\.JPEG$")
CLASS_ARCHIVE = re.compile(r"^(n\d{8})\.tar$")
VALIDATION = re.compile(r"^ILSVRC2012_val_(\d{8})\.JPEG$")


@functools.cache
def wordnet_ids() -> tuple[str, ...]:
    """The 1000 classes as WordNet ids, sorted; a label is an index into them."""
    return tuple(sorted(_lines("labels.txt")))


@functools.cache
def _validation_ids() -> tuple[str, ...]:
    """The class of each of the 50 000 validation images, by number."""
    return _lines("validation_labels.txt")


def _lines(file: str) -> tuple[str, ...]:
    path = tfds.core.tfds_path("datasets/imagenet2012") / file
    return tuple(path.read_text().split())


def file_name(path: str) -> str | None:
    """The file name that an image has in ImageNet's archives; None for any other file."""
    name = path.rsplit("/", 1)[-1]
    return name if TRAINING.match(name) or VALIDATION.match(name) else None


def wordnet_id(path: str) -> str | None:
    """The class of an image of ImageNet, from its file name alone; None for any other file."""
    name = path.rsplit("/", 1)[-1]
    if training := TRAINING.match(name):
        return training[1]
    validation = VALIDATION.match(name)
    if validation and 1 <= int(validation[1]) <= len(_validation_ids()):
        return _validation_ids()[int(validation[1]) - 1]
    return None
