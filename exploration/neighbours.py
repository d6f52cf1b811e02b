"""Nearest neighbours of a few images: what a layer takes for similar, beside an untrained one."""

import numpy as np
from PIL import Image

from data.contact_sheet import contact_sheet
from evaluate import neighbours
from exploration import thumbnails

SHOWN = 8
QUERIES = 12


def queries(positions: np.ndarray, named: list[int], seed: int) -> np.ndarray:
    """The rows whose neighbours are shown.

    Args:
        positions: which record each row is, (N,), sorted.
        named: records that the user named; a dozen are drawn by the seed if there are none.
        seed: of the draw.

    Raises:
        ValueError: a named image could not be read.
    """
    if not named:
        count = min(QUERIES, len(positions))
        return np.sort(np.random.default_rng(seed).choice(len(positions), count, replace=False))
    missing = np.setdiff1d(named, positions)
    if len(missing):
        raise ValueError(
            f"--queries: {len(missing)} of the {len(named)} images named cannot be read"
        )
    return np.searchsorted(positions, named)


def of_rows(features: np.ndarray, rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other images of some of them, by cosine.

    Args:
        features: of a layer, (N, D), float16 or float32, in memory or a memory map.
        rows: (M,), of the images whose neighbours are wanted.
        count: how many; N - 1 where there are fewer.

    Returns:
        Cosines, float32, and rows of the neighbours, each (M, count), the nearest first.
    """
    count = min(count, len(features) - 1)
    wanted = features if len(rows) == len(features) else features[rows]
    cosines, found = neighbours.nearest(features, wanted, count + 1)
    # Of equal images another one may come before the image itself.
    is_self = found == rows[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    shape = (len(rows), count)
    return cosines[~is_self].reshape(shape), found[~is_self].reshape(shape)


def purity(
    features: np.ndarray, labels: np.ndarray, rows: np.ndarray, count: int = 10
) -> np.ndarray:
    """Of some images the share of their nearest others that have the same label: (M,) in [0, 1]."""
    _, found = of_rows(features, rows, count)
    return (labels[found] == labels[rows][:, None]).mean(axis=1)


def sheet(
    pictures: dict[int, Image.Image],
    images: np.ndarray,
    network: np.ndarray,
    untrained: np.ndarray | None,
) -> Image.Image:
    """A row for every query: the image, its neighbours, and those by the untrained network.

    Args:
        pictures: thumbnails by row.
        images: rows of the queries, (M,).
        network: rows of the nearest, (M, count).
        untrained: of the same shape; None without such a network.
    """
    count = network.shape[1]
    headings = ["image", *(["nearest"] + [str(n) for n in range(2, count + 1)])[:count]]
    columns = [images[:, None], network]
    if untrained is not None:
        headings += ["", *(["untrained"] + [str(n) for n in range(2, count + 1)])[:count]]
        columns += [np.full_like(images[:, None], -1), untrained]
    cells = np.concatenate(columns, axis=1)
    shown = [pictures[row] if row >= 0 else thumbnails.blank() for row in cells.ravel().tolist()]
    return contact_sheet(shown, len(headings), headings)
