"""Images of a split through a frozen network, once; every layer's output on disk.

One forward pass per image makes all layers, pooled where the network runs. While it runs, the
next images are decoded and the last batch's rows are written. The files, and how an extraction
that was killed goes on, are those of `evaluate/representation_files.py`.
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from etils import epath
from tqdm import tqdm

from data import images, pipeline
from data.records import Records
from data.unreadable import UnreadableImages
from evaluate import pooling
from evaluate.representation_files import RepresentationFiles
from evaluate.saved_models import SavedModel

PIXELS = "pixels"


@dataclasses.dataclass(frozen=True)
class Representations:
    """A split's representations.

    Attributes:
        layers: by layer a memory map, (rows, features), of the stored type.
        labels: int64, (rows,).
        positions: int64, (rows,): which record of the split a row is, counted from 0.
        class_names: a name per class.
        unreadable: how many images of the split could not be used.
        description: what the numbers depend on: model, data, pooling, type.
    """

    layers: dict[str, np.ndarray]
    labels: np.ndarray
    positions: np.ndarray
    class_names: tuple[str, ...]
    unreadable: int
    description: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ExtractOptions:
    """How representations are made and stored.

    Attributes:
        layers: which layers; `pixels` is the network's input itself, averaged down to at most
            `max_features` values.
        resize_size, crop_size: pixels of the central crop that the network sees.
        pooling: how maps of more than `max_features` values are made smaller; see
            `evaluate.pooling`.
        max_features: the released code's 9000.
        batch_size: images per forward pass.
        dtype: `float32` or `float16`.
        max_bad_fraction: how much of the split may be unreadable, 0 to 1.
    """

    layers: tuple[str, ...]
    resize_size: int
    crop_size: int
    pooling: str = "max"
    max_features: int = 9000
    batch_size: int = 64
    dtype: str = "float32"
    max_bad_fraction: float = 1.0


def check_layers(model: SavedModel, layers: list[str]) -> None:
    """Raises a ValueError for layers that a model does not have, or for none."""
    known = [*model.layers, PIXELS]
    unknown = [layer for layer in layers if layer not in known]
    if unknown or not layers:
        raise ValueError(
            f"--layers: {model.path} has no layer {', '.join(unknown) or '(none given)'}; "
            f"it has {', '.join(known)}"
        )


def extract(
    model: SavedModel,
    records: Records,
    options: ExtractOptions,
    directory: epath.Path,
    strategy: tf.distribute.Strategy | None = None,
) -> Representations:
    """Extracts a split's representations, or opens those that are there.

    Another process that extracts to the same directory is waited for.

    Args:
        model: the network; loaded in the strategy's scope.
        records: the split.
        options: see `ExtractOptions`.
        directory: where the files are; it must be on a local disk.
        strategy: the devices to use; None for the default one.

    Raises:
        ValueError: no image of the split can be read, more than `max_bad_fraction` of them cannot,
            or the directory is not on a local disk.
        OSError: the files cannot be written; what was extracted before is kept.
    """
    strategy = strategy or tf.distribute.get_strategy()
    view = images.CentralCrop(options.resize_size, options.crop_size)
    description = {
        "saved_model": model.fingerprint,
        "dataset": records.dataset,
        "split": records.split,
        "records": records.fingerprint,
        "resize_size": options.resize_size,
        "resize_method": view.method,
        "crop_size": options.crop_size,
        "pooling": options.pooling,
        "max_features": options.max_features,
        "dtype": options.dtype,
    }
    files = RepresentationFiles(directory, description, options.layers, options.dtype)
    unreadable = UnreadableImages()
    if files.records < records.size:
        with files.locked():
            if files.records < records.size:
                _extract(model, records, view, options, files, strategy, unreadable)
    if unreadable.reasons:
        logging.warning("%s", unreadable.summary())
    if not files.rows:
        raise ValueError(
            f"split {records.split} of {records.dataset} has no readable image"
            + (f"; {unreadable.summary()}" if unreadable.reasons else "")
        )
    unreadable.check(records, options.max_bad_fraction, files.records - files.rows)
    return Representations(
        layers={layer: files.memory_map(layer) for layer in options.layers},
        labels=np.asarray(files.memory_map("labels")),
        positions=np.asarray(files.memory_map("positions")),
        class_names=records.class_names,
        unreadable=records.size - files.rows,
        description=description,
    )


def represent(
    model: SavedModel, images: tf.Tensor, options: ExtractOptions
) -> dict[str, tf.Tensor]:
    """One forward pass: the pooled representations of a batch, on the device that calls this.

    Where the network sees an image as patches, each patch's map is pooled, and then the patches are
    averaged: the map of one patch is as large as their average, and there are nine.

    Args:
        model: the network.
        images: RGB, 0 … 255, uint8 or float32, (N, H, W, 3), cropped.
        options: its `layers`, `pooling`, `max_features` and `dtype` count here.

    Returns:
        By layer (N, D), of `options.dtype`.
    """
    # An area's mean can be above the largest of its pixels by rounding.
    pictures = tf.minimum(tf.cast(images, tf.float32) / 255.0, 1.0)
    network, pool = model.represent, pooling.pool
    if model.represent_patches is not None:
        network, pool = model.represent_patches, pooling.pool_patches
    layers = {
        layer: pool(output, options.pooling, options.max_features)
        for layer, output in network(pictures).items()
        if layer in options.layers
    }
    layers[PIXELS] = pooling.pool(pictures, "avg", options.max_features)
    return {layer: tf.cast(layers[layer], options.dtype) for layer in options.layers}


def _extract(
    model: SavedModel,
    records: Records,
    view: images.CentralCrop,
    options: ExtractOptions,
    files: RepresentationFiles,
    strategy: tf.distribute.Strategy,
    unreadable: UnreadableImages,
) -> None:
    # All layers that the files have, which may be more than those asked for.
    all_layers = dataclasses.replace(options, layers=tuple(files.layers))

    def replica_step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        layers = represent(model, batch["image"], all_layers)
        return layers | {"labels": batch["label"], "valid": batch["valid"]}

    @tf.function
    def step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        parts = strategy.run(replica_step, (batch,))
        return {
            name: tf.concat(strategy.experimental_local_results(part), axis=0)
            for name, part in parts.items()
        }

    stream = strategy.distribute_datasets_from_function(
        lambda context: pipeline.evaluation_batches(
            records,
            view,
            batch_size=options.batch_size,
            start=files.records,
            replicas=context.num_replicas_in_sync,
            unreadable=unreadable,
        )
    )
    stream = iter(stream)
    bar = tqdm(
        total=records.size,
        initial=files.records,
        unit=" images",
        desc=f"{records.dataset} {records.split}",
        mininterval=1.0,
    )
    # A batch is fetched from the device and written in a thread, while the next one is made.
    with bar, files, ThreadPoolExecutor(max_workers=1) as writer:
        written = None
        for first in range(files.records, records.size, options.batch_size):
            outputs = step(next(stream))
            if written:
                bar.update(written.result() - bar.n)
                left_out = files.records - files.rows
                unreadable.check(records, options.max_bad_fraction, left_out)
            written = writer.submit(
                _append, files, outputs, min(first + options.batch_size, records.size)
            )
        bar.update(written.result() - bar.n)


def _append(files: RepresentationFiles, outputs: dict[str, tf.Tensor], records: int) -> int:
    """Writes a batch to the files; the number of records that are done then."""
    files.append({name: value.numpy() for name, value in outputs.items()}, records)
    return records
