"""A directory of the user's own images as a data set.

Any nesting is fine. The sub-folder directly below the root (or below `train/`, `test/`) is an
image's class; images in the root itself have none, and a data set with any such image has no
labels. (Where splits have folders of their own, the test images alone may lack classes.)

If the root holds a folder `train`, that is the official training split, `test` the official test
split and `validation` (or `val`, `valid`, `dev`) the validation split, or the test split where
there is no `test`: see `data.splits.official_folders`. Otherwise a tenth of all images is the test
split, chosen by the hashes of their names, as `val` is from the training images
(`data/splits.py`).

ImageNet's own files are recognised by their names: their id and hash are those of the file name,
and where they are not in a class folder the name gives the class.
"""

import collections
import functools
import hashlib
import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging
from etils import epath

from data import imagenet_names, listing, splits
from data.records import Records
from training.paths import printable

# The part of an image that lies outside the folders of the official splits.
OUTSIDE = "outside"


class _Image(NamedTuple):
    """A file, the split that it belongs to (train, val, test or outside), its class ('': none)."""

    path: str
    stamp: str
    part: str
    label: str


def load(
    split: str,
    data_dir: str,
    dataset: str = "folder",
    class_names: tuple[str, ...] = (),
) -> Records:
    """Lists the images of one split; warns, in a line each, of anything odd about the folder.

    Args:
        split: one of `data.splits.NAMES`, or `all` for every image below `data_dir`.
        data_dir: the root.
        dataset: the data set's name.
        class_names: the classes; by default those found, sorted.

    Raises:
        ValueError: the root does not exist, cannot be read or holds no images, or the split is
            unknown or empty, or an image is of none of the given classes.
    """
    if not data_dir:
        raise ValueError("--dataset=folder needs --data_dir, the directory with the images")
    root = epath.Path(data_dir)
    if not root.is_dir():
        raise ValueError(
            f"--data_dir={data_dir} is not a directory: put your JPEG or PNG files there"
        )
    if split not in (*splits.NAMES, "all"):
        names = ", ".join((*splits.NAMES, "all"))
        raise ValueError(
            f"a folder has no split {split}; it has {names} for --train_split and --val_split"
        )

    root = str(root).rstrip("/")
    found = listing.find_images(root)
    for line in found.remarks():
        _warn(data_dir, line)
    if not found.images:
        kinds = ", ".join(listing.EXTENSIONS)
        raise ValueError(f"no image file below --data_dir={data_dir} (looked for {kinds})")
    top = {image.path.split("/")[0] for image in found.images if "/" in image.path}
    folders = splits.official_folders(top, dataset)
    images = _in_official_splits(_by_hash(found.images), folders)
    chosen = _choose(split, images)
    if not chosen:
        sizes = [f"{name} {len(_choose(name, images))}" for name in (*splits.NAMES, "all")]
        raise ValueError(
            f"split {split} of {data_dir} is empty ({len(images)} images in all): name another "
            f"with --train_split or --val_split ({', '.join(sizes)}), or add images"
        )
    if split != "all":
        _warn_of_images_outside(data_dir, images)
    labels = class_names
    if not class_names:
        counted = [image for image in images if image.part != OUTSIDE or split == "all"]
        labels = _classes(counted, test_may_lack=bool(folders) and split != "test")
        _warn_of_odd_classes(data_dir, counted)
    index = {name: number for number, name in enumerate(labels)}
    if dataset != "folder":
        for image in chosen:
            if image.label not in index:
                raise ValueError(
                    f"{printable(f'{root}/{image.path}')} is in none of {dataset}'s classes: "
                    f"{printable(image.label) or '-'}"
                )

    def entries() -> tf.data.Dataset:
        # As bytes, because a file's name need not be UTF-8.
        return tf.data.Dataset.from_tensor_slices(
            {
                "image": [os.fsencode(f"{root}/{image.path}") for image in chosen],
                "label": tf.constant([index.get(image.label, -1) for image in chosen], tf.int64),
                "id": [_name(image.path) for image in chosen],
            }
        )

    content = hashlib.sha256()
    for image in chosen:
        content.update(os.fsencode(image.path))
        content.update(f"\0{index.get(image.label, -1)}\0{image.stamp}\0".encode())
    return Records(
        dataset=dataset,
        split=split,
        size=len(chosen),
        fingerprint=content.hexdigest(),
        class_names=tuple(map(printable, labels)),
        entries=entries,
        read=tf.io.read_file,
    )


@functools.cache  # Once for all splits of a folder.
def _warn(data_dir: str, line: str) -> None:
    logging.warning("%s: %s", data_dir, line)


def _name(path: str) -> bytes:
    return os.fsencode(imagenet_names.file_name(path) or path)


def _by_hash(images: list[listing.Image]) -> list[listing.Image]:
    """The images in the order of their hashes.

    All splits keep this order: the images of a class are not next to each other, as they are in
    the folder, so that a shuffle of neighbours mixes the classes.
    """
    hashes = splits.name_hashes(tf.constant([_name(image.path) for image in images])).numpy()
    paths = np.array([image.path for image in images], dtype=object)
    return [images[index] for index in np.lexsort((paths, hashes))]


def _in_official_splits(images: list[listing.Image], folders: dict[str, str]) -> list[_Image]:
    if folders:
        return [_in_folder(image, folders) for image in images]
    tests = len(images) // 10
    return [
        _Image(
            *image,
            part="test" if index < tests else "train",
            label=image.path.split("/")[0] if "/" in image.path else "",
        )
        for index, image in enumerate(images)
    ]


def _in_folder(image: listing.Image, folders: dict[str, str]) -> _Image:
    first, *rest = image.path.split("/")
    part = folders.get(first, OUTSIDE)
    if part != OUTSIDE and len(rest) > 1:
        return _Image(*image, part, rest[0])
    return _Image(*image, part, imagenet_names.wordnet_id(image.path) or "")


def _classes(images: list[_Image], test_may_lack: bool) -> tuple[str, ...]:
    """The classes of all images; none if an image has none, other than a test image that may."""
    ignored = "test" if test_may_lack else None
    if any(not image.label and image.part != ignored for image in images):
        return ()
    return tuple(sorted({image.label for image in images if image.label}))


def _choose(split: str, images: list[_Image]) -> list[_Image]:
    """A split's images, in the given order, which is that of the hashes."""
    if split == "all":
        return images
    part = {
        name: [image for image in images if image.part == name] for name in ("train", "val", "test")
    }
    if split == "test":
        return part["test"]
    if part["val"]:
        if split == "trainval":
            return [image for image in images if image.part in ("train", "val")]
        return part[split]
    boundary = splits.held_out(len(part["train"]))
    return {
        "trainval": part["train"],
        "val": part["train"][:boundary],
        "train": part["train"][boundary:],
    }[split]


def _warn_of_images_outside(data_dir: str, images: list[_Image]) -> None:
    outside = [image.path for image in images if image.part == OUTSIDE]
    if outside:
        where = collections.Counter(
            path.split("/")[0] if "/" in path else "the directory itself" for path in outside
        )
        folders = ", ".join(f"{n} in {printable(name)}" for name, n in where.most_common(5))
        more = ", …" if len(where) > 5 else ""
        _warn(
            data_dir,
            f"{len(outside)} of {len(images)} images lie outside the folders of the splits and are "
            f"used only with split all: {folders}{more}",
        )


def _warn_of_odd_classes(data_dir: str, images: list[_Image]) -> None:
    of_part = collections.defaultdict(set)
    for image in images:
        of_part[image.part].add(image.label)
    labels = set().union(*of_part.values())
    unlabelled = [image.path for image in images if not image.label and image.part != "test"]
    if unlabelled and labels != {""}:
        _warn(
            data_dir,
            f"{len(unlabelled)} of {len(images)} images lie in no class folder, so no image has a "
            f"label: {listing.first_few(unlabelled)}",
        )
    for part in ("val", "test"):
        unknown = of_part[part] - of_part["train"] - {""}
        if unknown and of_part["train"] != {""}:
            count = sum(image.part == part and image.label in unknown for image in images)
            _warn(
                data_dir,
                f"{len(unknown)} of the {len(of_part[part])} classes of the {part} images have no "
                f"training images: {listing.first_few(unknown)} ({count} images)",
            )
    by_lower_case = collections.defaultdict(list)
    for label in labels:
        by_lower_case[label.casefold()].append(label)
    for same in by_lower_case.values():
        if len(same) > 1:
            _warn(data_dir, f"classes that differ only in case: {listing.first_few(same)}")
