"""Where images come from. `load` is the one door."""

from data import builders, folder
from data.records import Records


def load(name: str, split: str, data_dir: str | None = None) -> Records:
    """Opens one split of a data set by name.

    Args:
        name: `folder` (a directory of the user's own images), `scenes` (drawn by this project),
            or the name of a TFDS image-classification data set.
        split: `train`, `val`, `trainval` or `test` (see `data/splits.py`), or what the kind of
            data set allows beyond: `all` for a folder, TFDS' notation for a TFDS data set.
        data_dir: the folder, or the directory in which TFDS keeps its data sets.

    Raises:
        ValueError: one line that says what is wrong with the name, the directory or the split.
    """
    if name == "folder":
        return folder.load(split, data_dir or "")
    return builders.load(name, split, data_dir or None)
