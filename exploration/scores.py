"""How good a layer is as far as can be told without labels, beside the same network untrained."""

import dataclasses

import numpy as np

from evaluate.label_free import label_free_scores
from evaluate.neighbour_stability import recognised
from exploration import neighbours

RESAMPLES = 10_000
CONFIDENCE = 0.95
# Fewer cannot show a difference of ten per cent.
ENOUGH_IMAGES = 100


@dataclasses.dataclass(frozen=True)
class LayerScores:
    """A layer's scores.

    Attributes:
        features: how many.
        effective_rank, first_ten_variance: as in `evaluate.label_free`, of a sample.
        recognised: of the sample's images, whether `evaluate.neighbour_stability` recognises
            them, bool, (M,).
        purity: of the same images the share of their ten nearest others with their label, (M,);
            None without labels.
    """

    features: int
    effective_rank: float
    first_ten_variance: float
    recognised: np.ndarray
    purity: np.ndarray | None

    @property
    def stability(self) -> float:
        """The share of images recognised in another view."""
        return float(self.recognised.mean())


def measure(
    features: np.ndarray,
    views: tuple[np.ndarray, np.ndarray],
    labels: np.ndarray | None,
    rows: np.ndarray,
    seed: int,
) -> LayerScores:
    """The scores of a layer.

    Args:
        features: of all images, (N, D), float16 or float32, in memory or a memory map.
        views: of two random views of a sample, each (M, D).
        labels: of all images, (N,); None without labels.
        rows: the sample's rows of `features`, (M,).
        seed: of the images that stand for a large sample where there are many features.
    """
    label_free = label_free_scores(np.ascontiguousarray(features[rows]), seed)
    return LayerScores(
        features=features.shape[1],
        effective_rank=label_free.effective_rank,
        first_ten_variance=label_free.first_ten_variance,
        recognised=recognised(*views),
        purity=None if labels is None else neighbours.purity(features, labels, rows),
    )


@dataclasses.dataclass(frozen=True)
class Difference:
    """A mean difference between two networks on the same images, and an interval of it."""

    mean: float
    low: float
    high: float


def difference(
    network: np.ndarray, untrained: np.ndarray, seed: int, comparisons: int = 1
) -> Difference:
    """The paired bootstrap's percentile interval over images.

    Args:
        network, untrained: a value for every image, (M,), in the same order.
        seed: of the resampling.
        comparisons: how many intervals are to contain their values together with 95 % probability
            (Bonferroni).
    """
    values, counts = np.unique(
        network.astype(np.float64) - untrained.astype(np.float64), return_counts=True
    )
    total = counts.sum()
    resampled = np.random.default_rng(seed).multinomial(total, counts / total, RESAMPLES)
    tail = (1 - CONFIDENCE) / 2 / comparisons
    low, high = np.quantile(resampled @ values / total, [tail, 1 - tail])
    return Difference(float(values @ counts / total), float(low), float(high))
