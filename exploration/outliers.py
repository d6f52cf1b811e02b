"""Images that resemble no others: those with the smallest mean cosine to their nearest ones."""

import numpy as np

NEIGHBOURS = 10


def rank(cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All images, the loneliest first.

    Args:
        cosines: of the nearest others of every image, (N, count).

    Returns:
        Rows, (N,), and their mean cosine to the nearest, (N,).
    """
    means = cosines.mean(axis=1)
    order = np.argsort(means, kind="stable")
    return order, means[order]
