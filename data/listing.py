"""The image files below a directory, each once, and what was skipped.

A file's extension makes it an image (`EXTENSIONS`); its first bytes say of which kind when it is
read. Only regular files count: a pipe or a device might never end. Hidden files and what operating
systems leave in folders are skipped silently; everything else that is skipped is counted in a
warning.

A folder is read once, under its own name if that lies below the root, else under the
alphabetically first of the links to it. So neither a link to a folder above, nor two links to the
same folder, nor a link to a file that is listed anyway adds an image twice.

A directory of results (`training/own_directories.py`) is not read: the figures in it are not data.
"""

import collections
import concurrent.futures
import dataclasses
import os
from collections.abc import Iterable
from typing import NamedTuple

import tensorflow as tf

from training import own_directories
from training.paths import printable

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp")
SYSTEM_FILES = (
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"),
    *("system volume information", "lost+found", "icon\r"),
)
FOLDERS_LISTED_AT_ONCE = 16
NAMED = 3  # how many of the skipped files a warning names


class Image(NamedTuple):
    """A file.

    Attributes:
        path: below the root.
        stamp: its size and modification time; empty in a store that does not list them.
    """

    path: str
    stamp: str


@dataclasses.dataclass
class Listing:
    """What is below a directory.

    Attributes:
        images: in no particular order.
        skipped: the number of files that are not images, by extension.
        irregular: paths of pipes, sockets, devices and dangling links.
        repeated: paths of links to what is read under another name.
        results: paths of directories that hold results of these programs.
    """

    images: list[Image] = dataclasses.field(default_factory=list)
    skipped: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    irregular: list[str] = dataclasses.field(default_factory=list)
    repeated: list[str] = dataclasses.field(default_factory=list)
    results: list[str] = dataclasses.field(default_factory=list)

    def remarks(self) -> list[str]:
        """A line for every kind of thing that was skipped."""
        lines = []
        if count := self.skipped.total():
            kinds = [f"{n} {kind or 'without one'}" for kind, n in self.skipped.most_common()]
            more = ", …" if len(kinds) > 10 else ""
            lines.append(
                f"{count} {_plural('file', count)} skipped by extension: "
                f"{', '.join(kinds[:10])}{more} (supported: {' '.join(EXTENSIONS)})"
            )
        for paths, thing, why in (
            (self.irregular, "name", "skipped, not a regular file (a dangling link, a pipe, …)"),
            (self.repeated, "link", "not followed, target read under another name"),
            (self.results, "directory", "not read, results of these programs"),
        ):
            if paths:
                lines.append(f"{len(paths)} {_plural(thing, len(paths))} {why}: {first_few(paths)}")
        return lines


def first_few(names: Iterable[str]) -> str:
    """The first few of some names, in their order, for a message."""
    names = sorted(names)
    more = ", …" if len(names) > NAMED else ""
    return ", ".join(map(printable, names[:NAMED])) + more


def find_images(root: str) -> Listing:
    """Lists a directory, local or in a store.

    Args:
        root: the directory, without a trailing slash.

    Raises:
        ValueError: a folder below it cannot be read.
    """
    return _remote(root) if "://" in root else _local(root)


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else "directories" if noun == "directory" else f"{noun}s"


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


@dataclasses.dataclass
class _Folder:
    """The content of one local folder; images with their inode numbers."""

    images: list[tuple[Image, int]] = dataclasses.field(default_factory=list)
    linked_images: list[tuple[Image, int]] = dataclasses.field(default_factory=list)
    folders: list[str] = dataclasses.field(default_factory=list)
    linked_folders: list[str] = dataclasses.field(default_factory=list)
    others: list[str] = dataclasses.field(default_factory=list)
    irregular: list[str] = dataclasses.field(default_factory=list)


def _local(root: str) -> Listing:
    listing = Listing()
    seen = {_identity(root)}
    # A link to one of these leads out of the root and back into it.
    above = set()
    parent = os.path.realpath(root)
    while parent != os.path.dirname(parent):
        parent = os.path.dirname(parent)
        above.add(_identity(parent))

    def not_yet(paths: Iterable[str]) -> list[str]:
        """The folders that have not been read yet; they count as read from now on."""
        fresh = []
        for path in sorted(paths):
            identity = _identity(path)
            if identity in seen or identity in above:
                listing.repeated.append(path)
            else:
                seen.add(identity)
                fresh.append(path)
        return fresh

    images: list[tuple[Image, int]] = []
    linked_images: list[tuple[Image, int]] = []
    folders, links = [root], []
    with concurrent.futures.ThreadPoolExecutor(FOLDERS_LISTED_AT_ONCE) as pool:
        while folders or links:
            if not folders:  # All that is reachable without links has been read.
                folders, links = not_yet(links), []
            within = []
            for path, found in zip(folders, pool.map(_scan, folders), strict=True):
                if _is_own(path, found):
                    if path != root:
                        listing.results.append(path)
                        continue
                    found.images = [
                        each
                        for each in found.images
                        if os.path.basename(each[0].path) not in own_directories.PICTURES
                    ]
                images += found.images
                linked_images += found.linked_images
                within += found.folders
                links += found.linked_folders
                listing.skipped.update(map(_extension, found.others))
                listing.irregular += found.irregular
            folders = not_yet(within)
    if linked_images:
        kept, repeated = _without_repetitions(images, linked_images)
        images += kept
        listing.repeated += repeated
    start = len(root) + 1
    for paths in (listing.repeated, listing.irregular, listing.results):
        paths[:] = [path[start:] for path in paths]
    listing.images = [image._replace(path=image.path[start:]) for image, _ in images]
    return listing


def _scan(folder: str) -> _Folder:
    found = _Folder()
    try:
        entries = os.scandir(folder or "/")
    except OSError as error:
        raise ValueError(f"{printable(folder)} cannot be read: {error.strerror}") from error
    with entries:
        for entry in entries:
            if _is_ignored(entry.name):
                continue
            path = f"{folder}/{entry.name}"
            try:
                is_link = entry.is_symlink()
                if entry.is_dir():
                    (found.linked_folders if is_link else found.folders).append(path)
                elif not entry.is_file():
                    found.irregular.append(path)
                elif _extension(entry.name) not in EXTENSIONS:
                    found.others.append(entry.name)
                else:
                    status = entry.stat()
                    image = Image(path, f"{status.st_size} {status.st_mtime_ns}")
                    (found.linked_images if is_link else found.images).append(
                        (image, status.st_ino)
                    )
            except OSError:  # A cycle of links, or a file that has just been deleted.
                found.irregular.append(path)
    return found


def _is_own(path: str, found: _Folder) -> bool:
    pictures = [os.path.basename(image.path) for image, _ in found.images]
    if own_directories.is_own({*found.others, *pictures}):
        return True
    if f"{path}/plans" not in found.folders:
        return False
    names = [os.path.basename(folder) for folder in found.folders]
    return own_directories.is_study(names, os.listdir(f"{path}/plans"))


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path or "/")
    return status.st_dev, status.st_ino


def _without_repetitions(
    images: list[tuple[Image, int]], linked_images: list[tuple[Image, int]]
) -> tuple[list[tuple[Image, int]], list[str]]:
    """The links to image files that are not listed yet, and the paths of the other links."""
    inodes = {inode for _, inode in linked_images}
    there = collections.defaultdict(list)
    for image, inode in images:
        if inode in inodes:
            there[inode].append(image.path)
    kept, repeated = [], []
    for image, inode in sorted(linked_images):
        if any(os.path.samefile(image.path, other) for other in there[inode]):
            repeated.append(image.path)
        else:
            kept.append((image, inode))
            there[inode].append(image.path)
    return kept, repeated


def _remote(root: str) -> Listing:
    listing = Listing()

    # To ask of every name whether it is a folder would take a request each.
    def is_folder(path: str) -> bool:
        return path.endswith("/") or (
            _extension(path) not in EXTENSIONS and tf.io.gfile.isdir(path)
        )

    def scan(folder: str) -> tuple[list[str], list[str]]:
        folders, files = [], []
        for name in tf.io.gfile.listdir(folder):
            if not _is_ignored(name.rstrip("/")):
                path = f"{folder}/{name}"
                (folders if is_folder(path) else files).append(path.rstrip("/"))
        return folders, files

    folders = [root]
    with concurrent.futures.ThreadPoolExecutor(FOLDERS_LISTED_AT_ONCE) as pool:
        while folders:
            within = []
            for path, (more, files) in zip(folders, pool.map(scan, folders), strict=True):
                if own_directories.is_own({os.path.basename(file) for file in files}):
                    if path != root:
                        listing.results.append(path[len(root) + 1 :])
                        continue
                    files = [
                        f for f in files if os.path.basename(f) not in own_directories.PICTURES
                    ]
                within += more
                for file in files:
                    if _extension(file) in EXTENSIONS:
                        listing.images.append(Image(file[len(root) + 1 :], ""))
                    else:
                        listing.skipped[_extension(file)] += 1
            folders = within
    return listing
