"""A directory of the user's own images as a data set.

Any nesting is fine. The sub-folder right below the root (or below `train/`, `test/`) is an
image's class; images that lie in the root itself have none, and a data set that has any such
image has no labels.

If the root holds a folder `train`, that is the official training split, and `test`,
`validation` or `val` is the official test split. Otherwise a tenth of all images, chosen by the
hash of their path, is the test split. `val` is chosen out of the training images by the same hash,
so a split does not change when the folder is copied, and hardly when images are added.
"""

import hashlib

import tensorflow as tf
from etils import epath

from data import splits
from data.records import Records

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")


def load(split: str, data_dir: str) -> Records:
    """Lists the images of one split.

    Args:
        split: one of `data.splits.NAMES`, or `all` for every image below `data_dir`.
        data_dir: the root.

    Raises:
        ValueError: the root does not exist, holds no images, or the split is unknown or empty.
    """
    if not data_dir:
        raise ValueError("--dataset=folder needs --data_dir, the directory with the images")
    root = epath.Path(data_dir)
    if not root.is_dir():
        raise ValueError(f"{data_dir} is no directory: put your JPEG or PNG files there")
    if split not in (*splits.NAMES, "all"):
        names = ", ".join((*splits.NAMES, "all"))
        raise ValueError(f"a folder has no split {split}; it has {names}")

    paths = _images_below(root)
    if not paths:
        raise ValueError(f"no image file below {data_dir} (looked for {', '.join(EXTENSIONS)})")
    official = _official_splits(paths)
    class_names = _class_names([label for *_, label in official])
    chosen = _choose(split, official)
    if not chosen:
        raise ValueError(f"split {split} of {data_dir} is empty ({len(paths)} images in all)")
    index = {name: number for number, name in enumerate(class_names)}

    def entries() -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(
            {
                "image": [str(root / path) for path, _ in chosen],
                "label": tf.constant([index.get(label, -1) for _, label in chosen], tf.int64),
                "id": [path for path, _ in chosen],
            }
        )

    return Records(
        dataset="folder",
        split=split,
        size=len(chosen),
        fingerprint=hashlib.sha256("\n".join(path for path, _ in chosen).encode()).hexdigest(),
        class_names=class_names,
        entries=entries,
        read=tf.io.read_file,
    )


def _images_below(root: epath.Path) -> list[str]:
    """Paths of all image files relative to the root, sorted."""
    prefix = str(root).rstrip("/") + "/"
    found = []
    for folder, _, files in tf.io.gfile.walk(str(root)):
        for file in files:
            if file.lower().endswith(EXTENSIONS) and not file.startswith("."):
                found.append(f"{folder.rstrip('/')}/{file}".removeprefix(prefix))
    return sorted(found)


def _official_splits(paths: list[str]) -> list[tuple[str, str, str]]:
    """For each image its path, its official split (train or test) and its class ('' for none)."""
    top = {path.split("/")[0] for path in paths if "/" in path}
    test = next((name for name in splits.OFFICIAL_TEST if name in top), None)
    if "train" in top:
        result = []
        for path in paths:
            first, *rest = path.split("/")
            if first in ("train", test):
                label = rest[0] if len(rest) > 1 else ""
                result.append((path, "train" if first == "train" else "test", label))
        return result
    chosen_for_test = set(_by_hash(paths)[: len(paths) // 10])
    return [
        (
            path,
            "test" if path in chosen_for_test else "train",
            path.split("/")[0] if "/" in path else "",
        )
        for path in paths
    ]


def _class_names(labels: list[str]) -> tuple[str, ...]:
    return () if "" in labels else tuple(sorted(set(labels)))


def _choose(split: str, official: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    if split == "all":
        return [(path, label) for path, _, label in official]
    if split == "test":
        return [(path, label) for path, part, label in official if part == "test"]
    training = {path: label for path, part, label in official if part == "train"}
    if split == "trainval":
        return list(training.items())
    validation = set(_by_hash(list(training))[: splits.held_out(len(training))])
    return [
        (path, label)
        for path, label in training.items()
        if (path in validation) == (split == "val")
    ]


def _by_hash(paths: list[str]) -> list[str]:
    return sorted(paths, key=lambda path: hashlib.sha256(path.encode()).digest())
