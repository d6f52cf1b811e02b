"""TensorFlow data sets by name, and the data sets that this project draws or brings itself."""

import difflib
import functools
import importlib
import os
import re

import tensorflow as tf
import tensorflow_datasets as tfds

from data import splits
from data.records import Records, Span

# Imported when asked for: a builder's drawing or reading code need not load with every program.
OWN_BUILDERS = {"scenes": "data.scenes", "places205": "data.places205"}


def load(name: str, split: str, data_dir: str | None) -> Records:
    """Opens a split of a prepared TFDS image-classification data set; prepares it if need be.

    Args:
        name: `scenes`, `places205`, or a TFDS name such as `cifar10`, perhaps with configuration
            and version (`name/config:1.0.0`).
        split: one of `data.splits.NAMES` or TFDS' notation, such as `train[:10%]`.
        data_dir: where TFDS keeps its data sets; None for TFDS' own default.

    Raises:
        ValueError: no such data set or split, images that are none, or the data set is not
            prepared and could not be.
    """
    builder = prepared(name, data_dir)
    features = builder.info.features
    if "image" not in features or not isinstance(features["image"], tfds.features.Image):
        raise ValueError(f"{name} is no image data set: it has the features {', '.join(features)}")
    sizes = {key: info.num_examples for key, info in builder.info.splits.items()}
    chosen = splits.tfds_split(split, builder.name, sizes)
    try:
        size = builder.info.splits[chosen].num_examples
    except (KeyError, ValueError, AssertionError) as error:
        raise ValueError(
            f"{name} has no split {split}: use {', '.join(splits.NAMES)} or "
            f"TFDS' notation over {', '.join(sizes)}"
        ) from error
    if not size:
        raise ValueError(f"split {split} of {name} is empty")
    label = features["label"] if "label" in features else None  # noqa: SIM401 (no get)
    class_names = tuple(label.names) if isinstance(label, tfds.features.ClassLabel) else ()
    return Records(
        dataset=name,
        split=split,
        size=size,
        fingerprint=f"{builder.info.full_name}/{chosen}/{size}",
        class_names=class_names,
        entries=functools.partial(_entries, builder, chosen, bool(class_names)),
        read=tf.identity,
        spans=spans(builder, chosen),
    )


def spans(builder: tfds.core.DatasetBuilder, split: str) -> tuple[Span, ...]:
    """The places in its files that a split takes, in TFDS' notation; none if TFDS does not say."""
    try:
        instructions = builder.info.splits[split].file_instructions
    except (ValueError, AttributeError):
        return ()
    return tuple(
        Span(os.path.basename(each.filename), each.skip, each.skip + each.take)
        for each in instructions
    )


def prepared(
    name: str, data_dir: str | None, manual_dir: str | None = None
) -> tfds.core.DatasetBuilder:
    """A builder whose data set is prepared, now if it was not before.

    Args:
        name: `scenes`, `places205`, or a TFDS name.
        data_dir: where TFDS keeps its data sets; None for TFDS' own default.
        manual_dir: where the archives are that cannot be downloaded; None for TFDS' own default,
            `downloads/manual` in `data_dir`.

    Raises:
        ValueError: no such data set, or it could not be prepared.
    """
    builder = _builder(name, data_dir)
    if builder.is_prepared():
        return builder
    config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    try:
        builder.download_and_prepare(download_config=config)
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        where = data_dir or "TFDS' default directory"
        raise ValueError(
            f"{name} is not prepared in {where} and could not be (give the --data_dir that holds "
            f"it, or run `python -m data.prepare {name} --data_dir=DIR`): {reason}"
        ) from error
    return builder


def _builder(name: str, data_dir: str | None) -> tfds.core.DatasetBuilder:
    if (own := re.split("[/:]", name)[0]) in OWN_BUILDERS:
        # Importing it lets TFDS find it by its name.
        importlib.import_module(OWN_BUILDERS[own])
    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.DatasetNotFoundError as error:
        known = [*OWN_BUILDERS, "folder", *tfds.list_builders(with_community_datasets=False)]
        near = difflib.get_close_matches(name, known, n=3) or ["cifar10", "imagenet2012"]
        raise ValueError(
            f"unknown data set {name}: use scenes, folder, or a TFDS name such as {', '.join(near)}"
        ) from error
    except (ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{name} has no such configuration or version: {reason}") from error


def _entries(builder: tfds.core.DatasetBuilder, split: str, labelled: bool) -> tf.data.Dataset:
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders={"image": tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(add_tfds_id=True, try_autocache=False),
    )

    def entry(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        label = tf.cast(example["label"], tf.int64) if labelled else tf.constant(-1, tf.int64)
        # A file's name stays when a data set is prepared anew, into other shards.
        name = example.get("file_name", example["tfds_id"])
        identifier = name if name.dtype == tf.string else example["tfds_id"]
        return {"image": example["image"], "label": label, "id": identifier}

    return dataset.map(entry, num_parallel_calls=tf.data.AUTOTUNE)
