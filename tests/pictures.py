"""A folder of small images to train and probe on."""

import pathlib

import numpy as np
from PIL import Image


def write_labelled_folder(root: pathlib.Path) -> None:
    """120 small JPEGs of two classes, bright above and bright below, and one broken file."""
    random = np.random.default_rng(0)
    for number in range(120):
        label = ("above", "below")[number % 2]
        pixels = random.integers(0, 100, (40, 48, 3))
        half = slice(0, 20) if label == "above" else slice(20, 40)
        pixels[half] += random.integers(80, 150)
        (root / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(root / label / f"{number:03}.jpg")
    (root / "above" / "broken.jpg").write_bytes(b"not a picture")
