"""What lies on disk is believed as far as its checksums go; the rest is made again."""

import json
import logging
import os
import pathlib

import numpy as np
import pytest
from etils import epath

from evaluate import checksums, representation_files
from evaluate.representation_files import RepresentationFiles
from evaluate.split_parts import SplitPart

DESCRIPTION = {"saved_model": "a", "split": "val"}
LAYERS = ("block1", "a/b")
FILES = ("block1.float32", "a%2Fb.float32", "labels.int64", "positions.int64")


def opened(directory: pathlib.Path, layers: tuple[str, ...] = LAYERS) -> RepresentationFiles:
    return RepresentationFiles(
        epath.Path(directory), DESCRIPTION, layers, "float32", SplitPart(0, 30)
    )


def batch(number: int) -> dict[str, np.ndarray]:
    """Of ten records, of which the fourth cannot be read."""
    rows = np.arange(10, dtype=np.float32)[:, None] + 10 * number
    return {
        "block1": rows + np.linspace(0, 0.5, 4, dtype=np.float32),
        "a/b": -rows,
        "labels": np.arange(10) % 3,
        "valid": (np.arange(10) != 3).astype(np.float32),
    }


def write(directory: pathlib.Path, batches: range) -> None:
    files = opened(directory)
    with files.locked(), files:
        for number in batches:
            files.append(batch(number), 10 * (number + 1))


@pytest.fixture
def directory(tmp_path, monkeypatch) -> pathlib.Path:
    """Three parts of ten records."""
    monkeypatch.setattr(checksums, "PART_BYTES", 100)
    write(tmp_path / "val", range(2))
    write(tmp_path / "val", range(2, 3))
    return tmp_path / "val"


def test_what_is_whole_is_taken_over(directory, caplog) -> None:
    files = opened(directory)
    assert (files.records, files.rows) == (30, 27)
    assert sorted(file.name for file in directory.iterdir()) == sorted(
        [*FILES, "header.json", "lock"]
    )
    np.testing.assert_array_equal(files.left_out(), [3, 13, 23])
    np.testing.assert_array_equal(files.memory_map("a/b")[:4, 0], [0, -1, -2, -4])
    assert not caplog.records


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("row", [2, 15, 26])
def test_a_flipped_bit_is_found_and_what_lies_before_it_is_kept(directory, caplog, name, row):
    file = directory / name
    content = bytearray(file.read_bytes())
    content[row * len(content) // 27] ^= 4
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        files = opened(directory)
    assert files.records == 10 * (row // 9)
    assert f"{name} is damaged (does not fit its checksum): the rep" in caplog.text
    assert f"image number {files.records} on" in caplog.text
    write(directory, range(files.records // 10, 3))
    again = opened(directory)
    assert (again.records, again.rows) == (30, 27)
    np.testing.assert_array_equal(
        again.memory_map("block1")[:9], batch(0)["block1"][[*range(3), *range(4, 10)]]
    )


def test_other_layers_damage_does_not_matter_until_they_are_written(directory, caplog) -> None:
    (directory / "block1.float32").write_bytes(b"")
    assert opened(directory, ("a/b",)).records == 30
    assert not caplog.records
    files = opened(directory, ("a/b",))
    with files.locked():
        assert files.records == 0


def test_files_that_are_cut_or_missing_or_none(directory, caplog) -> None:
    (directory / "labels.int64").write_bytes((directory / "labels.int64").read_bytes()[:-1])
    assert opened(directory).records == 20
    (directory / "labels.int64").unlink()
    assert opened(directory).records == 0
    assert "labels.int64 is damaged (is missing)" in caplog.text
    os.mkfifo(directory / "labels.int64")
    assert opened(directory).records == 0  # And does not wait for a writer.
    write(directory, range(3))
    assert opened(directory).records == 30


@pytest.mark.parametrize(
    "change",
    [
        {"layers": "block1"},
        {"layers": [1, 2]},
        {"features": []},
        {"features": {}},
        {"features": {"block1": "4", "a/b": 1}},
        {"features": {"block1": -4, "a/b": 1}},
        {"parts": None},
        {"parts": [{"records": 10}]},
        {"parts": [{"records": 10, "rows": 11, "crc32": {}}]},
        {"parts": [{"records": float("nan"), "rows": 1, "crc32": {}}]},
        {"parts": [{"records": 10, "rows": 9, "crc32": {}}] * 2},
    ],
)
def test_a_header_of_the_wrong_shape(directory, caplog, change) -> None:
    header = json.loads((directory / "header.json").read_text())
    (directory / "header.json").write_text(json.dumps(header | change))
    assert opened(directory).records == 0
    assert "header.json is damaged" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\x00", b"[" * 10**5])
def test_a_header_that_is_none(directory, caplog, content) -> None:
    (directory / "header.json").write_bytes(content)
    assert opened(directory).records == 0
    assert "header.json is damaged" in caplog.text
    write(directory, range(3))
    assert opened(directory).records == 30


def test_files_without_checksums_are_made_again(directory, caplog) -> None:
    header = json.loads((directory / "header.json").read_text())
    del header["parts"]
    (directory / "header.json").write_text(json.dumps(header))
    assert opened(directory).records == 0
    assert "has no checksums, as an earlier version wrote it" in caplog.text


def test_a_header_that_is_no_file_is_a_line(directory) -> None:
    (directory / "header.json").unlink()
    os.mkfifo(directory / "header.json")
    with pytest.raises(ValueError, match=r"header\.json is not a file: move it away"):
        opened(directory)


def test_a_part_goes_on_while_it_is_small(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(representation_files, "SECONDS_BETWEEN_HEADERS", 0.0)
    write(tmp_path, range(2))
    write(tmp_path, range(2, 3))
    assert len(json.loads((tmp_path / "header.json").read_text())["parts"]) == 1
    assert opened(tmp_path).records == 30


def test_going_back_to_a_record(directory) -> None:
    files = opened(directory)
    files.keep_before(13)
    assert (files.records, files.rows) == (10, 9)
