"""Which part of a split each of several machines extracts, and where it keeps it.

A part is as many consecutive batches as the others have, so that a batch is of the same images, and
its rows have the same bits, as on one machine; and all parts' rows, one after the other, are the
rows of the split. A split of fewer batches than machines leaves some of them without any.
"""

import dataclasses

from absl import logging
from etils import epath

from data.records import Records
from training.between_workers import Workers


@dataclasses.dataclass(frozen=True)
class SplitPart:
    """Consecutive records of a split, counted from 0: from `first` up to, not including, `stop`."""

    first: int
    stop: int

    @property
    def size(self) -> int:
        """The number of records."""
        return self.stop - self.first


def part_of(split_size: int, batch_size: int, workers: Workers) -> SplitPart:
    """This worker's part of a split.

    Args:
        split_size: the number of its records.
        batch_size: images per forward pass of one worker.
        workers: of whom this is one.
    """
    batches = -(-split_size // batch_size)
    first, stop = (
        min(batches * index // workers.count * batch_size, split_size)
        for index in (workers.index, workers.index + 1)
    )
    return SplitPart(first, stop)


def records_of(records: Records, part: SplitPart) -> Records:
    """A part of a split's records."""
    if part.size == records.size:
        return records
    return dataclasses.replace(
        records,
        size=part.size,
        entries=lambda: records.entries().skip(part.first).take(part.size),
    )


def directory_of(directory: epath.Path, workers: Workers) -> epath.Path:
    """Where this worker keeps its part of a split; on a shared disk, no two in one place.

    Args:
        directory: of the split; the directory itself where there is one worker.
        workers: of whom this is one.
    """
    if workers.count == 1:
        return directory
    return directory / f"part-{workers.index}-of-{workers.count}"


def warn_of_others(directory: epath.Path, workers: Workers) -> None:
    """Says so where another number of workers has extracted the split before."""
    counts = {path.parent.name.rpartition("-")[2] for path in directory.glob("part-*/header.json")}
    if (directory / "header.json").exists():
        counts.add("1")
    if others := sorted(counts - {str(workers.count)}):
        logging.warning(
            "%s holds representations that another number of workers extracted (%s, now %d): this "
            "run starts over beside them; delete them if they are no longer needed",
            directory,
            ", ".join(others),
            workers.count,
        )
