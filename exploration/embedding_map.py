"""Two-dimensional maps of a layer, with the images at their places.

PCA of all images keeps large distances, t-SNE (L. van der Maaten and G. Hinton, *Visualizing Data
using t-SNE*, JMLR 2008) of a sample keeps neighbourhoods: in the latter, neither the distances
between groups nor their sizes mean anything. Rows are scaled to length 1 first, so that both show
what cosines tell.
"""

import colorsys

import numpy as np
from PIL import Image, ImageDraw

from evaluate.features import RowBlocks, directions

COMPONENTS = 50
# Images from which the principal directions are computed, and of which t-SNE makes its map.
FITTED_TO, MAPPED = 5000, 2500
PERPLEXITY, ITERATIONS = 30, 1000
# Of up to so many images all forces are computed, of more those of groups far away together.
EXACT = 200
SIDE, MARGIN, THUMBNAIL, FRAME = 1400, 24, 40, 3


def principal_components(features: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Projections of all images on the strongest directions of at most 5000 drawn ones.

    Args:
        features: (N, D), N > 1, float16 or float32, in memory or a memory map.
        seed: of the draw and of the randomised decomposition.

    Returns:
        float32, (N, min(50, N - 1, D)), and the share of the variance that each of them has.
    """
    from sklearn.decomposition import PCA  # Here, because it takes a second to import.

    rows = drawn(len(features), FITTED_TO, seed)
    sample = directions(features[rows]).numpy()
    count = min(COMPONENTS, len(sample) - 1, sample.shape[1])
    pca = PCA(count, svd_solver="randomized", random_state=seed).fit(sample)
    blocks = RowBlocks(features)
    projected = [pca.transform(directions(blocks.read(*rows)).numpy()) for rows in blocks.ranges()]
    return np.concatenate(projected).astype(np.float32), np.nan_to_num(
        pca.explained_variance_ratio_
    )


def t_sne(components: np.ndarray, seed: int) -> np.ndarray | None:
    """A map of images, (N, 2), from their principal components; None of fewer than five."""
    from sklearn.manifold import TSNE

    if len(components) < 5:
        return None
    perplexity = min(PERPLEXITY, (len(components) - 1) / 3)
    start = "random"
    if components.shape[1] > 1:
        start = 1e-4 * components[:, :2] / (components[:, 0].std() or 1)
    t_sne = TSNE(
        2,
        perplexity=perplexity,
        init=start,
        max_iter=ITERATIONS,
        method="exact" if len(components) <= EXACT else "barnes_hut",
        random_state=seed,
    )
    return t_sne.fit_transform(components)


def drawn(rows: int, count: int, seed: int) -> np.ndarray:
    """At most so many rows, drawn by the seed: sorted."""
    return np.sort(np.random.default_rng(seed).choice(rows, min(count, rows), replace=False))


def class_colours(count: int) -> list[tuple[int, int, int]]:
    """A colour for every class: hues around the circle, neighbours of different brightness."""
    return [
        tuple(
            round(255 * part) for part in colorsys.hsv_to_rgb(n / count, 0.8, (0.95, 0.65)[n % 2])
        )
        for n in range(count)
    ]


def draw(
    places: np.ndarray,
    pictures: dict[int, Image.Image],
    labels: np.ndarray | None = None,
    colours: list[tuple[int, int, int]] | None = None,
) -> Image.Image:
    """A map: a dot for every image, and thumbnails where they do not hide each other.

    Args:
        places: (N, 2); the few that lie far away from all others are drawn at the edge.
        pictures: thumbnails by row of `places`; the first ones are drawn first.
        labels: (N,); None without labels, when nothing has a colour.
        colours: by label, of dots and frames.
    """
    low, high = np.quantile(places, [0.002, 0.998], axis=0)
    scaled = np.clip((places - low) / np.where(high > low, high - low, 1), 0, 1)
    inner = SIDE - 2 * MARGIN
    pixels = np.rint(MARGIN + scaled * inner).astype(int)
    pixels[:, 1] = SIDE - pixels[:, 1]
    canvas = Image.new("RGB", (SIDE, SIDE), "white")
    pen = ImageDraw.Draw(canvas)
    grey = (160, 160, 160)
    for row, (x, y) in enumerate(pixels.tolist()):
        fill = grey if labels is None else colours[labels[row]]
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=fill)
    taken = set()
    for row, picture in pictures.items():
        x, y = pixels[row].tolist()
        cell = (x // THUMBNAIL, y // THUMBNAIL)
        if cell in taken:
            continue
        taken.add(cell)
        small = picture.resize((THUMBNAIL, THUMBNAIL))
        if labels is not None:
            side = THUMBNAIL + 2 * FRAME
            framed = Image.new("RGB", (side, side), colours[labels[row]])
            framed.paste(small, (FRAME, FRAME))
            small = framed
        canvas.paste(small, (x - small.width // 2, y - small.height // 2))
    return canvas
