"""TensorFlow data sets by name, including the two that this project defines."""

import contextlib
import dataclasses
import difflib
import functools
import importlib
import os
import re
import sys
from collections.abc import Iterator

import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from etils import epath

from data import imagenet_archives, prepared_files, splits
from data.records import Records, Span

# Imported on demand: not every program needs these builders' code.
OWN_BUILDERS = {"scenes": "data.scenes", "places205": "data.places205"}


def load(name: str, split: str, data_dir: str | None) -> Records:
    """Opens a split of a prepared TFDS image-classification data set; prepares it if need be.

    Args:
        name: `scenes`, `places205`, or a TFDS name such as `cifar10`, perhaps with configuration
            and version (`name/config:1.0.0`).
        split: one of `data.splits.NAMES` or TFDS' notation, such as `train[:10%]`.
        data_dir: where TFDS keeps its data sets; None for TFDS' own default.

    Raises:
        ValueError: there is no such data set or split, it does not consist of images, or it is not
            prepared and could not be.
    """
    builder = prepared(name, data_dir)
    features = builder.info.features
    if "image" not in features or not isinstance(features["image"], tfds.features.Image):
        raise ValueError(
            f"{name} is not an image data set: it has the features {', '.join(features)}"
        )
    sizes = {key: info.num_examples for key, info in builder.info.splits.items()}
    use = (
        f"use {', '.join(splits.NAMES)} or TFDS' notation over {', '.join(sizes)} for "
        "--train_split and --val_split"
    )
    if not (split.isprintable() and split.strip()):
        raise ValueError(f"{name} has no split {split!r}: {use}")
    chosen = splits.tfds_split(split, builder.name, sizes)
    try:
        size = builder.info.splits[chosen].num_examples
    except (KeyError, ValueError, AssertionError) as error:
        raise ValueError(f"{name} has no split {split}: {use}") from error
    if size < 1:
        total = ", ".join(f"{key} has {count}" for key, count in sizes.items())
        raise ValueError(
            f"split {split} of {name} is empty ({total} images): give another --train_split or "
            "--val_split"
        )
    prepared_files.check(builder, chosen)
    label = features["label"] if "label" in features else None  # noqa: SIM401 (no get)
    class_names = tuple(label.names) if isinstance(label, tfds.features.ClassLabel) else ()
    records = Records(
        dataset=name,
        split=split,
        size=size,
        fingerprint=f"{builder.info.full_name}/{chosen}/{size}",
        class_names=class_names,
        entries=functools.partial(_entries, builder, chosen, len(class_names)),
        read=tf.identity,
        spans=spans(builder, chosen),
        damage=functools.partial(prepared_files.damage, builder, chosen),
    )
    if class_names and _are_withheld(_entries(builder, chosen, None), records):
        without = functools.partial(_entries, builder, chosen, 0)
        return dataclasses.replace(records, class_names=(), entries=without)
    return records


def spans(builder: tfds.core.DatasetBuilder, split: str) -> tuple[Span, ...]:
    """The records of its files that a split consists of; empty if TFDS does not say."""
    try:
        instructions = builder.info.splits[split].file_instructions
    except (ValueError, AttributeError):
        return ()
    return tuple(
        Span(os.path.basename(each.filename), each.skip, each.skip + each.take)
        for each in instructions
    )


def _are_withheld(entries: tf.data.Dataset, records: Records) -> bool:
    """Whether the first labels of a split are all -1, which means withheld."""
    with records.explained():
        return all(entry["label"] == -1 for entry in entries.take(64).as_numpy_iterator())


def prepared(
    name: str, data_dir: str | None, manual_dir: str | None = None
) -> tfds.core.DatasetBuilder:
    """A builder whose data set is prepared; prepares it if need be.

    Args:
        name: `scenes`, `places205`, or a TFDS name.
        data_dir: where TFDS keeps its data sets; None for TFDS' own default.
        manual_dir: the directory of archives that cannot be downloaded; None for TFDS' own default,
            `downloads/manual` in `data_dir`.

    Raises:
        ValueError: no such data set, or it could not be prepared.
    """
    builder = _builder(name, data_dir)
    where = data_dir or "TFDS' default directory"
    with _quiet_tfds():
        if builder.is_prepared():
            return builder
        _remove_if_empty(builder.data_path)
        config = tfds.download.DownloadConfig(manual_dir=manual_dir)
        try:
            if builder.name == "imagenet2012":
                archives = manual_dir or f"{builder.data_path.parents[1]}/downloads/manual"
                imagenet_archives.check(epath.Path(archives))
            builder.download_and_prepare(download_config=config)
        except (Exception, SystemExit) as error:
            builder = _builder(name, data_dir)
            if builder.is_prepared():
                return builder  # Another run, started at the same time, prepared it.
            raise ValueError(
                f"{name} is not prepared in {where} and could not be (give the --data_dir that "
                f"holds it, or run `python -m data.prepare {name} --data_dir=DIR`): "
                f"{_one_line(error)}"
            ) from error
    return builder


def _builder(name: str, data_dir: str | None) -> tfds.core.DatasetBuilder:
    if "\0" in (data_dir or ""):
        raise ValueError(f"{name} cannot be opened in {data_dir!r}: no path has such a character")
    if not name.isprintable():
        raise ValueError(f"unknown data set {name!r}: use scenes, folder, or a TFDS name")
    if (own := re.split("[/:]", name)[0]) in OWN_BUILDERS:
        # The import registers the builder with TFDS.
        importlib.import_module(OWN_BUILDERS[own])
    try:
        with _quiet_tfds():
            return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.DatasetNotFoundError as error:
        known = [*OWN_BUILDERS, "folder", *tfds.list_builders(with_community_datasets=False)]
        near = difflib.get_close_matches(name, known, n=3) or ["cifar10", "imagenet2012"]
        raise ValueError(
            f"unknown data set {name}: use scenes, folder, or a TFDS name such as {', '.join(near)}"
        ) from error
    except (ValueError, AssertionError) as error:
        raise ValueError(
            f"{name} has no such configuration or version: {_one_line(error)}"
        ) from error
    # A damaged file of the data set may raise anything.
    except Exception as error:
        raise ValueError(
            f"{name} cannot be opened in {data_dir or 'the default directory of TFDS'}: the name, "
            f"the directory or what was prepared there is wrong ({_one_line(error)})"
        ) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:600] or type(error).__name__


@contextlib.contextmanager
def _quiet_tfds() -> Iterator[None]:
    """Inside, TFDS does not warn, draws progress bars on terminals only, and does not look up
    statistics on the network, which would leave a temporary directory behind each time.
    """
    verbosity = logging.get_verbosity()
    look_up = tfds.core.DatasetInfo.initialize_from_bucket
    logging.set_verbosity(logging.ERROR)
    tfds.core.DatasetInfo.initialize_from_bucket = lambda info: None
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        yield
    finally:
        tfds.core.DatasetInfo.initialize_from_bucket = look_up
        logging.set_verbosity(verbosity)


def _remove_if_empty(path: epath.Path) -> None:
    """Removes an empty directory at the data set's path; TFDS would take it for the data set.

    Raises:
        ValueError: something else is there.
    """
    if not path.exists():
        return
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
        return
    raise ValueError(
        f"{path} does not hold a complete data set (it lacks dataset_info.json or features.json): "
        "delete it to prepare the data set again"
    )


def _entries(builder: tfds.core.DatasetBuilder, split: str, classes: int | None) -> tf.data.Dataset:
    """A split's entries; `classes` is their number, 0 for no labels, or None for any labels."""
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders={"image": tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(add_tfds_id=True, try_autocache=False),
    )

    def entry(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        label = tf.constant(-1, tf.int64) if classes == 0 else tf.cast(example["label"], tf.int64)
        if classes:
            message = f"a label in split {split} of {builder.name} is not from 0 to {classes - 1}"
            right = tf.debugging.Assert((label >= 0) & (label < classes), [message])
            with tf.control_dependencies([right]):
                label = tf.identity(label)
        # A file's name stays the same when a data set is prepared again, into other shards.
        name = example.get("file_name", example["tfds_id"])
        identifier = name if name.dtype == tf.string else example["tfds_id"]
        return {"image": example["image"], "label": label, "id": identifier}

    return dataset.map(entry, num_parallel_calls=tf.data.AUTOTUNE)
