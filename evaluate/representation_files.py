"""Where the representations of one split lie on disk, whole after a kill or a full disk.

    DIRECTORY/header.json      where the numbers come from, and how far the extraction got
    DIRECTORY/labels.int64     (rows,)
    DIRECTORY/positions.int64  (rows,), which record of the split a row is, from 0
    DIRECTORY/block1.float32   (rows, features), and so on for every layer

The files are appended to batch by batch. The header is replaced, in one step, after what it
counts has reached the disk: rows that no header counts are cut off before an extraction goes on,
and files that are shorter than their header says are not used.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from etils import epath

from programs import locks

SECONDS_BETWEEN_HEADERS = 5.0
# At most this part of the time goes into waiting for the disk to confirm.
SHARE_OF_HEADERS = 0.05
SUFFIXES = (".float16", ".float32", ".int64")


def check_local(directory: epath.Path) -> None:
    """Raises a ValueError if a directory is at a remote store: memory maps need a local disk."""
    if "://" in os.fspath(directory):
        raise ValueError(
            f"{directory}: representations are memory maps and need a local disk, name a directory "
            "there with --representations_dir"
        )


class RepresentationFiles:
    """The files of one split, opened where an earlier extraction of the same description got.

    Args:
        directory: where they are, on a local disk. What is there and of another description goes
            when the first batch is about to be written.
        description: what the numbers depend on, the layers excepted; fit for JSON.
        layers: the layers wanted. Where more are there already, or others, those stay too.
        dtype: `float32` or `float16`, of the layers.

    Attributes:
        layers: the layers that the files have or are to have.
        records: how many records of the split are done.
        rows: how many rows there are, fewer than records where images could not be read.

    Raises:
        ValueError: the directory is not on a local disk.
    """

    def __init__(
        self,
        directory: epath.Path,
        description: dict[str, Any],
        layers: tuple[str, ...],
        dtype: str,
    ) -> None:
        check_local(directory)
        self.directory = directory
        self.description = description
        self.layers = layers
        self.dtype = dtype
        self._open: dict[str, BinaryIO] = {}
        self._header = directory / "header.json"
        self._find()

    def path(self, name: str) -> epath.Path:
        """The file of a layer, of `labels` or of `positions`."""
        return self.directory / f"{name}.{self._dtypes()[name]}"

    def _dtypes(self) -> dict[str, str]:
        layers = dict.fromkeys(self.layers, self.dtype)
        return {**layers, "labels": "int64", "positions": "int64"}

    def _length(self, name: str) -> int:
        """Bytes of the rows that count."""
        return self.rows * self._features.get(name, 1) * np.dtype(self._dtypes()[name]).itemsize

    def _find(self) -> None:
        """Takes over what is there, if it is of the same description and whole."""
        self.records = self.rows = self._kept = 0
        self._features: dict[str, int] = {}
        try:
            header = json.loads(self._header.read_text())
            if header["description"] != self.description:
                return
            there, features = tuple(header["layers"]), dict(header["features"])
            records, rows = int(header["records"]), int(header["rows"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return
        missing = set(self.layers) - set(there)
        self.layers = tuple(dict.fromkeys([*there, *self.layers]))
        if missing:
            return
        self.records, self.rows, self._features, self._kept = records, rows, features, records
        for name in self._dtypes():
            path = self.path(name)
            if not path.exists() or path.stat().length < self._length(name):
                self.records = self.rows = self._kept = 0
                self._features = {}
                return

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lets one process at a time write; the others wait and find what it has written."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with locks.waited_for(self.directory):
            self._find()
            yield

    def __enter__(self) -> "RepresentationFiles":
        if not self.records:
            # Unlinked rather than cut: who still reads the old ones keeps them.
            self._header.unlink(missing_ok=True)
            for path in self.directory.iterdir():
                if path.name.endswith(SUFFIXES):
                    path.unlink()
        for name in self._dtypes():
            path = self.path(name)
            self._open[name] = open(path, "r+b" if path.exists() else "w+b", buffering=0)
        self._cut()
        self._write_header()
        return self

    def append(self, batch: dict[str, np.ndarray], records: int) -> None:
        """Adds a batch.

        Args:
            batch: arrays by layer and `labels`, in the order of the records; and `valid`, 0 for
                rows to leave out.
            records: how many records of the split are done with this batch.
        """
        valid = batch["valid"] > 0
        positions = np.arange(self.records, self.records + len(valid))
        for name, file in self._open.items():
            rows = positions if name == "positions" else batch[name]
            if not valid.all():
                rows = rows[valid]
            if rows.ndim > 1:
                self._features[name] = rows.shape[1]
            _write(file, np.ascontiguousarray(rows))
        self.records = records
        self.rows += int(valid.sum())
        if time.perf_counter() > self._next_header:
            self._write_header()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._write_header()
        except OSError as late:
            error = late
        if error is not None:
            # Room that a batch which did not fit has taken may be what the header lacks.
            with contextlib.suppress(OSError):
                self._cut()
                self._write_header()
        for file in self._open.values():
            file.close()
        self._open = {}
        if isinstance(error, OSError):
            raise OSError(
                f"cannot write to {self.directory} ({error.strerror or error}): what was extracted "
                f"of the split's first {self._kept} images is kept; make room and start again to "
                "continue"
            ) from error

    def _cut(self) -> None:
        """Drops what lies behind the rows that count: a batch that was not finished."""
        for name, file in self._open.items():
            file.truncate(self._length(name))
            file.seek(self._length(name))

    def _write_header(self) -> None:
        started = time.perf_counter()
        for file in self._open.values():
            os.fsync(file.fileno())
        header = {
            "description": self.description,
            "layers": self.layers,
            "records": self.records,
            "rows": self.rows,
            "features": self._features,
        }
        beside = self._header.with_name("header.json.incomplete")
        with open(beside, "wb", buffering=0) as file:
            _write(file, np.frombuffer(json.dumps(header, indent=2).encode(), np.uint8))
            os.fsync(file.fileno())
        beside.replace(self._header)
        self._kept = self.records
        now = time.perf_counter()
        pause = max(SECONDS_BETWEEN_HEADERS, (now - started) / SHARE_OF_HEADERS)
        self._next_header = now + pause

    def memory_map(self, name: str) -> np.ndarray:
        """The rows of a layer (rows, features), of `labels` or of `positions` (rows,)."""
        shape = (self.rows, self._features[name]) if name in self._features else (self.rows,)
        return np.memmap(self.path(name), self._dtypes()[name], mode="r", shape=shape)


def _write(file: BinaryIO, array: np.ndarray) -> None:
    """All bytes of an array: a file without a buffer may take a part only."""
    left = memoryview(array.reshape(-1).view(np.uint8))
    while left:
        left = left[file.write(left) :]
