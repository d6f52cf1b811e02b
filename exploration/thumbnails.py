"""Small pictures of the images explored, as the network sees them, and pictures made of those."""

import base64
import io

import numpy as np
from PIL import Image

from data import pipeline
from data.images import CentralCrop
from data.records import Records, chosen
from evaluate.representations import ExtractOptions

SIDE = 72  # pixels
BATCH_SIZE = 64
JPEG_QUALITY = 88


def make(
    records: Records, positions: np.ndarray, rows: np.ndarray, options: ExtractOptions
) -> dict[int, Image.Image]:
    """Thumbnails of some images: what the network gets of them, in small.

    Args:
        records: all images.
        positions: which record each row of the representations is, (N,).
        rows: of the images wanted, sorted, each once.
        options: `resize_size` and `crop_size` are those of the representations.

    Returns:
        Square pictures by row; a blank one for an image that cannot be read any more.
    """
    which = np.zeros(records.size, bool)
    which[positions[rows]] = True
    batches = pipeline.evaluation_batches(
        chosen(records, which, "thumbnails"),
        CentralCrop(options.resize_size, options.crop_size),
        batch_size=BATCH_SIZE,
    )
    pictures = []
    for batch in batches:
        for image, valid in zip(batch["image"].numpy(), batch["valid"].numpy(), strict=True):
            pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
            pictures.append(Image.fromarray(pixels).resize((SIDE, SIDE)) if valid else blank())
    # The last batch is filled up.
    return dict(zip(rows.tolist(), pictures, strict=False))


def blank() -> Image.Image:
    """A white thumbnail."""
    return Image.new("RGB", (SIDE, SIDE), "white")


def side_by_side(pictures: list[Image.Image], gap: int = 4) -> Image.Image:
    """Thumbnails in a row."""
    row = Image.new("RGB", (len(pictures) * (SIDE + gap) - gap, SIDE), "white")
    for number, picture in enumerate(pictures):
        row.paste(picture, (number * (SIDE + gap), 0))
    return row


def data_uri(picture: Image.Image) -> str:
    """A picture as an address that a page can hold, so that it needs no other file."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(picture)).decode()}"


def jpeg(picture: Image.Image) -> bytes:
    """An encoded picture."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
