"""A contact sheet of the scenes, one column per class.

Run as `python -m data.scenes.contact_sheet OUT.png`.
"""

import sys

from PIL import Image, ImageDraw, ImageFont

from data.scenes.scene import CLASSES, SIZE, draw

MARGIN = 4
CAPTION = 20


def contact_sheet(rows: int, seed: int = 0, split: str = "train") -> Image.Image:
    """The first `rows` scenes of each class below the class names, RGB."""
    step = SIZE + MARGIN
    sheet = Image.new(
        "RGB", (len(CLASSES) * step + MARGIN, CAPTION + rows * step + MARGIN), "white"
    )
    canvas = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    for column, name in enumerate(CLASSES):
        middle = MARGIN + column * step + SIZE // 2
        canvas.text((middle, CAPTION // 2 + 2), name, fill="black", font=font, anchor="mm")
    for index in range(rows * len(CLASSES)):
        image, label = draw(seed, index, split)
        row = index // len(CLASSES)
        sheet.paste(image, (MARGIN + label * step, CAPTION + MARGIN + row * step))
    return sheet


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m data.scenes.contact_sheet OUT.png")
    contact_sheet(rows=6).save(sys.argv[1])
