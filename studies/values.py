"""The values that a plan may give: numbers in their ranges, and names that exist."""

import difflib
import math
import re
from collections.abc import Callable, Iterable

from studies.cost.network import NAMES as ARCHITECTURES

# Known without importing TensorFlow, which takes seconds; a test compares them with the programs'.
TASKS = ("rotation", "exemplar", "jigsaw", "relative_patch_location", "supervised")
PROBES = ("lbfgs", "knn", "sgd", "mlp")
KNOWN = {"task": TASKS, "architecture": ARCHITECTURES, "probe": PROBES}

LARGEST_SEED = 2**32 - 1


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A conversion that raises a ValueError for anything but a whole number in this range."""

    def convert(text: str) -> int:
        # Of more digits than that Python refuses to make a number.
        number = int(text) if text.isdecimal() and len(text) < 100 else -1
        if not least <= number <= most:
            raise ValueError(f"{text} is not a whole number of at least {least} and at most {most}")
        return number

    return convert


def fraction(text: str) -> float:
    """A share of the labels, more than 0 and at most 1."""
    number = _number(text)
    if not 0 < number <= 1:
        raise ValueError(f"{text} is not a share of the labels, more than 0 and at most 1")
    return number


def learning_rate(text: str) -> float:
    """A learning rate, more than 0 and at most 1000."""
    number = _number(text)
    if not 0 < number <= 1000:
        raise ValueError(f"{text} is not a learning rate, more than 0 and at most 1000")
    return number


def name(text: str) -> str:
    """A name that may become part of a directory's."""
    if not re.fullmatch(r"[\w+.:/-]+", text) or ".." in text or text[0] in "./-":
        raise ValueError(f"{text!r} is not a name: use letters, digits and _ - + .")
    return text


def nearest(wrong: str, known: Iterable[str]) -> str:
    """The end of a message about a name that does not exist."""
    names = list(known)
    close = difflib.get_close_matches(wrong, names, 1)
    if close:
        return f"did you mean {close[0]}?"
    return f"use one of {', '.join(names)}" if names else "nothing of the kind is there"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
