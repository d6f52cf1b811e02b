"""Which images two splits of one data set share: a probe that has seen them measures nothing new.

Told without reading an image wherever that can be done: by the places that the splits take in
their files, else by the images' identifiers.
"""

import bisect
from collections.abc import Iterator, Sequence

from data.records import Records, Span

AT_ONCE = 4096


def shared(training: Records, validation: Records) -> int:
    """How many images of a validation split are among those of a training split.

    A folder's listing is compared, and so are the places in the files of a TFDS data set: both
    take no time to speak of. What these cannot tell (one of ImageNet's own splits beside a part
    in TFDS' notation) takes a pass over the records of both, without decoding them.

    Args:
        training, validation: whole splits of one data set, from one directory.

    Returns:
        From 0 to `validation.size`.
    """
    if training.fingerprint == validation.fingerprint:
        return validation.size
    if training.spans and validation.spans:
        count = _shared_places(training, validation)
        if count is not None:
            return count
        if {training.split, validation.split} == {"train", "val"}:
            return 0  # By their definition, see data/splits.py.
    identifiers = set(_identifiers(training))
    return sum(identifier in identifiers for identifier in _identifiers(validation))


def _shared_places(training: Records, validation: Records) -> int | None:
    """The number where the places say it; None where a split takes a part of its places only."""
    union = _union(training.spans)
    count = sum(_length_within(union, span) for span in validation.spans)
    all_of_training = sum(span.stop - span.start for span in training.spans) == training.size
    places = sum(span.stop - span.start for span in validation.spans)
    if not count:
        return 0
    if all_of_training and count == places:
        return validation.size
    return count if all_of_training and places == validation.size else None


def _union(spans: Sequence[Span]) -> dict[str, list[Span]]:
    """By file spans that do not touch, ascending."""
    files: dict[str, list[Span]] = {}
    for span in sorted(spans):
        merged = files.setdefault(span.file, [])
        if merged and span.start <= merged[-1].stop:
            merged[-1] = merged[-1]._replace(stop=max(merged[-1].stop, span.stop))
        else:
            merged.append(span)
    return files


def _length_within(union: dict[str, list[Span]], span: Span) -> int:
    """How many of a span's places are in a union."""
    there = union.get(span.file, [])
    first = bisect.bisect_right(there, span.start, key=lambda each: each.stop)
    total = 0
    for each in there[first:]:
        if each.start >= span.stop:
            break
        total += min(each.stop, span.stop) - max(each.start, span.start)
    return total


def _identifiers(records: Records) -> Iterator[bytes]:
    for batch in records.entries().map(lambda entry: entry["id"]).batch(AT_ONCE):
        yield from batch.numpy()
