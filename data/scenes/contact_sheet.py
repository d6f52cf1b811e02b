"""A contact sheet of the scenes, one column per class.

Run as `python -m data.scenes.contact_sheet OUT.png`.
"""

import sys

from PIL import Image

from data.contact_sheet import contact_sheet
from data.scenes.scene import CLASSES, draw


def sheet(rows: int, seed: int = 0, split: str = "train") -> Image.Image:
    """The first `rows` scenes of each class below the class names, RGB."""
    # The classes take turns, so that the scenes in their order fill row after row.
    scenes = [draw(seed, index, split)[0] for index in range(rows * len(CLASSES))]
    return contact_sheet(scenes, len(CLASSES), headings=CLASSES)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m data.scenes.contact_sheet OUT.png")
    sheet(rows=6).save(sys.argv[1])
