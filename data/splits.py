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

`val` is 50 000 images, or a tenth of the official training images where that is less. For a
TensorFlow data set it is the first part of its training split, which the builder shuffled when
it was prepared; for a folder, see `data/folder.py`.
"""

NAMES = ("train", "val", "trainval", "test")
OWN_VALIDATION = 50_000
OFFICIAL_TEST = ("test", "validation", "val")
UNLABELLED_TEST = ("imagenet2012", "places205")


def held_out(training_images: int) -> int:
    """The number of training images that `val` takes out of `training_images`."""
    return min(OWN_VALIDATION, training_images // 10)


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
        official = [
            split
            for split in OFFICIAL_TEST
            if split in sizes and not (split == "test" and dataset in UNLABELLED_TEST)
        ]
        if not official:
            raise ValueError(f"{dataset} has no test split; its splits are {', '.join(sizes)}")
        return official[0]
    if "train" not in sizes:
        raise ValueError(f"{dataset} has no training split; its splits are {', '.join(sizes)}")
    boundary = held_out(sizes["train"])
    return {"train": f"train[{boundary}:]", "val": f"train[:{boundary}]", "trainval": "train"}[name]
