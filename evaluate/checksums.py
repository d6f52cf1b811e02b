"""Checksums of files that grow: a CRC-32 for every part of about 256 MiB.

A CRC-32 runs at 2 to 3 GB/s on a core, so that checking ImageNet's 21 GB of float16 `pre_logits` at
k = 16 takes about ten seconds when they are in memory, and as long as reading them when not; the
probe reads them next anyway.
"""

import dataclasses
import os
import zlib
from collections.abc import Callable, Sequence
from typing import Any

PART_BYTES = 256 * 2**20
READ_BYTES = 8 * 2**20


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the files: where it ends, and its checksums.

    Attributes:
        records, rows: their numbers from the beginning of the file to the end of the part.
        crc32: of the part's bytes, by file.
    """

    records: int
    rows: int
    crc32: dict[str, int]

    @classmethod
    def read(cls, fields: dict[str, Any], before: "Part") -> "Part":
        """A part from JSON that follows another one.

        Raises:
            ValueError, KeyError, TypeError: it is not a valid part.
        """
        part = cls(fields["records"], fields["rows"], dict(fields["crc32"]))
        numbers = [part.records, part.rows, *part.crc32.values()]
        if not all(type(number) is int for number in numbers):
            raise TypeError("its numbers are not integers")
        rows, records = part.rows - before.rows, part.records - before.records
        if not 0 <= rows <= records or not records:
            raise ValueError("its parts do not follow one another")
        return part


NOTHING = Part(0, 0, {})


def has_room(parts: Sequence[Part], row_bytes: int) -> bool:
    """Whether the last part is not full yet."""
    if not parts:
        return False
    before = parts[-2].rows if len(parts) > 1 else 0
    return (parts[-1].rows - before) * row_bytes < PART_BYTES


def whole_parts(
    path: os.PathLike,
    name: str,
    parts: Sequence[Part],
    row_bytes: int,
    progress: Callable[[int], None],
) -> tuple[int, str]:
    """How many of a file's leading parts are intact, and what is wrong with the next one.

    Args:
        path: the file.
        name: its name in the parts.
        parts: all parts.
        row_bytes: bytes per row of this file.
        progress: called with the number of bytes that were read.
    """
    if not os.path.isfile(path):
        return 0, "is missing" if not os.path.exists(path) else "is not a file"
    before = 0
    with open(path, "rb", buffering=0) as file:
        for number, part in enumerate(parts):
            left, crc = (part.rows - before) * row_bytes, 0
            before = part.rows
            while left:
                content = file.read(min(left, READ_BYTES))
                if not content:
                    return number, "is too short"
                crc = zlib.crc32(content, crc)
                left -= len(content)
                progress(len(content))
            if crc != part.crc32.get(name):
                return number, "does not fit its checksum"
    return len(parts), ""
