"""Passes the images of a split through a frozen network once, and stores every layer's output.

One forward pass per image gives all layers, pooled on the device. Meanwhile the next images are
decoded and the last batch's rows are written. The files, and how an interrupted extraction resumes,
are described in `evaluate/representation_files.py`; which part of a split each of several machines
takes, in `evaluate/split_parts.py`.
"""

import dataclasses
import difflib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
from etils import epath
from tqdm import tqdm

from data import images, pipeline, usable_images
from data.images import View
from data.records import Records, chosen
from data.unreadable import UnreadableImages
from evaluate import pooling, split_parts
from evaluate.representation_files import RESERVED, RepresentationFiles
from evaluate.saved_models import SavedModel
from training import between_workers, devices
from training.between_workers import Workers
from training.options import option

PIXELS = "pixels"


@dataclasses.dataclass(frozen=True)
class Representations:
    """A split's representations, or this worker's part of them.

    Attributes:
        layers: by layer a memory map, (rows, features), of the stored type; a part may have no
            rows.
        labels: int64, (rows,).
        positions: int64, (rows,): which record of the split a row is, counted from 0.
        class_names: a name per class.
        unreadable: the number of images of the whole split that could not be used.
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
        max_bad_fraction: how much of the split may be unreadable, 0 to 1.
    """

    layers: tuple[str, ...] = option(
        ("block1", "block2", "block3", "block4", "pre_logits"),
        "The layers to probe; pixels is the network's input itself.",
        check=tuple,
    )
    resize_size: int = option(
        0,
        "Pixels of the smaller side; 0: as the model specifies.",
        minimum=0,
        maximum=8192,
    )
    crop_size: int = option(
        0,
        "Pixels of the central crop; 0: as the model specifies.",
        minimum=0,
        maximum=8192,
    )
    pooling: str = option(
        "max",
        "How large feature maps are pooled.",
        choices=("max", "avg", "adaptive_max", "adaptive_avg"),
    )
    max_features: int = option(
        9000, "Feature maps with more values than this are pooled.", minimum=1, maximum=10**9
    )
    batch_size: int = option(
        64, "Images per forward pass.", minimum=1, maximum=2**20, may_differ=True
    )
    dtype: str = option(
        "float32", "Type of the representations on disk.", choices=("float32", "float16")
    )
    max_bad_fraction: float = 1.0


def check_layers(model: SavedModel, layers: list[str]) -> None:
    """Raises a ValueError for layers that a model does not have, or for none."""
    known = [*model.layers, PIXELS]
    unknown = [layer for layer in layers if layer not in known]
    if unknown or not layers:
        near = difflib.get_close_matches(unknown[0], known, n=1) if unknown else []
        raise ValueError(
            f"--layers: {model.path} has no layer "
            f"{', '.join(name or '(blank)' for name in unknown) or '(none given)'}"
            + (f", did you mean {near[0]}?" if near else "; ")
            + f"{' ' if near else ''}it has {', '.join(known)}"
        )
    twice = {layer for layer in layers if layers.count(layer) > 1}
    if twice:
        raise ValueError(f"--layers: {', '.join(sorted(twice))} is given twice")
    reserved = [layer for layer in layers if layer in RESERVED]
    if reserved:
        raise ValueError(
            f"--layers: {reserved[0]} is what a file beside the representations is called; leave "
            "it out, or export the network with another name for it"
        )


def open_files(
    model: SavedModel,
    records: Records,
    options: ExtractOptions,
    directory: epath.Path,
    workers: Workers = between_workers.ALONE,
    view: View | None = None,
) -> RepresentationFiles:
    """The files of a split, or of this worker's part of it, as far as they are there and intact.

    Args:
        model, records, options, directory, workers, view: as for `extract`.

    Raises:
        ValueError: the directory is not on a local disk, or a header is not a file.
    """
    part = split_parts.part_of(records.size, options.batch_size, workers)
    description = _description(model, records, options, view)
    if workers.count > 1:
        description |= {"part": dataclasses.asdict(part)}
    return RepresentationFiles(
        split_parts.directory_of(directory, workers),
        description,
        options.layers,
        options.dtype,
        part,
    )


def extract(
    model: SavedModel,
    records: Records,
    options: ExtractOptions,
    directory: epath.Path,
    strategy: tf.distribute.Strategy | None = None,
    workers: Workers = between_workers.ALONE,
    files: RepresentationFiles | None = None,
    view: View | None = None,
    title: str = "",
    warn: bool = True,
) -> Representations:
    """Extracts a split's representations, or opens existing ones.

    Waits for another process that extracts to the same directory.

    Args:
        model: the network; loaded in the strategy's scope.
        records: the split.
        options: see `ExtractOptions`; a worker's forward passes are of `batch_size` images each.
        directory: of the files, on a local disk. Each of several workers has a directory of its own
            in it.
        strategy: the devices to use; None for the default one.
        workers: each extracts, and is given, its own part of the split.
        files: what `open_files` returned for the same arguments, if that was called before.
        view: cuts `crop_size` pixels a side out of an image; by default the centre of the resized
            image. Its `repr` tells it from others.
        title: stands before the progress; by default the data set and the split.
        warn: whether to name images that cannot be read.

    Raises:
        ValueError: no image of the split can be read, more than `max_bad_fraction` of them cannot,
            or the directory is not on a local disk.
        OSError: the files cannot be written; what was extracted before is kept.
    """
    strategy = strategy or tf.distribute.get_strategy()
    files = files or open_files(model, records, options, directory, workers, view)
    description = _description(model, records, options, view)
    view = view or images.CentralCrop(options.resize_size, options.crop_size)
    part = split_parts.records_of(records, files.part)
    unreadable = UnreadableImages()
    mended = _first_mended(part, files, view, unreadable)
    if files.records < part.size or mended is not None:
        with files.locked():
            if mended is not None:
                files.keep_before(mended)
            if not files.records:
                split_parts.warn_of_others(directory, workers)
            if files.records < part.size:
                _extract(
                    model,
                    records,
                    part,
                    view,
                    options,
                    files,
                    strategy,
                    workers,
                    unreadable,
                    title or f"{records.dataset} {records.split}",
                )
    if warn:
        unreadable.warn()
    # From here on all workers know, and find wrong, the same.
    rows_of_each = workers.each(files.rows)
    rows = int(rows_of_each.sum())
    if not rows:
        raise ValueError(
            f"split {records.split} of {records.dataset} has no readable image"
            + (f"; {unreadable.summary()}" if unreadable.reasons else "")
        )
    unreadable.check(records, options.max_bad_fraction, records.size - rows)
    labels = np.asarray(files.memory_map("labels"))
    lowest = workers.each(labels.min() if len(labels) else 0)[rows_of_each > 0].min()
    highest = workers.each(labels.max() if len(labels) else 0)[rows_of_each > 0].max()
    if records.num_classes and not 0 <= lowest <= highest < records.num_classes:
        raise ValueError(
            f"split {records.split} of {records.dataset} has labels from {lowest} to "
            f"{highest}, its {records.num_classes} classes have 0 to "
            f"{records.num_classes - 1}: an image without a label cannot be measured on"
        )
    return Representations(
        layers={layer: files.memory_map(layer) for layer in options.layers},
        labels=labels,
        positions=np.asarray(files.memory_map("positions")),
        class_names=records.class_names,
        unreadable=records.size - rows,
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
    # By rounding, the mean over an area can exceed its largest pixel.
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


def _description(
    model: SavedModel, records: Records, options: ExtractOptions, view: View | None = None
) -> dict[str, Any]:
    """What a split's representations depend on, the layers excepted."""
    description = {
        "saved_model": model.fingerprint,
        "dataset": records.dataset,
        "split": records.split,
        "records": records.fingerprint,
        "resize_size": options.resize_size,
        "resize_method": images.CentralCrop(options.resize_size, options.crop_size).method,
        "crop_size": options.crop_size,
        "pooling": options.pooling,
        "max_features": options.max_features,
        "dtype": options.dtype,
    }
    return description | ({"view": repr(view)} if view else {})


def _first_mended(
    records: Records,
    files: RepresentationFiles,
    view: View,
    unreadable: UnreadableImages,
) -> int | None:
    """The position of the first record that was left out and can be read by now.

    Those before it are recorded as unreadable again.
    """
    left_out = files.left_out()
    if not len(left_out):
        return None
    which = np.zeros(records.size, bool)
    which[left_out] = True
    again = usable_images.usable(chosen(records, which, "left out"), view, unreadable)
    numbers = np.flatnonzero(which).tolist()
    return next((number for number, found in zip(numbers, again, strict=False) if found), None)


def _extract(
    model: SavedModel,
    records: Records,
    part: Records,
    view: View,
    options: ExtractOptions,
    files: RepresentationFiles,
    strategy: tf.distribute.Strategy,
    workers: Workers,
    unreadable: UnreadableImages,
    title: str,
) -> None:
    """Passes this worker's part of a split's records through the network."""
    # All layers in the files, which may be more than those requested.
    all_layers = dataclasses.replace(options, layers=tuple(files.layers))

    def replica_step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        layers = represent(model, batch["image"], all_layers)
        return layers | {"labels": batch["label"], "valid": batch["valid"]}

    @tf.function(autograph=False)
    def step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        parts = strategy.run(replica_step, (batch,))
        return {
            name: tf.concat(strategy.experimental_local_results(part), axis=0)
            for name, part in parts.items()
        }

    def batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        made = pipeline.evaluation_batches(
            part,
            view,
            batch_size=options.batch_size,
            start=files.records,
            replicas=context.num_replicas_in_sync // context.num_input_pipelines,
            unreadable=unreadable,
        )
        # Of a stream that ends, TensorFlow would have every worker wait for all at each batch.
        return made if workers.count == 1 else made.concatenate(_fillers(made.element_spec))

    stream = iter(strategy.distribute_datasets_from_function(batches))
    bar = tqdm(
        total=part.size,
        initial=files.records,
        unit=" images",
        desc=title,
        mininterval=1.0,
        disable=not workers.is_first,
    )

    def show(done: int) -> None:
        written, size = files.bytes_of(files.rows), files.bytes_of(part.size)
        bar.set_postfix_str(f"{devices.size(written)} of {devices.size(size)}", refresh=False)
        bar.update(done - bar.n)

    # A batch is fetched from the device and written in a thread, while the next one is made.
    with (
        bar,
        devices.memory_advice("use a smaller --batch_size; what was extracted before is kept"),
        files,
        records.explained(),
        ThreadPoolExecutor(max_workers=1) as writer,
    ):
        written = None
        for first in range(files.records, part.size, options.batch_size):
            outputs = step(next(stream))
            if written:
                show(written.result())
                left_out = files.records - files.rows
                unreadable.check(records, options.max_bad_fraction, left_out)
            written = writer.submit(
                _append, model, files, outputs, min(first + options.batch_size, part.size)
            )
        show(written.result())


def _fillers(element_spec: dict[str, tf.TensorSpec]) -> tf.data.Dataset:
    """Batches of nothing, without end."""
    nothing = {name: tf.zeros(spec.shape, spec.dtype) for name, spec in element_spec.items()}
    return tf.data.Dataset.from_tensors(nothing).repeat()


def _append(
    model: SavedModel, files: RepresentationFiles, outputs: dict[str, tf.Tensor], records: int
) -> int:
    """Writes a batch to the files, and returns the number of records that are done."""
    batch = {name: value.numpy() for name, value in outputs.items()}
    valid = batch["valid"] > 0
    for layer in files.layers:
        finite = np.isfinite(batch[layer][valid])
        if not finite.all():
            too_large = batch[layer].dtype == np.float16
            raise ValueError(
                f"layer {layer}: {np.count_nonzero(~finite)} of {finite.size} values that "
                f"{model.path} makes of the images up to number {records} are NaN or infinite"
                + ("; float16 ends at 65504: try --dtype=float32" if too_large else "")
                + ": leave it out of --layers, or look at how the network was trained"
            )
    files.append(batch, records)
    return records
