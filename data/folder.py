"""A directory of the user's own images as a data set.

Any nesting is fine. The sub-folder right below the root (or below `train/`, `test/`) is an
image's class; images that lie in the root itself have none, and a data set that has any such
image has no labels.

If the root holds a folder `train`, that is the official training split, and `test`,
`validation` or `val` is the official test split. Otherwise a tenth of all images is the test split,
chosen by lot as `val` is chosen out of the training images (`data/splits.py`).

ImageNet's own files are known by their names: that is what they are called and draw their lots
by, and where they lie in no class's folder their name says the class.
"""

import concurrent.futures
import hashlib

import numpy as np
import tensorflow as tf
from etils import epath

from data import imagenet_names, splits
from data.records import Records

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
FOLDERS_LISTED_AT_ONCE = 16


def load(
    split: str,
    data_dir: str,
    dataset: str = "folder",
    class_names: tuple[str, ...] = (),
) -> Records:
    """Lists the images of one split.

    Args:
        split: one of `data.splits.NAMES`, or `all` for every image below `data_dir`.
        data_dir: the root.
        dataset: what the data set is called.
        class_names: the classes; those that are there, sorted, if not given.

    Raises:
        ValueError: the root does not exist, holds no images, or the split is unknown or empty, or
            an image has none of the given classes.
    """
    if not data_dir:
        raise ValueError("--dataset=folder needs --data_dir, the directory with the images")
    root = epath.Path(data_dir)
    if not root.is_dir():
        raise ValueError(f"{data_dir} is no directory: put your JPEG or PNG files there")
    if split not in (*splits.NAMES, "all"):
        names = ", ".join((*splits.NAMES, "all"))
        raise ValueError(f"a folder has no split {split}; it has {names}")

    paths = _images_below(str(root).rstrip("/"))
    if not paths:
        raise ValueError(f"no image file below {data_dir} (looked for {', '.join(EXTENSIONS)})")
    official = _official_splits(_by_lot(paths))
    class_names = class_names or _class_names([label for *_, label in official])
    chosen = _choose(split, official)
    if not chosen:
        raise ValueError(f"split {split} of {data_dir} is empty ({len(paths)} images in all)")
    index = {name: number for number, name in enumerate(class_names)}
    if dataset != "folder":
        for path, label in chosen:
            if label not in index:
                raise ValueError(f"{root / path} is in none of {dataset}'s classes: {label or '-'}")

    def entries() -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(
            {
                "image": [str(root / path) for path, _ in chosen],
                "label": tf.constant([index.get(label, -1) for _, label in chosen], tf.int64),
                "id": [_name(path) for path, _ in chosen],
            }
        )

    listing = "\n".join(f"{path} {index.get(label, -1)}" for path, label in chosen)
    return Records(
        dataset=dataset,
        split=split,
        size=len(chosen),
        fingerprint=hashlib.sha256(listing.encode()).hexdigest(),
        class_names=class_names,
        entries=entries,
        read=tf.io.read_file,
    )


def _images_below(root: str) -> list[str]:
    """Paths of all image files relative to the root, in any order."""
    # Asking for every name whether it is a folder would take a request each at a remote store.
    local = "://" not in root

    def is_folder(path: str) -> bool:
        if not local and path.lower().endswith(EXTENSIONS):
            return False
        return path.endswith("/") or tf.io.gfile.isdir(path)

    def listing(folder: str) -> tuple[list[str], list[str]]:
        folders, files = [], []
        for name in tf.io.gfile.listdir(folder):
            path = f"{folder}/{name}"
            if is_folder(path):
                folders.append(path.rstrip("/"))
            elif name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                files.append(path.removeprefix(f"{root}/"))
        return folders, files

    found, folders = [], [root]
    with concurrent.futures.ThreadPoolExecutor(FOLDERS_LISTED_AT_ONCE) as pool:
        while folders:
            listings = list(pool.map(listing, folders))
            folders = [folder for more, _ in listings for folder in more]
            found += [path for _, files in listings for path in files]
    return found


def _name(path: str) -> str:
    return imagenet_names.file_name(path) or path


def _by_lot(paths: list[str]) -> list[str]:
    """The paths in the order of their lots.

    All splits keep this order: the images of a class are not next to each other, as they are in
    the folder, so that a shuffle of neighbours mixes the classes.
    """
    lots = splits.lots(tf.constant([_name(path) for path in paths])).numpy()
    paths = np.array(paths, dtype=object)
    return paths[np.lexsort((paths, lots))].tolist()


def _official_splits(paths: list[str]) -> list[tuple[str, str, str]]:
    """For each image its path, its official split (train or test) and its class ('' for none)."""
    top = {path.split("/")[0] for path in paths if "/" in path}
    test = next((name for name in splits.OFFICIAL_TEST if name in top), None)
    if "train" in top:
        result = []
        for path in paths:
            first, *rest = path.split("/")
            if first in ("train", test):
                label = rest[0] if len(rest) > 1 else imagenet_names.wordnet_id(path) or ""
                result.append((path, "train" if first == "train" else "test", label))
        return result
    tests = len(paths) // 10
    return [
        (
            path,
            "test" if place < tests else "train",
            path.split("/")[0] if "/" in path else "",
        )
        for place, path in enumerate(paths)
    ]


def _class_names(labels: list[str]) -> tuple[str, ...]:
    return () if "" in labels else tuple(sorted(set(labels)))


def _choose(split: str, official: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Paths and classes of a split's images, in the given order, which is that of the lots."""
    if split == "all":
        return [(path, label) for path, _, label in official]
    if split == "test":
        return [(path, label) for path, part, label in official if part == "test"]
    training = [(path, label) for path, part, label in official if part == "train"]
    boundary = splits.held_out(len(training))
    return {
        "trainval": training,
        "val": training[:boundary],
        "train": training[boundary:],
    }[split]
