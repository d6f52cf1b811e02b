"""Tar archives read in full, from the first byte to the last, without being unpacked.

Python's `tarfile` takes a damaged header in the middle for the archive's end, and does not verify
gzip's checksum. Here both are errors, so that half an archive never passes for a small one.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import tensorflow as tf
from etils import epath

from training.error_lines import reason
from training.regular_files import is_regular

GZIP = b"\x1f\x8b"
READ_AT_ONCE = 2**20
DAMAGE = (tarfile.TarError, EOFError, zlib.error, OSError, tf.errors.OpError)


class _Header(tarfile.TarInfo):
    """A member's header; a damaged one is an error and not the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf and len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # The block of zeros that ends an archive.
            raise tarfile.ReadError("it is cut short" if not buf else str(error)) from error


def files(
    path: epath.Path, wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[str, bytes]]:
    """The files of a `.tar` or `.tar.gz`, in the order of the archive.

    Args:
        path: the archive.
        wanted: whether to read the file of this name; the others are skipped.

    Yields:
        Name and content. A name may be anything, even `../../etc/passwd`: never write to it.

    Raises:
        ValueError: the file is damaged or not an archive; raised after its last file at the latest,
            and names it.
    """
    try:
        if not is_regular(path):
            raise OSError("it is not a regular file")
        with path.open("rb") as file:
            zipped = file.read(len(GZIP)) == GZIP
            file.seek(0)
            yield from _files_in(gzip.GzipFile(fileobj=file) if zipped else file, wanted)
    except DAMAGE as error:
        raise ValueError(f"{path} is damaged, download it again: {reason(error)}") from error


def files_of_member(content: bytes, archive: epath.Path, name: str) -> Iterator[tuple[str, bytes]]:
    """The files of an archive that is itself a file of an archive; see `files`.

    Args:
        content: the inner archive.
        archive: the path of the outer one.
        name: the inner one's name.

    Raises:
        ValueError: the inner one is damaged; names both.
    """
    try:
        yield from _files_in(io.BytesIO(content), lambda name: True)
    except DAMAGE as error:
        raise ValueError(
            f"{archive} is damaged, download it again: {name} in it: {reason(error)}"
        ) from error


def _files_in(stream: BinaryIO, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
        while member := archive.next():
            if member.isfile() and wanted(member.name):
                yield member.name, archive.extractfile(member).read()
            archive.members.clear()  # `tarfile` would keep millions.
        # To its end, where gzip's checksum is; and after a header that was overwritten with zeros
        # there is more data.
        while rest := archive.fileobj.read(READ_AT_ONCE):
            if any(rest):
                raise tarfile.ReadError("there is data after its end")
