"""Examples of a pretext task as people look at them: pixels to show, what is right, the answer.

A task turns what its `views` returned into `Tile`s, and its network's output into `Answers`;
`pretext.sheets` arranges them. What the network sees is shown with one fixed scale for every
picture, never stretched to a picture's own range, so that a missing or a repeated normalisation can
be seen.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

# Of standardised pixels: what is further from their mean is shown as black or white.
DEVIATIONS = 2.5
GAP, BORDER = 2, 5  # white pixels between the pictures of a board, and around them
EMPTY = 235  # the grey of a place without a picture


class Tile(NamedTuple):
    """A picture, uint8, (H, W, 3), and the text below it, of one line or more."""

    picture: np.ndarray
    caption: str


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a network makes of a batch's examples.

    Attributes:
        right: (examples,) booleans.
        confidence: (examples,) floats; a mistake is the worse the larger it is.
        captions: (examples,) texts of one line, with the probability or what stands for it.
        beside: (examples, n) numbers of other examples that an answer compares the example with.
    """

    right: np.ndarray
    confidence: np.ndarray
    captions: Sequence[str]
    beside: np.ndarray


def of_softmax(targets: np.ndarray, logits: np.ndarray, named: Callable[[int], str]) -> Answers:
    """The answers of a task that ends in a softmax.

    Args:
        targets: (examples,) integers.
        logits: (examples, classes).
        named: the name of a class.
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probability = (shifted / shifted.sum(axis=-1, keepdims=True)).max(axis=-1)
    answers = logits.argmax(axis=-1)
    captions = [
        f"{named(answer)}, {share:.0%}" for answer, share in zip(answers, probability, strict=True)
    ]
    return Answers(answers == targets, probability, captions, np.zeros((len(targets), 0), int))


def from_signed(image: np.ndarray) -> np.ndarray:
    """Pixels to show of an image in [-1, 1]."""
    return _pixels((image + 1.0) / 2.0)


def from_standardised(image: np.ndarray) -> np.ndarray:
    """Pixels to show of an image of mean 0 and deviation 1: the mean is medium grey."""
    return _pixels(image / (2.0 * DEVIATIONS) + 0.5)


def board(pictures: Sequence[np.ndarray | None], per_side: int) -> np.ndarray:
    """Square pictures to show, in reading order on a square board; None is an empty place."""
    size = next(picture.shape[0] for picture in pictures if picture is not None)
    side = per_side * (size + GAP) - GAP + 2 * BORDER
    result = np.full((side, side, 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        y, x = (BORDER + index * (size + GAP) for index in divmod(place, per_side))
        result[y : y + size, x : x + size] = EMPTY if picture is None else picture
    return result


def beside(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures to show, of one size, beside each other."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.concatenate(parts[1:], axis=1)


def _pixels(image: np.ndarray) -> np.ndarray:
    return np.round(255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)
