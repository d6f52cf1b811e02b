"""The page: one HTML file that opens from disk, its pictures inside."""

import dataclasses
from typing import Any

import jinja2
import numpy as np
from etils import epath
from PIL import Image

from exploration import embedding_map, neighbours, thumbnails, verdict
from exploration.near_duplicates import NearDuplicates
from exploration.scores import LayerScores
from training.run_directory import write_whole

# Of near-duplicates and of outliers.
SHOWN = 24
LEGEND = 40
INITIAL = "untrained"


@dataclasses.dataclass(frozen=True)
class Content:
    """What the page shows; rows count the representations of all images from 0.

    Attributes:
        saved_model, data: the network's directory, and what it was shown.
        verdict: the sentence.
        views: how the two views are cut.
        measured: scores by network (`network`, and perhaps `untrained`) and layer.
        recognised: for every untrained network by layer which images it recognises.
        seed: of the scores' intervals.
        queries: rows whose neighbours are shown, (M,).
        neighbours: rows of the nearest, (M, count), by layer and network.
        layer: that the following are of.
        components, shares: from `embedding_map.principal_components`.
        mapped, t_sne: rows, and their places or None.
        duplicates: near-duplicates.
        outliers: rows and their mean cosines, the loneliest first.
        paths: by row.
        pictures: thumbnails by row, of those of `rows_shown`.
        labels: by row; None without labels.
        class_names: a name for each.
        unreadable: how many images could not be read.
        embeddings: layers and the files that they were written to.
    """

    saved_model: str
    data: str
    verdict: str
    views: str
    measured: dict[str, dict[str, LayerScores]]
    recognised: list[dict[str, np.ndarray]]
    seed: int
    queries: np.ndarray
    neighbours: dict[str, dict[str, np.ndarray]]
    layer: str
    components: np.ndarray
    shares: np.ndarray
    mapped: np.ndarray
    t_sne: np.ndarray | None
    duplicates: NearDuplicates
    outliers: tuple[np.ndarray, np.ndarray]
    paths: list[str]
    pictures: dict[int, Image.Image]
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    unreadable: int
    embeddings: list[tuple[str, epath.Path]]


def rows_shown(
    queries: np.ndarray,
    found: dict[str, dict[str, np.ndarray]],
    duplicates: NearDuplicates,
    outliers: tuple[np.ndarray, np.ndarray],
    mapped: np.ndarray,
) -> np.ndarray:
    """The rows of which there are pictures on the page, sorted; arguments as in `Content`."""
    of_neighbours = [rows.ravel() for layer in found.values() for rows in layer.values()]
    pairs = duplicates.pairs[:SHOWN].ravel()
    return np.unique(np.concatenate([queries, *of_neighbours, pairs, outliers[0][:SHOWN], mapped]))


def write(path: epath.Path, content: Content) -> None:
    """Writes the page.

    Raises:
        OSError: it could not be written; an existing one is unchanged.
    """
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("exploration", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["picture"] = thumbnails.data_uri
    text = templates.get_template("page.html.jinja").render(
        content=content,
        scores=score_rows(content.measured, content.recognised, content.seed),
        has_untrained=INITIAL in content.measured,
        sheets=_sheets(content),
        query_paths=[content.paths[row] for row in content.queries],
        maps=_maps(content),
        legend=_legend(content),
        pairs=_pairs(content),
        lonely=_lonely(content),
        view_images=len(next(iter(content.measured["network"].values())).recognised),
    )
    write_whole(path, text)


def score_rows(
    measured: dict[str, dict[str, LayerScores]],
    recognised: list[dict[str, np.ndarray]],
    seed: int,
) -> list[dict[str, Any]]:
    """A line of the table of scores for every layer, as texts; arguments as in `Content`."""
    network, untrained = measured["network"], measured.get(INITIAL)
    differences = verdict.differences(network, recognised, seed) if recognised else {}
    rows = []
    for layer, each in network.items():
        row = {"layer": layer, "features": each.features, **_texts("", each)}
        if untrained:
            shares = [100 * others[layer].mean() for others in recognised]
            row |= _texts(f"{INITIAL}_", untrained[layer])
            row[f"{INITIAL}_stability"] = " / ".join(f"{share:.1f}" for share in shares) + " %"
            found = differences[layer]
            row["difference"] = f"{100 * found.mean:+.1f}"
            row["interval"] = f"{100 * found.low:+.1f} … {100 * found.high:+.1f}"
        rows.append(row)
    return rows


def _texts(prefix: str, scores: LayerScores) -> dict[str, str]:
    texts = {
        "rank": f"{scores.effective_rank:.1f}",
        "first_ten": f"{100 * scores.first_ten_variance:.0f} %",
        "stability": f"{100 * scores.stability:.1f} %",
    }
    if scores.purity is not None:
        texts["purity"] = f"{100 * scores.purity.mean():.1f} %"
    return {prefix + name: text for name, text in texts.items()}


def _sheets(content: Content) -> list[tuple[str, Image.Image]]:
    return [
        (
            layer,
            neighbours.sheet(
                content.pictures, content.queries, found["network"], found.get(INITIAL)
            ),
        )
        for layer, found in content.neighbours.items()
    ]


def _maps(content: Content) -> list[tuple[str, Image.Image]]:
    pictures = {row: content.pictures[row] for row in content.mapped.tolist()}
    colours = embedding_map.class_colours(len(content.class_names))
    plane = content.components[:, :2]
    if plane.shape[1] < 2:
        plane = np.pad(plane, ((0, 0), (0, 1)))
    share = content.shares[:2].sum()
    maps = [
        (
            f"PCA of {len(plane)} images: two directions, with {100 * share:.0f} % of the variance",
            embedding_map.draw(plane, pictures, content.labels, colours),
        )
    ]
    if content.t_sne is not None:
        labels = None if content.labels is None else content.labels[content.mapped]
        renumbered = dict(enumerate(pictures.values()))
        maps.append(
            (
                f"t-SNE of {len(pictures)} images: who is next to whom; distances between groups "
                "mean nothing",
                embedding_map.draw(content.t_sne, renumbered, labels, colours),
            )
        )
    return maps


def _legend(content: Content) -> list[tuple[str, str]]:
    """Names and CSS colours of the classes."""
    colours = embedding_map.class_colours(len(content.class_names))
    if content.labels is None:
        return []
    return [
        (name, f"rgb{colour}") for name, colour in zip(content.class_names, colours, strict=True)
    ][:LEGEND]


def _pairs(content: Content) -> list[tuple[Image.Image, str, list[str]]]:
    found = content.duplicates
    return [
        (
            thumbnails.side_by_side([content.pictures[row] for row in pair]),
            f"{cosine:.4f}",
            [content.paths[row] for row in pair],
        )
        for pair, cosine in zip(found.pairs[:SHOWN].tolist(), found.cosines, strict=False)
    ]


def _lonely(content: Content) -> list[tuple[Image.Image, str, str]]:
    rows, cosines = content.outliers
    return [
        (content.pictures[row], f"{cosine:.3f}", content.paths[row])
        for row, cosine in zip(rows[:SHOWN].tolist(), cosines, strict=False)
    ]


def score_lines(
    measured: dict[str, dict[str, LayerScores]],
    recognised: list[dict[str, np.ndarray]],
    seed: int,
) -> list[str]:
    """The table of scores for a terminal; arguments as in `Content`."""
    rows = score_rows(measured, recognised, seed)
    headings = {
        "layer": "layer",
        "features": "features",
        "rank": "rank",
        "untrained_rank": "untrained",
        "first_ten": "first ten",
        "untrained_first_ten": "untrained",
        "stability": "stability",
        "untrained_stability": "untrained",
        "difference": "difference",
        "interval": "95 % interval",
        "purity": "purity",
        "untrained_purity": "untrained",
    }
    columns = [name for name in headings if name in rows[0]]
    lines = [[headings[name] for name in columns]]
    lines += [[str(row[name]) for name in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if number else text.ljust(width)
            for number, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
