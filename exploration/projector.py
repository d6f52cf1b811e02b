"""The files of TensorBoard's embedding projector: `tensorboard --logdir=DIRECTORY`."""

import numpy as np
from etils import epath
from PIL import Image

from exploration import thumbnails
from training.error_lines import writing
from training.run_directory import write_whole

SIDE = 50  # pixels of an image in the sprite
LARGEST_SPRITE = 8192  # pixels a side that browsers draw


def write(
    features: np.ndarray,
    pictures: list[Image.Image],
    columns: dict[str, list[str]],
    name: str,
    directory: epath.Path,
) -> None:
    """Writes vectors, metadata, the sprite of thumbnails and the configuration that names them.

    Args:
        features: (N, D), N at most 26 569, of which the sprite has room.
        pictures: a thumbnail for each.
        columns: of the metadata: by heading a text for each.
        name: of the tensor.
        directory: is created.
    """
    directory.mkdir(parents=True, exist_ok=True)
    vectors = "\n".join("\t".join(f"{value:.5g}" for value in row) for row in features.tolist())
    write_whole(directory / "vectors.tsv", vectors + "\n")
    # One column has no heading.
    rows = list(zip(*columns.values(), strict=True))
    lines = ["\t".join(columns)] * (len(columns) > 1) + ["\t".join(map(_cell, row)) for row in rows]
    write_whole(directory / "metadata.tsv", "\n".join(lines) + "\n")
    a_side = int(np.ceil(np.sqrt(len(pictures))))
    sprite = Image.new("RGB", (a_side * SIDE, a_side * SIDE), "white")
    for number, picture in enumerate(pictures):
        place = (number % a_side * SIDE, number // a_side * SIDE)
        sprite.paste(picture.resize((SIDE, SIDE)), place)
    with writing(directory / "sprite.jpg"):
        (directory / "sprite.jpg").write_bytes(thumbnails.jpeg(sprite))
    configuration = (
        "embeddings {\n"
        f'  tensor_name: "{_cell(name)}"\n'
        '  tensor_path: "vectors.tsv"\n'
        '  metadata_path: "metadata.tsv"\n'
        "  sprite {\n"
        '    image_path: "sprite.jpg"\n'
        f"    single_image_dim: {SIDE}\n"
        f"    single_image_dim: {SIDE}\n"
        "  }\n"
        "}\n"
    )
    write_whole(directory / "projector_config.pbtxt", configuration)


def _cell(text: str) -> str:
    """A text on one line and in one column."""
    return " ".join(text.replace('"', "'").replace("\\", "/").split()) or "-"
