"""The four split names of every data set, defined here and nowhere else.

The paper holds 50 000 random training images of ImageNet out of both pretraining and probing
and reports on them (section 3.3); the official validation set serves only to compare with the
literature. Every data set gets the same four names:

| name       | what it is                                                            |
| ---------- | --------------------------------------------------------------------- |
| `train`    | the official training images without `val`                            |
| `val`      | held out of the official training images                              |
| `trainval` | all official training images                                          |
| `test`     | the official test images, or the official validation images where the |
|            | test labels are not public (ImageNet, Places205)                      |

`val` is 50 000 images, or a tenth of the official training images where that is less. Which ones:

- ImageNet, in any layout, and a folder: the images with the smallest hashes of their names are held
  out (`name_hashes`). ImageNet's images are named by their file names, which all layouts keep, so
  that TFDS, TFRecords and a folder tree hold out the same ones; those of another folder are named
  by their paths below it. A split does not change when a folder is copied, and hardly
  when images are added.
- Any other TensorFlow data set: the first part of its training split, which its builder shuffled
  when it was prepared.

A folder with images for training, validation and test in folders of their own needs none of this:
its `val` is its own validation images, `train` all of its training images and `trainval` both.
"""

from collections.abc import Collection

import numpy as np
import tensorflow as tf

NAMES = ("train", "val", "trainval", "test")
OWN_VALIDATION = 50_000
OFFICIAL_TEST = ("test", "validation", "val")
UNLABELLED_TEST = ("imagenet2012", "places205")
# What folders of images are called, in the order in which they are looked for.
TRAINING_FOLDERS = ("train", "training")
VALIDATION_FOLDERS = ("validation", "val", "valid", "dev")
TEST_FOLDERS = ("test", "testing")


def held_out(training_images: int) -> int:
    """The number of training images that `val` takes out of `training_images`."""
    return min(OWN_VALIDATION, training_images // 10)


def name_hashes(names: tf.Tensor) -> tf.Tensor:
    """A fixed hash of each image's name, which decides whether it is held out.

    Args:
        names: strings, of any shape.

    Returns:
        int64 in [0, 2⁶²), of the same shape. TensorFlow documents that this hash never changes.
    """
    return tf.strings.to_hash_bucket_fast(names, 2**62)


def largest_held_out(hashes_of_training_images: np.ndarray) -> int:
    """The largest hash in `val`: an image is held out if its hash is not above it.

    Args:
        hashes_of_training_images: int64, (images,).

    Returns:
        The `held_out(images)`-th smallest hash; -1 where none is held out.
    """
    count = held_out(len(hashes_of_training_images))
    if not count:
        return -1
    return int(np.partition(hashes_of_training_images, count - 1)[count - 1])


def tfds_split(name: str, dataset: str, sizes: dict[str, int]) -> str:
    """Translates one of our split names into TFDS' notation.

    Args:
        name: one of `NAMES`, or anything in TFDS' own notation, such as `train[:5%]`, which
            passes unchanged.
        dataset: the data set's name, because some have test images without labels.
        sizes: images per official split, by the official split's name.

    Raises:
        ValueError: the data set has no official split that `name` could stand for.
    """
    if name not in NAMES:
        return name
    if name == "test":
        return official_test(dataset, list(sizes))
    if "train" not in sizes:
        raise ValueError(f"{dataset} has no training split; its splits are {', '.join(sizes)}")
    boundary = held_out(sizes["train"])
    return {"train": f"train[{boundary}:]", "val": f"train[:{boundary}]", "trainval": "train"}[name]


def official_test(dataset: str, names: list[str]) -> str:
    """The official split that `test` stands for, among those that a data set has.

    Raises:
        ValueError: there is none.
    """
    for name in OFFICIAL_TEST:
        if name in names and not (name == "test" and dataset in UNLABELLED_TEST):
            return name
    raise ValueError(f"{dataset} has no test split; its splits are {', '.join(names)}")


def official_folders(names: Collection[str], dataset: str = "folder") -> dict[str, str]:
    """Which folders of a directory of images are its official splits.

    Args:
        names: of the folders in the directory.
        dataset: the data set's name, because some have test images without labels.

    Returns:
        `train`, `val` or `test` by the folder's name; nothing where no folder holds the training
        images. Validation images are the test images where there are no others: then `val` is held
        out of the training images.
    """
    train = _first(TRAINING_FOLDERS, names)
    val = _first(VALIDATION_FOLDERS, names)
    test = _first(TEST_FOLDERS, names)
    if train is None or (train.lower() != "train" and not (val or test)):
        return {}  # One called training, and nothing to go with it, may be a class.
    if not test or (val and dataset in UNLABELLED_TEST):
        test, val = val, None
    found = {train: "train", val: "val", test: "test"}
    return {name: part for name, part in found.items() if name}


def _first(wanted: tuple[str, ...], names: Collection[str]) -> str | None:
    """The first of the names wanted, in any case if none is there as it is written here."""
    lower = {name.lower(): name for name in sorted(names, reverse=True)}
    return next((name for name in wanted if name in names), None) or next(
        (lower[name] for name in wanted if name in lower), None
    )
