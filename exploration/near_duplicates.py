"""Pairs of images that are nearer to each other than any two different ones would be by chance.

How near that is, random pairs of the data tell. Images whose features lie on a surface of m
dimensions have r^m as many others within r times the distance, so the share of random pairs below a
distance (1 - cosine) is a power of it for small ones. The power is taken from the nearest 1 % and
0.1 % of random pairs and continued to the distance below which a tenth of a pair is expected among
all: pairs nearer than that are more alike than chance explains. Two that are each other's nearest
are left out of the random pairs, because they may be what is looked for.
"""

import dataclasses

import numpy as np

RANDOM_PAIRS = 500_000
ROWS_AT_ONCE = 2048
SHARES = (0.01, 0.001)
EXPECTED = 0.1


@dataclasses.dataclass(frozen=True)
class NearDuplicates:
    """What was found.

    Attributes:
        pairs: rows, (count, 2), the lower one first; the nearest pair first.
        cosines: float32, (count,).
        threshold: the cosine above which pairs count.
        median: the cosine of a random pair that half of them have at least.
    """

    pairs: np.ndarray
    cosines: np.ndarray
    threshold: float
    median: float


def find(
    features: np.ndarray, cosines: np.ndarray, nearest: np.ndarray, seed: int
) -> NearDuplicates:
    """Near-duplicates among images and their nearest neighbours.

    Args:
        features: of a layer, (N, D), float16 or float32, in memory or a memory map.
        cosines, nearest: of the nearest others of all images, as `neighbours.of_rows` gives them.
        seed: of the random pairs.
    """
    random_cosines = _random_cosines(features, nearest, seed)
    threshold = _threshold(random_cosines, len(features))
    # Where all images are alike, no pair is more so.
    rows, places = np.nonzero((cosines > threshold) & (threshold < 1))
    pairs = np.sort(np.stack([rows, nearest[rows, places]], axis=1), axis=1)
    pairs, first = np.unique(pairs.reshape(-1, 2), axis=0, return_index=True)
    found = cosines[rows, places][first]
    order = np.argsort(-found, kind="stable")
    return NearDuplicates(
        pairs[order],
        found[order],
        threshold,
        float(np.median(random_cosines)) if len(random_cosines) else 1.0,
    )


def _random_cosines(features: np.ndarray, nearest: np.ndarray, seed: int) -> np.ndarray:
    """Cosines of random pairs of images that are not each other's nearest: float32, (pairs,)."""
    random = np.random.default_rng(seed)
    # All pairs of some images: as many as are wanted, of features that are read once.
    count = min(len(features), ROWS_AT_ONCE)
    rows = np.sort(random.choice(len(features), count, replace=False))
    directions = features[rows].astype(np.float32)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions /= np.where(lengths > 0, lengths, 1)
    first, second = np.triu_indices(count, 1)
    closest = nearest[rows, 0]
    mutual = (closest[first] == rows[second]) & (closest[second] == rows[first])
    cosines = (directions @ directions.T)[first, second][~mutual]
    if len(cosines) > RANDOM_PAIRS:
        cosines = random.choice(cosines, RANDOM_PAIRS, replace=False)
    return cosines


def _threshold(random_cosines: np.ndarray, rows: int) -> float:
    """The cosine above which 0.1 of all pairs of images are expected by chance; see above."""
    if not len(random_cosines):
        return 1.0
    distances = 1 - random_cosines.astype(np.float64)
    near, nearest = np.quantile(distances, SHARES)
    rounding = 4 * np.finfo(np.float32).eps
    if near <= rounding:
        return 1.0
    nearest = max(nearest, rounding)
    power = np.log(SHARES[0] / SHARES[1]) / np.log(near / nearest) if near > nearest else np.inf
    share = EXPECTED * 2 / (rows * (rows - 1))
    distance = nearest * min(share / SHARES[1], 1) ** (1 / power)
    return float(1 - max(distance, rounding))
