"""Which files below a directory are images, each of them once."""

import os
import pathlib
import socket

import pytest

from data import listing
from tests import memory_files
from training import own_directories


def touch(root: pathlib.Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def paths(found: listing.Listing) -> list[str]:
    return sorted(image.path for image in found.images)


def test_what_is_passed_over_is_counted(tmp_path):
    touch(tmp_path, "a/1.JPG", "a/2.webp", "a/3.jfif", "b.c/4.Png", "a/x.jpg/5.gif")
    touch(tmp_path, "a/1.heic", "a/2.HEIC", "a/3.tiff", "b.c/README")
    touch(tmp_path, "a/._1.jpg", "a/Thumbs.db", ".DS_Store", "desktop.ini", "__MACOSX/a/1.jpg")
    touch(tmp_path, ".git/1.png", "@eaDir/1.jpg")
    found = listing.find_images(str(tmp_path))
    assert paths(found) == ["a/1.JPG", "a/2.webp", "a/3.jfif", "a/x.jpg/5.gif", "b.c/4.Png"]
    (line,) = found.remarks()
    assert line.startswith(
        "4 files skipped by extension: 2 .heic, 1 .tiff, 1 without one (supported: .jpg "
    )


def test_only_regular_files(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg")
    os.mkfifo(tmp_path / "a/pipe.jpg")
    (tmp_path / "a/gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "a/null.jpg").symlink_to("/dev/null")
    (tmp_path / "a/ring.jpg").symlink_to("ring.jpg")
    monkeypatch.chdir(tmp_path / "a")  # A socket's address must be short.
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
        found = listing.find_images(str(tmp_path))
    assert paths(found) == ["a/1.jpg"]
    assert sorted(found.irregular) == [
        *("a/gone.jpg", "a/null.jpg", "a/pipe.jpg", "a/ring.jpg", "a/socket.jpg"),
    ]
    (line,) = found.remarks()
    assert line.startswith("5 names skipped, not a regular file")
    assert line.endswith(": a/gone.jpg, a/null.jpg, a/pipe.jpg, …")


def test_links_multiply_nothing(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    touch(root, "a/1.jpg", "b/1.jpg", "b/c/2.jpg")
    touch(elsewhere, "3.jpg", "deep/4.jpg", "1.jpg")
    for link, target in {
        "a/up": "..",
        "b/up": "..",
        "out": "../..",  # above the root
        "a/b": "../b",
        "0": "b/c",  # A folder is called by its own name, though a link's comes before.
        "linked": "../elsewhere",
        "twice": "../elsewhere",
        "within": "../elsewhere/deep",
        "a/same.jpg": "../b/1.jpg",
        "a/other.jpg": "../../elsewhere/1.jpg",
    }.items():
        (root / link).symlink_to(target)
    (elsewhere / "back").symlink_to("../root")
    found = listing.find_images(str(root))
    assert paths(found) == [
        *("a/1.jpg", "b/1.jpg", "b/c/2.jpg", "linked/1.jpg", "linked/3.jpg", "within/4.jpg"),
    ]
    assert sorted(found.repeated) == [
        *("0", "a/b", "a/other.jpg", "a/same.jpg", "a/up", "b/up", "linked/back", "linked/deep"),
        *("out", "twice"),
    ]
    (line,) = found.remarks()
    assert line.startswith("10 links not followed, target read under another name: 0, a/b,")


def test_links_to_files_alone_are_images(tmp_path):
    touch(tmp_path / "all", "1.jpg", "2.jpg")
    (tmp_path / "some").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "some" / name).symlink_to("../all/1.jpg")
    found = listing.find_images(str(tmp_path / "some"))
    assert paths(found) == ["a.jpg"]
    assert found.repeated == ["b.jpg"]


def test_what_the_programs_wrote_is_not_read(tmp_path):
    touch(tmp_path, "a/1.jpg")
    touch(tmp_path, "probe/flags.cfg", "probe/accuracy_by_layer.png", "probe/more/1.png")
    touch(tmp_path, "made/train/header.json", "made/train/labels.int64", "made/train/1.png")
    touch(tmp_path, "compared/comparison.csv", "compared/comparison.png")
    touch(tmp_path, "study/plans/tiny.txt", "study/logs/1.txt", "study/report/figure.png")
    touch(tmp_path, "report/index.html", "report/index.md", "report/figure2.png")
    found = listing.find_images(str(tmp_path))
    assert paths(found) == ["a/1.jpg"]
    assert sorted(found.results) == ["compared", "made/train", "probe", "report", "study"]
    (line,) = found.remarks()
    assert line == (
        "5 directories not read, results of these programs: compared, made/train, probe, …"
    )


def test_a_run_in_the_root_leaves_the_images_there(tmp_path):
    touch(tmp_path, "flags.cfg", *own_directories.PICTURES, "1.jpg", "a/2.jpg")
    assert paths(listing.find_images(str(tmp_path))) == ["1.jpg", "a/2.jpg"]


def test_a_class_called_plans_is_one(tmp_path):
    touch(tmp_path, "house/plans/1.jpg", "house/plans/1.txt", "house/logs/1.jpg")
    assert len(listing.find_images(str(tmp_path)).images) == 2
    assert not own_directories.is_study(["plans"], [])


def test_a_folder_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg")
    scandir = os.scandir

    def refusing(path):  # The tests may run as root, whom no mode keeps out.
        if path.endswith("/a"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(ValueError, match=rf"^{tmp_path}/a cannot be read: Permission denied$"):
        listing.find_images(str(tmp_path))


def test_a_store_is_listed_likewise():
    memory_files.register_scheme()
    root = memory_files.MemoryPath("ram://listing")
    for name in ("a/1.jpg", "a/._1.jpg", "a/2.heic", "run/flags.cfg", "run/1.png", "b/3.webp"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    found = listing.find_images("ram://listing")
    assert paths(found) == ["a/1.jpg", "b/3.webp"]
    assert found.results == ["run"]
    assert dict(found.skipped) == {".heic": 1}
    assert all(not image.stamp for image in found.images)
