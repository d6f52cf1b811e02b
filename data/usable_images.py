"""The images of a split one after the other, outside of a pipeline: which of them can be used.

By this a run is refused before it begins, and an image that has been mended is found, without what
a pipeline takes to be traced.
"""

from collections.abc import Iterator

import tensorflow as tf

from data.images import View
from data.records import Record, Records
from data.unreadable import UnreadableImages
from training.error_lines import reason

# How many images are tried to find one that can be used.
TRIED = 32


@tf.autograph.experimental.do_not_convert
def check_first(records: Records, view: View) -> None:
    """Fails early where every image of a split would fail.

    Raises:
        ValueError: none of the first images can be used.
    """
    unreadable = UnreadableImages()
    if first_usable(records.entries().take(TRIED), records, view, unreadable) is None:
        raise ValueError(
            f"none of the first {len(unreadable.reasons)} images of split {records.split} of "
            f"{records.dataset} can be used; {unreadable.summary()}"
        )


@tf.autograph.experimental.do_not_convert
def usable(records: Records, view: View, unreadable: UnreadableImages) -> Iterator[bool]:
    """Whether the images of a split can be used, one after the other; notes those that cannot."""
    for found in one_by_one(records.entries(), records, view, unreadable):
        yield found is not None


def first_usable(
    entries: tf.data.Dataset, records: Records, view: View, unreadable: UnreadableImages
) -> tuple[tf.Tensor, Record] | None:
    """A view of the first of some entries that can be read, and the entry; notes the others."""
    return next(filter(None, one_by_one(entries, records, view, unreadable)), None)


def one_by_one(
    entries: tf.data.Dataset, records: Records, view: View, unreadable: UnreadableImages
) -> Iterator[tuple[tf.Tensor, Record] | None]:
    """A view of every entry with the entry; None for one that cannot be read, which is noted."""
    for entry in entries:
        try:
            yield view_alone(entry["image"], records, view), entry
        except (tf.errors.OpError, ValueError) as error:
            name = entry["id"].numpy().decode(errors="replace")
            unreadable.reasons[name] = reason(error)
            yield None


def view_alone(image: tf.Tensor, records: Records, view: View) -> tf.Tensor:
    """The view of one image, as an entry of the records holds it; raises where there is none."""
    return view(records.read(image), tf.constant([0, 0], tf.int64))
