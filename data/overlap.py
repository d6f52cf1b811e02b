"""How many images two splits of a data set share: accuracy on these is not on unseen images.

Found without reading an image wherever possible: from the records of its files that each split
consists of, else from the images' ids.
"""

import bisect
from collections.abc import Iterator, Sequence

from data.records import Records, Span

AT_ONCE = 4096


def shared(training: Records, validation: Records) -> int:
    """How many images of a validation split are among those of a training split.

    Comparing the listings of a folder, or the ranges of records of a TFDS data set, takes next to
    no time. Where that does not decide (one of ImageNet's own splits and a part in TFDS' notation),
    it takes a pass over the records of both, without decoding them.

    Args:
        training, validation: whole splits of one data set, from one directory.

    Returns:
        The number, from 0 to `validation.size`.
    """
    if training.fingerprint == validation.fingerprint:
        return validation.size
    if training.spans and validation.spans:
        count = _shared_by_spans(training, validation)
        if count is not None:
            return count
        if {training.split, validation.split} == {"train", "val"}:
            return 0  # By their definition, see data/splits.py.
    identifiers = set(_identifiers(training))
    return sum(identifier in identifiers for identifier in _identifiers(validation))


def _shared_by_spans(training: Records, validation: Records) -> int | None:
    """The number, as far as the spans decide; None where a split takes only a part of its spans."""
    union = _union(training.spans)
    count = sum(_length_within(union, span) for span in validation.spans)
    all_of_training = sum(span.stop - span.start for span in training.spans) == training.size
    spanned = sum(span.stop - span.start for span in validation.spans)
    if not count:
        return 0
    if all_of_training and count == spanned:
        return validation.size
    return count if all_of_training and spanned == validation.size else None


def _union(spans: Sequence[Span]) -> dict[str, list[Span]]:
    """By file, the union as ascending spans that do not touch."""
    files: dict[str, list[Span]] = {}
    for span in sorted(spans):
        merged = files.setdefault(span.file, [])
        if merged and span.start <= merged[-1].stop:
            merged[-1] = merged[-1]._replace(stop=max(merged[-1].stop, span.stop))
        else:
            merged.append(span)
    return files


def _length_within(union: dict[str, list[Span]], span: Span) -> int:
    """How many of a span's records are in a union."""
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
