"""The representations of one split on disk, intact after a kill or a full disk.

    DIRECTORY/header.json      what the numbers depend on, and how far the extraction got
    DIRECTORY/labels.int64     (rows,)
    DIRECTORY/positions.int64  (rows,), which record of the split a row is, from 0
    DIRECTORY/block1.float32   (rows, features), and so on for every layer

Of several machines each has such a directory of its own in that one, for its part of the split's
records: DIRECTORY/part-0-of-2 and so on. Its header counts the part's records, `positions` those of
the whole split.

The files are appended to batch by batch. The header is replaced, in one step, after the rows
that it counts have reached the disk: rows beyond them are cut off before an extraction resumes.
It holds a checksum for every part of every file (`evaluate/checksums.py`), which are verified when
the files are opened: from the first damaged part on, they are made again.
"""

import contextlib
import dataclasses
import json
import os
import time
import urllib.parse
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from absl import logging
from etils import epath
from tqdm import tqdm

from evaluate import checksums
from evaluate.checksums import NOTHING, Part
from evaluate.split_parts import SplitPart
from training import locks

SECONDS_BETWEEN_HEADERS = 5.0
# At most this share of the time is spent waiting for the disk.
SHARE_OF_HEADERS = 0.05
SUFFIXES = (".float16", ".float32", ".int64")
# Names that a layer may not have.
RESERVED = ("labels", "positions", "valid")


def check_local(directory: epath.Path) -> None:
    """Raises a ValueError if a directory is at a remote store: memory maps need a local disk."""
    if "://" in os.fspath(directory):
        raise ValueError(
            f"{directory}: representations are memory maps and need a local disk, name a directory "
            "there with --representations_dir"
        )


class RepresentationFiles:
    """The files of one split, opened where an earlier extraction of the same description stopped.

    Args:
        directory: on a local disk. Files of another description are removed just before the first
            batch is written.
        description: what the numbers depend on, the layers excepted; fit for JSON.
        layers: the layers wanted. Others that are already in the files are kept.
        dtype: `float32` or `float16`, of the layers.
        part: which of the split's records the files are of.

    Attributes:
        layers: the layers that the files have or are to have.
        records: the number of records of the split that are done.
        rows: the number of rows, fewer than records where images could not be read.

    Raises:
        ValueError: the directory is not on a local disk, or its header is not a file.
    """

    def __init__(
        self,
        directory: epath.Path,
        description: dict[str, Any],
        layers: tuple[str, ...],
        dtype: str,
        part: SplitPart,
    ) -> None:
        check_local(directory)
        self.directory = directory
        self.description = description
        self.layers = self._wanted = layers
        self.dtype = dtype
        self.part = part
        self._known_features: dict[str, int] = {}
        self._open: dict[str, BinaryIO] = {}
        self._header = directory / "header.json"
        self._verified: tuple[object, ...] = ()
        self._find()

    def path(self, name: str) -> epath.Path:
        """The file of a layer, of `labels` or of `positions`."""
        # A layer of a foreign model may have a slash in its name.
        return self.directory / f"{urllib.parse.quote(name, safe=' ')}.{self._dtypes()[name]}"

    def _dtypes(self) -> dict[str, str]:
        layers = dict.fromkeys(self.layers, self.dtype)
        return {**layers, "labels": "int64", "positions": "int64"}

    def _row_bytes(self, name: str) -> int:
        return self._features.get(name, 1) * np.dtype(self._dtypes()[name]).itemsize

    def expect(self, features: dict[str, int]) -> None:
        """Sets the layers' numbers of features, for `bytes_of` before there are rows."""
        self._known_features |= features

    def bytes_of(self, rows: int) -> int:
        """The size of so many rows of all files, as far as the layers' sizes are known."""
        features = self._known_features | self._features
        return rows * sum(
            features.get(name, 1) * np.dtype(dtype).itemsize
            for name, dtype in self._dtypes().items()
        )

    def bytes_to_replace(self) -> int:
        """The size of the files that are removed before the first batch is written."""
        if self.records or not self.directory.exists():
            return 0
        files = [path for path in self.directory.iterdir() if path.name.endswith(SUFFIXES)]
        return sum(os.path.getsize(path) for path in files if os.path.isfile(path))

    def _length(self, name: str) -> int:
        """Bytes of the rows that the header counts."""
        return self.rows * self._row_bytes(name)

    def _find(self, all_layers: bool = False) -> None:
        """Takes over existing files as far as they are intact and of the same description."""
        if os.path.exists(self._header) and not os.path.isfile(self._header):
            raise ValueError(f"{self._header} is not a file: move it away")
        try:
            content = self._header.read_bytes()
        except FileNotFoundError:
            self._take_over([], {})
            return
        if self._verified == (content, all_layers, *map(self._stat, self._dtypes())):
            return
        self._take_over([], {})
        try:
            header = json.loads(content)
            if header["description"] != self.description:
                return
            if "parts" not in header:
                raise ValueError("it has no checksums, as an earlier version wrote it")
            there, features, parts = _read(header)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self._warn("header.json", f"it cannot be read: {error}")
            return
        self.layers = tuple(dict.fromkeys([*there, *self._wanted]))
        self._known_features |= features
        if set(self._wanted) <= set(there):
            self._take_over(parts, features)
            self._verify(self.layers if all_layers else self._wanted)
            self._verified = (content, all_layers, *map(self._stat, self._dtypes()))

    def _take_over(self, parts: list[Part], features: dict[str, int]) -> None:
        last = parts[-1] if parts else NOTHING
        self._parts, self.records, self.rows = parts, last.records, last.rows
        self._kept = self.records
        self._features = features if parts else {}

    def _verify(self, layers: tuple[str, ...]) -> None:
        """Drops the parts from the first damaged one on."""
        names = [*layers, "labels", "positions"]
        total = sum(map(self._length, names))
        with (
            tqdm(
                desc=f"checking {self.directory.name}",
                total=total,
                unit="B",
                unit_scale=True,
                delay=3,
            ) as bar,
            ThreadPoolExecutor(max_workers=4) as pool,
        ):
            found = list(
                pool.map(
                    lambda name: checksums.whole_parts(
                        self.path(name), name, self._parts, self._row_bytes(name), bar.update
                    ),
                    names,
                )
            )
        count, why, name = min(
            (count, why, name) for name, (count, why) in zip(names, found, strict=True)
        )
        if count < len(self._parts):
            self._take_over(self._parts[:count], self._features)
            self._warn(self.path(name).name, why)

    def _warn(self, file: str, why: str) -> None:
        logging.warning(
            "%s/%s is damaged (%s): the representations are made again from the split's image "
            "number %d on",
            self.directory,
            file,
            why,
            self.records,
        )

    def _stat(self, name: str) -> tuple[int, int, int] | None:
        try:
            stat = os.stat(self.path(name))
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_size, stat.st_mtime_ns

    def left_out(self) -> np.ndarray:
        """Which of the records that are done have no row, counted from the part's first: int64."""
        there = self.memory_map("positions") - self.part.first
        return np.setdiff1d(np.arange(self.records), there)

    def keep_before(self, position: int) -> None:
        """Goes back to before a record, so that it is extracted again."""
        parts = [part for part in self._parts if part.records <= position]
        self._take_over(parts, self._features)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lets one process write at a time; the others wait and then use what it has written."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with locks.waited_for(self.directory):
            self._find(all_layers=True)  # An extraction resumes with all layers.
            yield

    def __enter__(self) -> "RepresentationFiles":
        if not self.records:
            # Unlinked rather than truncated: processes that still read the old files keep them.
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
            records: how many records of the split are done after this batch.
        """
        valid = batch["valid"] > 0
        positions = np.arange(self.records, self.records + len(valid))
        continues = checksums.has_room(self._parts, sum(map(self._row_bytes, self._dtypes())))
        crc32 = dict(self._parts[-1].crc32) if continues else dict.fromkeys(self._open, 0)
        for name, file in self._open.items():
            rows = self.part.first + positions if name == "positions" else batch[name]
            if not valid.all():
                rows = rows[valid]
            if rows.ndim > 1:
                self._features[name] = rows.shape[1]
            rows = np.ascontiguousarray(rows)
            _write(file, rows)
            crc32[name] = zlib.crc32(rows.reshape(-1).view(np.uint8), crc32[name])
        self.records = records
        self.rows += int(valid.sum())
        before = self._parts[:-1] if continues else self._parts
        self._parts = [*before, Part(self.records, self.rows, crc32)]
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
            # The header may need the space that the batch which did not fit has taken.
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
        """Drops what follows the rows that count: an unfinished batch."""
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
            "parts": [dataclasses.asdict(part) for part in self._parts],
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
        dtype = self._dtypes()[name]
        shape = (self.rows,)
        if name in self.layers:
            shape = (self.rows, (self._known_features | self._features)[name])
        if not self.rows:  # Which cannot be mapped.
            return np.empty(shape, dtype)
        return np.memmap(self.path(name), dtype, mode="r", shape=shape)


def _read(header: dict[str, Any]) -> tuple[list[str], dict[str, int], list[Part]]:
    """Layers, their features and parts of a header.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: the header is invalid.
    """
    layers, features, parts = header["layers"], header["features"], [NOTHING]
    for fields in header["parts"]:
        parts.append(Part.read(fields, before=parts[-1]))
    if not (isinstance(layers, list) and all(isinstance(layer, str) for layer in layers)):
        raise TypeError("its layers have no names")
    if parts[-1].rows and not all(type(features[layer]) is int for layer in layers):
        raise TypeError("its layers have no sizes")
    if not all(count > 0 for count in features.values()):
        raise ValueError("its layers' sizes make no sense")
    return layers, features, parts[1:]


def _write(file: BinaryIO, array: np.ndarray) -> None:
    """Writes all bytes of an array: one write to an unbuffered file may be partial."""
    left = memoryview(array.reshape(-1).view(np.uint8))
    while left:
        left = left[file.write(left) :]
