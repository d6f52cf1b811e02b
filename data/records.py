"""What a data set hands over: one split's images, still encoded, in a fixed order."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

Record = dict[str, tf.Tensor]


class Span(NamedTuple):
    """Consecutive records of a file, counted from 0: those from `start` to before `stop`."""

    file: str
    start: int
    stop: int


@dataclasses.dataclass(frozen=True)
class Records:
    """One split of a data set.

    Attributes:
        dataset: the data set's name.
        split: the split's name.
        size: the number of records.
        fingerprint: differs where the images, their labels or their order differ, as far as can be
            told without reading the images.
        class_names: a name per class; empty if the images have no labels.
        entries: makes a `tf.data.Dataset` of the split, always in the same order, with cheap
            elements that can be shuffled: `{"image": encoded bytes or a path, "label": int64
            (-1 without labels), "id": string}`. The id names the image for good: random choices
            are keyed by it, and unreadable images are reported by it.
        read: turns an element's `image` into encoded bytes (the identity where it holds them).
        spans: the places among which the records are in their files, where that is known without
            reading them; as many as there are records, or more if the split takes a part of them.
    """

    dataset: str
    split: str
    size: int
    fingerprint: str
    class_names: tuple[str, ...]
    entries: Callable[[], tf.data.Dataset]
    read: Callable[[tf.Tensor], tf.Tensor]
    spans: tuple[Span, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)
