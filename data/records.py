"""One split of a data set: its images, still encoded, in a fixed order."""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

Record = dict[str, tf.Tensor]


class Span(NamedTuple):
    """Consecutive records of a file, counted from 0: from `start` up to, not including, `stop`."""

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
            known without reading the images.
        class_names: a name per class; empty if the images have no labels.
        entries: makes a `tf.data.Dataset` of the split, always in the same order, with cheap
            elements that can be shuffled: `{"image": encoded bytes or a path, "label": int64
            (-1 without labels), "id": string}`. The id of an image never changes: random choices
            are keyed by it, and unreadable images are reported by it.
        read: turns an element's `image` into encoded bytes (the identity where it holds them).
        spans: ranges of the files' records that contain the split's, where they are known without
            reading them; longer than the split if it takes only a part of them.
        damage: reads the split's files and names the first that is damaged; empty if all are
            intact. Called after an error while records were read.
    """

    dataset: str
    split: str
    size: int
    fingerprint: str
    class_names: tuple[str, ...]
    entries: Callable[[], tf.data.Dataset]
    read: Callable[[tf.Tensor], tf.Tensor]
    spans: tuple[Span, ...] = ()
    damage: Callable[[], str] = lambda: ""

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Inside, an error of TensorFlow that a damaged file leads to is a ValueError naming it."""
        try:
            yield
        except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
            if problem := self.damage():
                raise ValueError(problem) from error
            raise
        except tf.errors.InvalidArgumentError as error:
            if wrong_label := re.search(r"a label in split .* is not from 0 to \d+", str(error)):
                raise ValueError(wrong_label[0]) from error
            # Errors of parsing an example; anything else is not the files' fault.
            if re.search("Feature: |Key: |parse", str(error)) and (problem := self.damage()):
                raise ValueError(problem) from error
            raise


def chosen(records: Records, which: np.ndarray, name: str) -> Records:
    """Some of a split's records, in their order.

    Args:
        records: the split.
        which: bool, (records.size,).
        name: tells these from others of the split.
    """

    def entries() -> tf.data.Dataset:
        numbered = records.entries().enumerate()
        return numbered.filter(lambda number, _: tf.gather(which, number)).map(
            lambda _, entry: entry
        )

    return dataclasses.replace(
        records,
        size=int(np.count_nonzero(which)),
        fingerprint=f"{records.fingerprint}/{name}",
        entries=entries,
    )


def drawn(records: Records, count: int, seed: int) -> tuple[Records, np.ndarray]:
    """At most `count` of a split's records, drawn by the seed, in their order.

    Returns:
        The records, and which of the split they are, int64, ascending.
    """
    if records.size <= count:
        return records, np.arange(records.size)
    which = np.zeros(records.size, bool)
    which[np.random.default_rng(seed).choice(records.size, count, replace=False)] = True
    return chosen(records, which, f"{count} of seed {seed}"), np.flatnonzero(which)
