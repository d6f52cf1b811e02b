"""A grid of small pictures as one image."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

MARGIN = 4
HEADING, HEADING_FONT = 20, 14
CAPTION, CAPTION_FONT = 13, 10


def contact_sheet(
    pictures: Sequence[Image.Image],
    columns: int,
    headings: Sequence[str] = (),
    captions: Sequence[str] = (),
) -> Image.Image:
    """Arranges pictures of one size in a grid, row by row.

    Args:
        pictures: at least one.
        columns: pictures in a row.
        headings: text above each column; none if empty.
        captions: text below each picture, cut to its width; none if empty.

    Returns:
        An RGB image.
    """
    width, height = pictures[0].size
    step_x, step_y = width + MARGIN, height + MARGIN + (CAPTION if captions else 0)
    top = (HEADING if headings else 0) + MARGIN
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * step_x + MARGIN, top + rows * step_y), "white")
    canvas = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=HEADING_FONT)
    for column, text in enumerate(headings):
        middle = MARGIN + column * step_x + width // 2
        canvas.text((middle, HEADING // 2 + 2), text, fill="black", font=font, anchor="mm")
    font = ImageFont.load_default(size=CAPTION_FONT)
    for index, picture in enumerate(pictures):
        x, y = MARGIN + index % columns * step_x, top + index // columns * step_y
        sheet.paste(picture, (x, y))
        if captions:
            text = captions[index]
            while text and font.getlength(text) > width:
                text = text[:-1]
            middle = (x + width // 2, y + height + CAPTION // 2)
            canvas.text(middle, text, fill="black", font=font, anchor="mm")
    return sheet
