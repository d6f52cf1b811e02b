import gzip
import io
import os
import tarfile

import pytest
from etils import epath

from data import archives
from tests.data import miniatures

CONTENT = {"a/1.jpg": b"one" * 50, "../../etc/2.jpg": b"two" * 300}


@pytest.fixture
def tar() -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in CONTENT.items():
            miniatures.add(archive, name, content)
    return written.getvalue()


def read(path, content: bytes) -> dict[str, bytes]:
    path.write_bytes(content)
    return dict(archives.files(epath.Path(path)))


def is_refused(path, content: bytes) -> bool:
    """Whether reading the archive ends with one line that names it."""
    try:
        read(path, content)
    except ValueError as error:
        told = str(error)
        return told.startswith(f"{path} is damaged, download it again: ") and told.isprintable()
    return False


def test_whole_archives(tmp_path, tar):
    assert read(tmp_path / "a.tar", tar) == CONTENT
    assert read(tmp_path / "a.tar.gz", gzip.compress(tar)) == CONTENT
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar", "a.tar.gz"}
    assert dict(archives.files(epath.Path(tmp_path / "a.tar"), lambda name: "1" in name)) == {
        "a/1.jpg": CONTENT["a/1.jpg"]
    }


def test_every_flipped_bit_of_a_gzip_file_is_noticed(tmp_path, tar):
    zipped = gzip.compress(tar, mtime=0)
    # The first ten bytes, such as the time of writing, have no checksum and matter to nobody.
    for place in range(10, len(zipped)):
        damaged = bytearray(zipped)
        damaged[place] ^= 1 << place % 8
        path = tmp_path / "a.tar.gz"
        # Where the compressed data end, some bits of a byte may be left over.
        assert is_refused(path, bytes(damaged)) or read(path, damaged) == CONTENT, place


def test_an_archive_that_is_cut_is_noticed(tmp_path, tar):
    zipped = gzip.compress(tar)
    for length in range(len(zipped)):
        assert is_refused(tmp_path / "a.tar.gz", zipped[:length]), length
    files_end = 512 + 512 + 512 + 1024
    for length in range(0, files_end + 1, 128):
        assert is_refused(tmp_path / "a.tar", tar[:length]), length
    assert read(tmp_path / "a.tar", tar[: files_end + 1024]) == CONTENT


def test_a_damaged_header_is_not_the_end(tmp_path, tar):
    second = 1024
    for header in (bytes(512), b"\xff" * 512, tar[second + 1 : second + 513]):
        assert is_refused(tmp_path / "a.tar", tar[:second] + header + tar[second + 512 :])


def test_what_is_no_archive(tmp_path):
    for content in (b"", b"<html>not found</html>" * 99, b"PK\x03\x04" + bytes(999), b"\x1f\x8b"):
        assert is_refused(tmp_path / "a.tar", content)
    os.mkfifo(tmp_path / "pipe.tar")
    with pytest.raises(ValueError, match=r"pipe.tar is damaged.*it is not a regular file"):
        list(archives.files(epath.Path(tmp_path / "pipe.tar")))
