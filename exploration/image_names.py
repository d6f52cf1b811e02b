"""What the images explored are called, and which split they are of."""

import dataclasses
import difflib
import os

import numpy as np

import data
from data.records import Records
from training.paths import printable

AT_ONCE = 4096
# A folder's split that holds the images of all others.
WHOLE = "all"


@dataclasses.dataclass(frozen=True)
class ImageNames:
    """A name, a split and a label for each of a split's records, in their order.

    Attributes:
        paths: of a folder the path below `--data_dir`; of other data sets the image's id. Bytes
            that are not UTF-8 are shown as �.
        splits: the split's name, or, where all of a folder is explored, which of its splits an
            image is of; `-` for those outside of them.
        labels: int64, (N,); -1 for an image without one.
    """

    paths: list[str]
    splits: list[str]
    labels: np.ndarray


def read(records: Records, data_dir: str | None) -> ImageNames:
    """Takes a pass over a split's records, without decoding them."""
    identifiers, labels = _identifiers_and_labels(records)
    of_splits = dict.fromkeys(identifiers, records.split)
    if records.dataset == "folder" and records.split == WHOLE:
        of_splits = dict.fromkeys(identifiers, "-")
        for name in ("train", "val", "test"):
            try:
                part = data.load(records.dataset, name, data_dir)
            except ValueError:  # Which is empty.
                continue
            of_splits |= dict.fromkeys(_identifiers_and_labels(part)[0], name)
    return ImageNames(
        paths=[printable(each) for each in identifiers],
        splits=[of_splits[each] for each in identifiers],
        labels=labels,
    )


def _identifiers_and_labels(records: Records) -> tuple[list[bytes], np.ndarray]:
    batches = records.entries().map(lambda entry: (entry["id"], entry["label"])).batch(AT_ONCE)
    found = [(names.numpy(), labels.numpy()) for names, labels in batches]
    identifiers = [name for names, _ in found for name in names]
    return identifiers, np.concatenate([labels for _, labels in found]).astype(np.int64)


def find(queries: tuple[str, ...], names: ImageNames) -> list[int]:
    """The records that `--queries` names, each by its path or by the end of it.

    Raises:
        ValueError: there is none of that name, or more than one.
    """
    found = []
    for query in queries:
        wanted = os.path.normpath(query)
        matches = [n for n, path in enumerate(names.paths) if path == wanted] or [
            n for n, path in enumerate(names.paths) if f"/{path}".endswith(f"/{wanted}")
        ]
        # A path as a shell completes it: from the current directory.
        matches = matches or [
            n for n, path in enumerate(names.paths) if f"/{wanted}".endswith(f"/{path}")
        ]
        if not matches:
            near = difflib.get_close_matches(wanted, names.paths, n=1)
            raise ValueError(
                f"--queries: there is no image {query}"
                + (f", did you mean {near[0]}?" if near else "")
                + f" the images are named by their paths below --data_dir, such as {names.paths[0]}"
            )
        if len(matches) > 1:
            raise ValueError(
                f"--queries: {len(matches)} images are called {query}, such as "
                f"{names.paths[matches[0]]} and {names.paths[matches[1]]}: give more of the path"
            )
        found.append(matches[0])
    return found


def without_missing_labels(records: Records, names: ImageNames) -> Records:
    """The same images; as images without labels where any lacks one, or all have the same."""
    if records.num_classes > 1 and names.labels.min() >= 0:
        return records
    return dataclasses.replace(records, class_names=())
