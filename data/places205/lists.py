"""The official lists of Places205: which image belongs to which split and class.

A line of `train_places205.csv` or `val_places205.csv` is `a/abbey/gsun_<32 digits>.jpg 0`. The
lists lie in the manual directory, in a folder `trainvalsplit_places205` there, or still in their
archive.
"""

import re
from collections.abc import Iterable

from etils import epath

from data import archives
from training.regular_files import is_regular

CLASSES = 205
WEBSITE = "http://places.csail.mit.edu"
ARCHIVES = ("trainvalsplit_places205.tar.gz", "trainvalsplit_places205.tar")
LINE = re.compile(r"^\s*/?(.+?)[ \t,;]+(-?[0-9]{1,9})\s*$")


def read(manual_dir: epath.Path, split: str) -> dict[str, int]:
    """The label of each image of a split, by the image's path below `images256/`.

    Args:
        manual_dir: where the downloaded files are.
        split: `train` or `val`.

    Raises:
        ValueError: the list is missing, or a line of it is wrong; says which.
    """
    name = f"{split}_places205.csv"
    for path in (manual_dir / name, manual_dir / "trainvalsplit_places205" / name):
        if path.exists():
            if not is_regular(path):
                raise ValueError(f"{path} is not a regular file: put the list there")
            return _parse(path.read_bytes(), str(path))
    for path in (manual_dir / archive for archive in ARCHIVES):
        if path.exists():
            return _parse(_unpack(path, name), f"{name} in {path}")
    raise ValueError(
        f"{name} is missing: put it, or {ARCHIVES[0]} which holds it, into {manual_dir}; "
        f"it is offered on {WEBSITE}"
    )


def class_names(labels: Iterable[tuple[str, int]]) -> list[str]:
    """A name for each of the 205 classes: its images' folder, `abbey` for `a/abbey/gsun_1.jpg`.

    A class without images, or with images in several folders or in another's, is named by its
    number.
    """
    folders: dict[int, set[str]] = {}
    for path, label in labels:
        below_the_letter = path.split("/")[1:-1] or path.split("/")[:-1]
        folders.setdefault(label, set()).add("/".join(below_the_letter))
    single = {label: next(iter(names)) for label, names in folders.items() if len(names) == 1}
    names = [single.get(label) or str(label) for label in range(CLASSES)]
    return [name if names.count(name) == 1 else str(label) for label, name in enumerate(names)]


def _unpack(path: epath.Path, name: str) -> bytes:
    found = archives.files(path, lambda file: file.rsplit("/", 1)[-1] == name)
    for _, content in list(found):  # A list, because damage is found after the last file.
        return content
    raise ValueError(f"{path} does not hold {name}: download it again from {WEBSITE}")


def _parse(content: bytes, source: str) -> dict[str, int]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{source}, line {line}: this is not UTF-8 text") from error
    labels: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        match = LINE.match(line)
        if not match:
            shown = line.strip()[:80]
            raise ValueError(f"{source}, line {number}: no path and label in {shown!r}")
        path, label = match[1], int(match[2])
        if not 0 <= label < CLASSES:
            raise ValueError(
                f"{source}, line {number}: label {label} is not from 0 to {CLASSES - 1}"
            )
        if path in labels:
            raise ValueError(f"{source}, line {number}: {path} is listed twice")
        labels[path] = label
    if not labels:
        raise ValueError(f"{source} lists no images")
    return labels
