"""ImageNet (ILSVRC-2012) in any of three layouts.

- TFDS: `DIR/imagenet2012/5.1.0`, prepared from the two official archives; also what is prepared
  if the directory holds none of the three.
- TFRecords as TF-Slim writes them: `DIR/train-00000-of-01024` …, `DIR/validation-00000-of-00128`
  …, or in `DIR/train` and `DIR/validation`; any number of shards.
- A folder tree: `DIR/train/n01440764/n01440764_10026.JPEG` …, `DIR/val/n01440764/…`, or the
  validation images in `DIR/val` itself, as their archive holds them.

In all of them an image's id is its file name, its label is the index of its WordNet id in the
sorted list of the 1000, and the same images are held out (`data/splits.py`).
"""

import dataclasses
import functools
import os
import sys
from collections.abc import Callable

import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath
from tqdm import tqdm

from data import builders, folder, record_files, record_index, splits
from data.imagenet_names import wordnet_ids
from data.record_files import Keys
from data.records import Records, Span

NAME = "imagenet2012"
SLIM = Keys(image="image/encoded", label="image/class/label", name="image/filename", first_label=1)
TFDS = Keys(image="image", label="label", name="file_name", first_label=0)


def load(name: str, split: str, data_dir: str | None) -> Records:
    """Opens one split of ImageNet.

    Args:
        name: `imagenet2012`, optionally with a TFDS version.
        split: one of `data.splits.NAMES`; TFDS' notation too where TFDS prepared it.
        data_dir: see above; None for TFDS' own default.

    Raises:
        ValueError: one line that says what is wrong with the directory or the split.
    """
    layout = find_layout(data_dir)
    if layout != "TFDS" and split not in splits.NAMES:
        raise ValueError(
            f"{name} has no split {split}; it has {', '.join(splits.NAMES)} for --train_split and "
            "--val_split"
        )
    if layout == "folder tree":
        return folder.load(split, data_dir, dataset=name, class_names=wordnet_ids())
    if layout == "TFRecords":
        official = "validation" if split == "test" else "train"
        paths, directory = _slim_shards(data_dir, official)
        return _records(name, split, paths, directory, official, SLIM)
    if split not in splits.NAMES:
        return builders.load(name, split, data_dir)
    builder = builders.prepared(name, data_dir)
    sizes = {key: info.num_examples for key, info in builder.info.splits.items()}
    official = splits.official_test(NAME, list(sizes)) if split == "test" else "train"
    if official not in sizes:
        raise ValueError(f"{name} has no training split; its splits are {', '.join(sizes)}")
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        raise ValueError(
            f"{name} in {data_dir} was prepared as {builder.info.file_format.value}: prepare it "
            "as tfrecord, TFDS' default"
        )
    paths = [os.fspath(path) for path in builder.info.splits[official].filepaths]
    directory = os.fspath(builder.data_dir)
    records = _records(name, split, paths, directory, official, TFDS, sizes[official])
    return dataclasses.replace(records, spans=builders.spans(builder, official))


def find_layout(data_dir: str | None) -> str:
    """`TFRecords`, `folder tree` or `TFDS`."""
    if data_dir and any(
        _slim_shards(data_dir, official)[0] for official in ("train", "validation")
    ):
        return "TFRecords"
    if data_dir and (epath.Path(data_dir) / "train").is_dir():
        return "folder tree"
    return "TFDS"


def _slim_shards(data_dir: str, official: str) -> tuple[list[str], str]:
    """The shards of an official split and their directory; no shards if there are none."""
    root = data_dir.rstrip("/")
    for directory in (root, f"{root}/{official}"):
        if paths := record_files.complete(directory, official):
            return paths, directory
    return [], root


def _records(
    name: str,
    split: str,
    paths: list[str],
    directory: str,
    official: str,
    keys: Keys,
    count: int | None = None,
) -> Records:
    if not paths:
        raise ValueError(f"no {official}-?????-of-????? in {directory}: split {split} needs them")
    index = record_index.load(paths, keys, directory, official)
    classes = wordnet_ids()
    if index.labels[0] < 0 or index.labels[1] >= len(classes):
        low, high = (label + keys.first_label for label in index.labels)
        last = len(classes) + keys.first_label - 1
        shard = paths[index.label_shards[0 if index.labels[0] < 0 else 1]]
        raise ValueError(
            f"{shard}: {keys.label} goes from {low} to {high} in {official}, instead of "
            f"from {keys.first_label} to {last}"
        )
    if count is not None and index.images != count:
        raise ValueError(
            f"{directory} holds {index.images} images in {official} instead of the {count} that "
            "dataset_info.json records: prepare it again"
        )
    if not index.named and split in ("train", "val"):
        tqdm.write(
            f"{directory}: some examples have no {keys.name} and are held out by a hash of their "
            "image, so val differs from that of other copies of ImageNet",
            file=sys.stderr,
        )
    read: Callable[[tf.Tensor], tf.Tensor] = tf.identity
    if split == "val":
        size = len(index.held_out)
        entries = functools.partial(record_files.held_out, paths, index.held_out)
        read = functools.partial(record_files.read_at, keys)
    elif split == "train":
        size = index.images - len(index.held_out)
        entries = functools.partial(record_files.stream_without_held_out, paths, keys, index.limit)
    else:
        size = index.images
        entries = functools.partial(record_files.stream, paths, keys)
    if not size:
        raise ValueError(
            f"split {split} of {name} is empty ({index.images} images in all): give another "
            "--train_split or --val_split"
        )
    return Records(
        dataset=name,
        split=split,
        size=size,
        fingerprint=f"{index.fingerprint}/{split}/{size}",
        class_names=classes,
        entries=entries,
        read=read,
        # Of all its shards, as if they were one file.
        spans=(Span(official, 0, index.images),),
        damage=functools.partial(record_files.damage, paths, keys.parse),
    )
