"""Few labels: a subset of the training split that is the same for every layer and every model.

The paper probes with 10 % and 5 % of the labels (section 4.6). A subset here is balanced: as
many images of every class, as far as the classes have that many. It depends on the labels, the seed
and the images' positions in the split, not on a model or a probe, and contains every smaller one of
the same seed. The fifth on which a penalty is chosen is drawn here too.
"""

import dataclasses

import numpy as np

from data.records import Records, chosen
from training import between_workers
from training.between_workers import Workers

LABELS_AT_ONCE = 4096


def subset(
    labels: np.ndarray,
    fraction: float,
    seed: int,
    positions: np.ndarray | None = None,
    workers: Workers = between_workers.ALONE,
) -> np.ndarray:
    """The rows of a balanced, seeded subset of a split.

    A random number for every position in the split orders the images of a class. The first
    image of every class comes first, then all the second ones, and so on; equal ones by their
    random number. The subset is the beginning of this order: so numbers per class differ by
    at most one, except for classes with too few images, which contribute all of them.

    Args:
        labels: (N,), integers.
        fraction: of the N examples, above 0 and at most 1; rounded, but at least one example of
            every class present.
        seed: of the random numbers.
        positions: (N,), the examples' positions in the split, for splits of which not every
            record has a row: an image that cannot be read then changes the subset by one or two
            images, not altogether. By default 0 … N - 1.
        workers: each has a part of the labels and gets its own rows of the subset, which does not
            depend on how many they are.

    Returns:
        Rows, sorted, int64.

    Raises:
        ValueError: the fraction is not in (0, 1].
    """
    check_fraction(fraction)
    labels = np.asarray(labels)
    own_rows = len(labels)
    labels = workers.concatenate(labels)
    positions = np.arange(len(labels)) if positions is None else workers.concatenate(positions)
    draws = np.random.default_rng(seed).random(int(positions.max()) + 1)[positions]
    by_class = np.lexsort((draws, labels))
    classes, starts, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
    ranks = np.empty(len(labels), np.int64)
    ranks[by_class] = np.arange(len(labels)) - np.repeat(starts, counts)
    count = max(round(fraction * len(labels)), len(classes))
    drawn = np.zeros(len(labels), bool)
    drawn[np.lexsort((draws, ranks))[:count]] = True
    return np.flatnonzero(workers.own(drawn, own_rows))


def records_part(records: Records, fraction: float, seed: int) -> Records:
    """The same subset of a split whose images have not been read, as `subset` draws it of rows.

    Takes a pass over the split's records for their labels, without decoding them, unless the
    fraction is 1. Images that turn out to be unreadable are drawn like others.

    Raises:
        ValueError: the fraction is not in (0, 1].
    """
    check_fraction(fraction)
    if fraction == 1:
        return records
    labels = labels_of(records)
    positions = subset(labels, fraction, seed)
    which = np.zeros(len(labels), bool)
    which[positions] = True
    return chosen(records, which, f"{fraction:g} of seed {seed}")


def labels_of(records: Records) -> np.ndarray:
    """The labels of a split: (N,), int64. Takes a pass over its records, without decoding them."""
    batches = records.entries().map(lambda entry: entry["label"]).batch(LABELS_AT_ONCE)
    return np.concatenate([batch.numpy() for batch in batches])


def held_out_fifth(labels: np.ndarray, seed: int) -> np.ndarray:
    """1 for a fifth of the examples of every class and 0 for the others: (N,), float32.

    Raises:
        ValueError: there are fewer than 5 examples.
    """
    if len(labels) < 5:
        raise ValueError(
            f"Choosing the penalty on a held-out fifth needs 5 examples, there are {len(labels)}: "
            "give a number instead, such as --l2=1e-3."
        )
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held_out = np.zeros(len(labels), np.float32)
    held_out[by_class[2::5]] = 1
    return held_out


def check_fraction(fraction: float) -> None:
    """Raises a ValueError for an invalid fraction of the training split."""
    if not 0 < fraction <= 1:
        raise ValueError(f"--train_fraction={fraction:g}: use a number above 0 and at most 1")


def choose(features: np.ndarray, rows: np.ndarray) -> "np.ndarray | ChosenRows":
    """Some rows of (N, D) features, sorted; the features themselves where these are all."""
    return features if len(rows) == len(features) else ChosenRows(features, rows)


@dataclasses.dataclass(frozen=True)
class ChosenRows:
    """Some rows of (N, D) features, read on demand and never copied as a whole.

    A block of rows is gathered each time that it is read. At ImageNet's size this costs less than
    the block's products, and a tenth of the features as float16 would be 2 GB.

    Attributes:
        features: an array or a memory map, (N, D).
        rows: which rows, (M,).
    """

    features: np.ndarray
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self.features.shape[1]

    @property
    def ndim(self) -> int:
        return 2

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.features.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        """A copy of some of the rows, by a slice or by indices: (R, D)."""
        return self.features[self.rows[which]]
