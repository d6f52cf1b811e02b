"""Images of a split through a frozen network, once; every layer's output on disk.

    DIRECTORY/header.json      where the numbers come from, and how far the extraction got
    DIRECTORY/labels.int64     (rows,)
    DIRECTORY/block1.float32   (rows, features), and so on for every layer

The files are appended to batch by batch, and the header is replaced after they are flushed: an
extraction that is killed goes on behind the last batch that the header counts, and one that is
finished is used again while the header's description matches.
"""

import dataclasses
import json
import time

import numpy as np
import tensorflow as tf
from absl import logging
from etils import epath
from tqdm import tqdm

from data import images, pipeline
from data.records import Records
from data.unreadable import UnreadableImages
from evaluate import pooling
from evaluate.saved_models import SavedModel

SECONDS_BETWEEN_HEADERS = 5.0
PIXELS = "pixels"


@dataclasses.dataclass(frozen=True)
class Representations:
    """A split's representations.

    Attributes:
        layers: by layer a memory map, (rows, features), of the stored type.
        labels: int64, (rows,).
        class_names: a name per class.
        unreadable: how many images of the split could not be used.
    """

    layers: dict[str, np.ndarray]
    labels: np.ndarray
    class_names: tuple[str, ...]
    unreadable: int


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


def extract(
    model: SavedModel,
    records: Records,
    options: ExtractOptions,
    directory: epath.Path,
    strategy: tf.distribute.Strategy | None = None,
) -> Representations:
    """Extracts a split's representations, or opens those that are there.

    Args:
        model: the network; loaded in the strategy's scope.
        records: the split.
        options: see `ExtractOptions`.
        directory: where the files are; it must be on a local disk.
        strategy: the devices to use; None for the default one.

    Raises:
        ValueError: no image of the split can be read, or more than `max_bad_fraction` cannot.
    """
    strategy = strategy or tf.distribute.get_strategy()
    description = {
        "saved_model": model.fingerprint,
        "dataset": records.dataset,
        "split": records.split,
        "records": records.fingerprint,
        "layers": list(options.layers),
        "resize_size": options.resize_size,
        "crop_size": options.crop_size,
        "pooling": options.pooling,
        "max_features": options.max_features,
        "dtype": options.dtype,
    }
    files = Files(directory, description)
    unreadable = UnreadableImages()
    if files.records < records.size:
        _extract(model, records, options, files, strategy, unreadable)
    if unreadable.reasons:
        logging.warning("%s", unreadable.summary())
    if not files.rows:
        raise ValueError(
            f"split {records.split} of {records.dataset} has no readable image"
            + (f"; {unreadable.summary()}" if unreadable.reasons else "")
        )
    unreadable.check(records, options.max_bad_fraction, files.records - files.rows)
    return files.open(records)


def _extract(
    model: SavedModel,
    records: Records,
    options: ExtractOptions,
    files: "Files",
    strategy: tf.distribute.Strategy,
    unreadable: UnreadableImages,
) -> None:
    view = images.CentralCrop(options.resize_size, options.crop_size)

    def represent(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        pictures = tf.cast(batch["image"], tf.float32) / 255.0
        outputs = model.represent(pictures) | {PIXELS: pictures}
        return {
            layer: tf.cast(
                pooling.pool(
                    outputs[layer],
                    "avg" if layer == PIXELS else options.pooling,
                    options.max_features,
                ),
                options.dtype,
            )
            for layer in options.layers
        } | {"labels": batch["label"], "valid": batch["valid"]}

    @tf.function
    def step(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        parts = strategy.run(represent, (batch,))
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
    bar = tqdm(
        total=records.size,
        initial=files.records,
        unit=" images",
        desc=f"{records.dataset} {records.split}",
        mininterval=1.0,
    )
    with bar, files:
        for batch in stream:
            done = min(files.records + options.batch_size, records.size)
            files.append({name: value.numpy() for name, value in step(batch).items()}, done)
            bar.update(done - bar.n)
            left_out = files.records - files.rows
            unreadable.check(records, options.max_bad_fraction, left_out)


class Files:
    """The files of one split's representations, appended to and continued.

    Args:
        directory: where they are; emptied if what is there has another description.
        description: what the numbers depend on.
    """

    def __init__(self, directory: epath.Path, description: dict[str, object]) -> None:
        self.directory = directory
        self.description = description
        self.header_path = directory / "header.json"
        self.dtypes = dict.fromkeys(description["layers"], description["dtype"])
        self.dtypes["labels"] = "int64"
        self.records = self.rows = 0
        self.features: dict[str, int] = {}
        self.open_files: dict[str, object] = {}
        self._find()

    def path(self, name: str) -> epath.Path:
        return self.directory / f"{name}.{self.dtypes[name]}"

    def _find(self) -> None:
        """Takes over what is there, if it is of the same description and whole."""
        try:
            header = json.loads(self.header_path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return
        if header.get("description") != self.description:
            return
        lengths = {
            name: header["rows"] * header["features"].get(name, 1) * np.dtype(dtype).itemsize
            for name, dtype in self.dtypes.items()
        }
        for name, length in lengths.items():
            path = self.path(name)
            if not path.exists() or path.stat().length < length:
                return
        self.records, self.rows = header["records"], header["rows"]
        self.features = header["features"]

    def __enter__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for name, dtype in self.dtypes.items():
            path = self.path(name)
            file = open(path, "r+b" if path.exists() else "w+b")
            # What lies behind the header's count was written by a run that was killed.
            length = self.rows * self.features.get(name, 1) * np.dtype(dtype).itemsize
            file.truncate(length)
            file.seek(length)
            self.open_files[name] = file
        self._write_header()
        self.written = time.perf_counter()

    def append(self, batch: dict[str, np.ndarray], records: int) -> None:
        """Adds a batch.

        Args:
            batch: arrays by layer, `labels`, and `valid`, 0 for rows to leave out.
            records: how many records of the split are done with this batch.
        """
        valid = batch["valid"] > 0
        for name, file in self.open_files.items():
            rows = batch[name][valid]
            if rows.ndim > 1:
                self.features[name] = rows.shape[1]
            file.write(rows.data if rows.flags.c_contiguous else rows.tobytes())
        self.records = records
        self.rows += int(valid.sum())
        if time.perf_counter() - self.written > SECONDS_BETWEEN_HEADERS:
            self._write_header()
            self.written = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._write_header()
        for file in self.open_files.values():
            file.close()
        self.open_files = {}

    def _write_header(self) -> None:
        for file in self.open_files.values():
            file.flush()
        header = {
            "description": self.description,
            "records": self.records,
            "rows": self.rows,
            "features": self.features,
        }
        beside = self.header_path.with_name("header.json.incomplete")
        beside.write_text(json.dumps(header, indent=2))
        beside.replace(self.header_path)

    def open(self, records: Records) -> Representations:
        """Memory maps of the whole files."""

        def memory_map(name: str) -> np.ndarray:
            shape = (self.rows, self.features[name]) if name in self.features else (self.rows,)
            return np.memmap(self.path(name), self.dtypes[name], mode="r", shape=shape)

        return Representations(
            layers={layer: memory_map(layer) for layer in self.description["layers"]},
            labels=np.asarray(memory_map("labels")),
            class_names=records.class_names,
            unreadable=records.size - self.rows,
        )
