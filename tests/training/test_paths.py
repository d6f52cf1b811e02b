"""Paths as users give them."""

import os

import pytest
from etils import epath

from tests import memory_files
from training import paths


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("photos/a b", "photos/a b"),
        ("/photos/Größe", "/photos/Größe"),
        ("file:///photos/a", "/photos/a"),
        ("file://localhost/photos", "/photos"),
        ("FILE:///my%20photos", "/my photos"),
        ("gs://bucket/a", "gs://bucket/a"),
        ("/odd://name", "/odd:/name"),
        ("~/photos", os.path.expanduser("~/photos")),
        ("", ""),
    ],
)
def test_paths_that_can_be_opened(given: str, path: str) -> None:
    assert paths.from_flag(given, "data_dir") == path
    epath.Path(path)


@pytest.mark.parametrize("given", ["http://a/b", "hdfs://a/b", "s3://a/b", "hf://a/b", "x-y://a"])
def test_an_unknown_scheme_is_one_line(given: str) -> None:
    scheme = given.partition(":")[0]
    with pytest.raises(ValueError, match=rf"^--workdir={given}: .* no {scheme}:// addresses; .*$"):
        paths.from_flag(given, "workdir")


def test_a_file_address_needs_a_path_of_this_machine() -> None:
    with pytest.raises(ValueError, match=r"^--workdir=file://photos/a names a host"):
        paths.from_flag("file://photos/a", "workdir")
    with pytest.raises(ValueError, match=r"^--workdir=file://photos names a host"):
        paths.from_flag("file://photos", "workdir")


def test_a_path_that_is_no_utf8_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"^--data_dir=/caf� is not UTF-8"):
        paths.from_flag(os.fsdecode(b"/caf\xe9"), "data_dir")


def test_a_scheme_that_is_registered_is_known() -> None:
    memory_files.register_scheme()
    assert paths.from_flag("ram://bucket", "data_dir") == "ram://bucket"
