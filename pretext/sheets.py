"""What a task shows its network, and what the network answers, as one picture each.

`batch_sheet` is the `task.png` of every run, made of the first training batch by the task's own
`views`; `answers_sheet` is what `python -m pretext.preview` draws of a trained network.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image

from data.contact_sheet import contact_sheet, stacked
from pretext.task import Batch, PretextTask
from pretext.tiles import Answers, Tile, beside

TILES = 32  # of a batch
PER_IMAGE = 8  # examples shown of an image
ANSWERS, MISTAKES = 16, 16
COLUMNS = 8
# Pixels of a picture's sides: smaller ones are enlarged, pixel by pixel, and larger ones reduced.
SMALLEST, LARGEST = 120, 256
RIGHT, WRONG = "#137333", "#c5221f"

# From a batch to what `PretextTask.views` makes of it, and the network's logits for that.
Ask = Callable[[Batch], tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]]


def batch_sheet(task: PretextTask, batch: Batch) -> Image.Image:
    """The first images of a training batch as they enter the network, with what is right.

    Args:
        task: the pretext task.
        batch: as `data.pipeline.training_batches` gives it.

    Returns:
        An RGB image; the examples of an image lie side by side.
    """
    per_image = _views(task, batch, 1)[1].size
    shown = min(per_image, PER_IMAGE)
    images = min(len(batch["image"]), max(1, TILES // shown))
    inputs, targets = _views(task, batch, images)
    tiles = []
    for image in range(images):
        tiles += task.overview(inputs, image)
        for example in range(image * per_image, image * per_image + shown):
            tiles.append(task.tile(inputs, targets, example))
    views = inputs["images"]
    title = (
        f"{task.name}: training images as the network sees them, {views.shape[1]} by "
        f"{views.shape[2]} pixels with values from {views.min():.2g} to {views.max():.2g}"
    )
    per_row = len(tiles) // images
    columns = per_row * max(1, COLUMNS // per_row)
    return _sheet(tiles, columns, title)


def _views(
    task: PretextTask, batch: Batch, images: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What the task makes of the first images, on the host whatever device trains."""
    with tf.device("CPU"):
        some = {name: tf.constant(value[:images].numpy()) for name, value in batch.items()}
        inputs, targets = task.views(some, training=True)
    return _numpy(inputs), targets.numpy()


class Answered(NamedTuple):
    """An example with the network's answer."""

    tile: Tile
    right: bool
    confidence: float


def answers_sheet(task: PretextTask, ask: Ask, batches: Iterable[Batch], of: str) -> Image.Image:
    """Answers to an example of each of the first images, and the most confident mistakes.

    Args:
        task: the pretext task.
        ask: gives views, targets and logits of a batch.
        batches: as `data.pipeline.evaluation_batches` gives them.
        of: what the images are, for the title.

    Returns:
        An RGB image.

    Raises:
        ValueError: no image can be used.
    """
    some: list[Answered] = []
    mistakes: list[Answered] = []
    images = examples = right = 0
    for batch in batches:
        inputs, targets, logits = ask(batch)
        inputs, targets = _numpy(inputs), targets.numpy()
        answers = task.answers(targets, logits.numpy())
        valid = batch["valid"].numpy() > 0
        per_image = len(answers.right) // len(valid)
        for image in np.flatnonzero(valid):
            own = np.arange(image * per_image, (image + 1) * per_image)
            if len(some) < ANSWERS:  # The examples take turns: the four turns of rotation, say.
                some.append(_answered(task, inputs, targets, answers, own[images % per_image]))
            wrong = own[~answers.right[own]]
            if len(wrong):
                worst = wrong[answers.confidence[wrong].argmax()]
                mistakes.append(_answered(task, inputs, targets, answers, worst))
            images += 1
            examples += per_image
            right += per_image - len(wrong)
        mistakes = sorted(mistakes, key=lambda each: -each.confidence)[:MISTAKES]
    if not images:
        raise ValueError(f"no image of {of} can be used")
    sheets = [
        _sheet(
            [each.tile for each in some],
            COLUMNS,
            f"{task.name}: answers on {images:,} images of {of}, {right / examples:.1%} of "
            f"{examples:,} right (chance {task.chance:.3g}); below: what is right, the answer",
            [RIGHT if each.right else WRONG for each in some],
        )
    ]
    if mistakes:
        tiles = [each.tile for each in mistakes]
        title = "the most confident mistakes, at most one of an image"
        sheets.append(_sheet(tiles, COLUMNS, title, [WRONG] * len(tiles)))
    return stacked(sheets)


def _answered(
    task: PretextTask,
    inputs: dict[str, np.ndarray],
    targets: np.ndarray,
    answers: Answers,
    example: int,
) -> Answered:
    numbers = [example, *answers.beside[example]]
    tiles = [task.tile(inputs, targets, number) for number in numbers]
    caption = f"{tiles[0].caption}\n{answers.captions[example]}"
    picture = beside([tile.picture for tile in tiles])
    return Answered(
        Tile(picture, caption), bool(answers.right[example]), float(answers.confidence[example])
    )


def _sheet(
    tiles: Sequence[Tile], columns: int, title: str, colours: Sequence[str] = ()
) -> Image.Image:
    """A grid of tiles of one size, at a size that can be looked at."""
    height, width = tiles[0].picture.shape[:2]
    pictures = [Image.fromarray(tile.picture) for tile in tiles]
    if height < SMALLEST:
        factor = -(-SMALLEST // height)
        size, method = (width * factor, height * factor), Image.Resampling.NEAREST
    else:
        factor = max(1.0, height / LARGEST)
        size, method = (round(width / factor), round(height / factor)), Image.Resampling.BOX
    pictures = [picture.resize(size, method) for picture in pictures]
    captions = [tile.caption for tile in tiles]
    return contact_sheet(pictures, columns, captions=captions, colours=colours, title=title)


def _numpy(tensors: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in tensors.items()}
