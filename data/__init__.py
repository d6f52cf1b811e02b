"""Where images come from; `load` opens any data set."""

# First, because `python -m data.prepare` imports this before the program can.
from training import quiet  # noqa: F401, I001

from data import builders, folder, imagenet
from data.records import Records
from training import paths


def load(name: str, split: str, data_dir: str | None = None) -> Records:
    """Opens one split of a data set by name.

    Args:
        name: `folder` (a directory of the user's own images), `imagenet2012` (in any of three
            layouts, see `data/imagenet.py`), `places205` and `scenes` (which this project brings),
            or the name of a TFDS image-classification data set.
        split: `train`, `val`, `trainval` or `test` (see `data/splits.py`), or what that kind of
            data set allows besides: `all` for a folder, TFDS' notation for a TFDS data set.
        data_dir: the folder, ImageNet's directory, or the one in which TFDS keeps its data sets.

    Raises:
        ValueError: one line that says what is wrong with the name, the directory or the split.
    """
    data_dir = paths.from_flag(data_dir or "", "data_dir")
    if name == "folder":
        return folder.load(split, data_dir)
    if name.split(":")[0] == imagenet.NAME:
        return imagenet.load(name, split, data_dir or None)
    return builders.load(name, split, data_dir or None)
