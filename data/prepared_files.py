"""Whether the record files of a prepared TFDS data set are as TFDS wrote them."""

import itertools

import tensorflow_datasets as tfds

from data import record_files

# What a TFRecord adds to its data: 8 bytes of length, and a checksum of 4 after each.
FRAME = 16


def check(builder: tfds.core.DatasetBuilder, split: str) -> None:
    """Verifies the files of a split; reads them only where their sizes are wrong.

    Args:
        builder: the builder of a prepared data set.
        split: in TFDS' notation.

    Raises:
        ValueError: a file is missing, damaged or not a regular file, or the split takes an image
            twice; says which.
    """
    used: dict[str, list[tuple[int, int]]] = {}
    for part in builder.info.splits[split].file_instructions:
        used.setdefault(str(part.filename), []).append((part.skip, part.skip + part.take))
    for ranges in used.values():
        ordered = sorted(ranges)
        overlap = any(next_[0] < one[1] for one, next_ in itertools.pairwise(ordered))
        if overlap or any(end < start for start, end in ordered):
            raise ValueError(
                f"split {split} of {builder.name} takes images twice, or ends before it begins: "
                "give another --train_split or --val_split"
            )
    for official in builder.info.splits.values():
        paths = [str(path) for path in official.filepaths]
        if used.keys().isdisjoint(paths):
            continue
        sizes = [stat.length for stat in record_files.stats(paths)]
        if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
            continue
        if sum(sizes) != official.num_bytes + FRAME * official.num_examples:
            problem = record_files.damage(paths, counts=list(official.shard_lengths))
            if problem:
                raise ValueError(problem)


def damage(builder: tfds.core.DatasetBuilder, split: str) -> str:
    """Reads all files of a split: the first that is damaged, and why; empty if all are intact."""
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        return ""
    used = {str(part.filename) for part in builder.info.splits[split].file_instructions}
    as_stored = {"image": tfds.decode.SkipDecoding()}
    return record_files.damage(
        sorted(used),
        lambda example: builder.info.features.deserialize_example(example, decoders=as_stored),
    )
