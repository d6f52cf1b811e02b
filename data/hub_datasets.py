"""What a data set is called on model hubs, whose ids are those of huggingface.co/datasets."""

# By the names that TFDS has for them; what else TFDS has is not known to be the same there.
IDS = {
    "beans": "AI-Lab-Makerere/beans",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "cats_vs_dogs": "microsoft/cats_vs_dogs",
    "eurosat": "timm/eurosat-rgb",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "food101": "ethz/food101",
    "imagenet2012": "ILSVRC/imagenet-1k",
    "mnist": "ylecun/mnist",
    "oxford_iiit_pet": "timm/oxford-iiit-pet",
    "svhn_cropped": "ufldl-stanford/svhn",
}
# The hubs' word for somebody's own folder, which says nothing of it.
FOLDER = "imagefolder"


def identifier(dataset: str) -> str | None:
    """The id of a data set by its name in `--dataset`; None if it is not known, or is private."""
    return IDS.get(_base(dataset))


def described(dataset: str, split: str) -> dict[str, str]:
    """A data set as the entry `dataset` of a result in a model index.

    Args:
        dataset: the name in `--dataset`.
        split: the images that were measured.
    """
    if dataset == "folder":
        return {"type": FOLDER, "name": "a folder of images", "split": split}
    return {"type": identifier(dataset) or _base(dataset), "name": dataset, "split": split}


def _base(dataset: str) -> str:
    """A name without TFDS' configuration and version."""
    return dataset.split("/")[0].split(":")[0]
