"""A grid of small pictures as one image, and the file that it is written to."""

import io
import os
from collections.abc import Sequence

import tensorflow as tf
from etils import epath
from PIL import Image, ImageDraw, ImageFont

from training.error_lines import reason
from training.regular_files import is_regular

MARGIN = 4
HEADING, HEADING_FONT = 20, 14
CAPTION, CAPTION_FONT = 13, 10


def contact_sheet(
    pictures: Sequence[Image.Image],
    columns: int,
    headings: Sequence[str] = (),
    captions: Sequence[str] = (),
    colours: Sequence[str] = (),
    title: str = "",
) -> Image.Image:
    """Arranges pictures of one size in a grid, row by row.

    Args:
        pictures: at least one.
        columns: pictures in a row.
        headings: text above each column; none if empty.
        captions: text below each picture, in one line or more, cut to its width; none if empty.
        colours: of the captions; black if empty.
        title: a line above all, cut to the sheet's width; none if empty.

    Returns:
        An RGB image.
    """
    width, height = pictures[0].size
    lines = max((text.count("\n") + 1 for text in captions), default=0)
    step_x, step_y = width + MARGIN, height + MARGIN + lines * CAPTION
    above = HEADING if title else 0
    top = above + (HEADING if headings else 0) + MARGIN
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * step_x + MARGIN, top + rows * step_y), "white")
    canvas = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=HEADING_FONT)
    if title:
        text = _cut(title, sheet.width - 2 * MARGIN, font)
        canvas.text((MARGIN, HEADING // 2 + 2), text, fill="black", font=font, anchor="lm")
    for column, text in enumerate(headings):
        middle = MARGIN + column * step_x + width // 2
        canvas.text((middle, above + HEADING // 2 + 2), text, fill="black", font=font, anchor="mm")
    font = ImageFont.load_default(size=CAPTION_FONT)
    for index, picture in enumerate(pictures):
        x, y = MARGIN + index % columns * step_x, top + index // columns * step_y
        sheet.paste(picture, (x, y))
        colour = colours[index] if colours else "black"
        for line, text in enumerate(captions[index].split("\n") if captions else ()):
            middle = (x + width // 2, y + height + CAPTION // 2 + line * CAPTION)
            text = _cut(text, width, font)
            canvas.text(middle, text, fill=colour, font=font, anchor="mm")
    return sheet


def stacked(sheets: Sequence[Image.Image]) -> Image.Image:
    """Sheets one below the other, RGB."""
    height = sum(sheet.height for sheet in sheets)
    whole = Image.new("RGB", (max(sheet.width for sheet in sheets), height), "white")
    y = 0
    for sheet in sheets:
        whole.paste(sheet, (0, y))
        y += sheet.height
    return whole


def output_path(name: str, flag: str, images: str | None = None) -> epath.Path:
    """The path of a sheet that a flag names, checked before anything is computed for it.

    Args:
        name: the PNG.
        flag: for errors.
        images: a folder of images to which the sheet must not be added.

    Raises:
        ValueError: it could not be written there, or would become an image of the folder.
    """
    try:
        path = epath.Path(name)
        if path.exists() and not is_regular(path):
            raise ValueError("something that is not a file is in its place")
        above = next(folder for folder in path.parents if folder.exists())
        if not above.is_dir():
            raise ValueError(f"{above} is not a directory")
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"--{flag}={name} cannot be written: {reason(error)}") from error
    if images and _is_below(path, images):
        raise ValueError(
            f"{path} would become an image of the data set: give another path, --{flag}=…"
        )
    return path


def write(sheet: Image.Image, path: epath.Path, flag: str) -> None:
    """Writes a sheet as a PNG.

    Raises:
        ValueError: it could not be written; names the flag.
    """
    encoded = io.BytesIO()
    sheet.save(encoded, format="PNG")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded.getvalue())
    except (OSError, tf.errors.OpError) as error:
        raise ValueError(f"--{flag}={path} cannot be written: {reason(error)}") from error


def _is_below(path: epath.Path, directory: str) -> bool:
    """Whether a path lies in a directory or in a folder of it."""
    root = os.fspath(epath.Path(directory).resolve()).rstrip("/") + "/"
    return os.fspath(path.resolve()).startswith(root)


def _cut(text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    """The beginning of a text that fits into so many pixels."""
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text
