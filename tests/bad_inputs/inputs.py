"""What the trials are made of: small folders of images, networks, and ways to damage files."""

import pathlib

import numpy as np
from PIL import Image

TRAIN = (
    "--architecture=vgg19_bn",
    "--widening_factor=1",
    "--resize_size=36",
    "--crop_size=32",
    "--augmentation=crop",
    "--batch_size=8",
    "--epochs=1",
    "--warmup_epochs=0",
    "--data_dir={tmp}/images",
    "--workdir={tmp}/run",
)


def images(root: pathlib.Path, count: int = 40, classes: tuple[str, ...] = ("a", "b")) -> None:
    """JPEGs of 40×48, round robin over the classes; `.` for none."""
    random = np.random.default_rng(0)
    for number in range(count):
        folder = root / "images" / classes[number % len(classes)]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.jpg")
