"""The files beside the page: what it shows, for NumPy, pandas and others."""

import csv
import io
import os
import urllib.parse
from collections.abc import Iterable

import numpy as np
from etils import epath

from evaluate.representations import Representations
from exploration.image_names import ImageNames
from exploration.near_duplicates import NearDuplicates
from exploration.scores import LayerScores
from training.error_lines import writing
from training.run_directory import write_whole


def check_local(workdir: epath.Path) -> None:
    """Raises a ValueError if a run's directory is at a remote store: arrays are written locally."""
    if "://" in os.fspath(workdir):
        raise ValueError(f"--workdir={workdir}: explore.py writes arrays and needs a local disk")


# The layer that the export's own call returns.
DEFAULT = "pre_logits"


def write_files(names: ImageNames, whole: Representations, path: epath.Path) -> None:
    """Writes `files.csv`: path, row, split and, where there are labels, label.

    Args:
        names: of all records.
        whole: the representations, whose rows these are.
        path: the file.
    """
    columns = metadata(names, whole, np.arange(len(whole.positions)))
    columns = {"path": columns["path"], "row": map(str, range(len(whole.positions)))} | columns
    _write(path, columns, zip(*columns.values(), strict=True))


def metadata(names: ImageNames, whole: Representations, rows: np.ndarray) -> dict[str, list[str]]:
    """What is known of some rows' images, by heading: path, split and perhaps label."""
    positions = whole.positions[rows].tolist()
    columns = {
        "path": [names.paths[position] for position in positions],
        "split": [names.splits[position] for position in positions],
    }
    if whole.class_names:
        columns["label"] = [whole.class_names[label] for label in whole.labels[rows]]
    return columns


def write_near_duplicates(found: NearDuplicates, paths: list[str], path: epath.Path) -> None:
    """Writes `near_duplicates.csv`: a pair's cosine and both paths; the nearest pair first."""
    _write(
        path,
        ["cosine", "first", "second"],
        (
            [f"{cosine:.6f}", paths[first], paths[second]]
            for cosine, (first, second) in zip(found.cosines, found.pairs.tolist(), strict=True)
        ),
    )


def write_outliers(
    lonely: tuple[np.ndarray, np.ndarray], paths: list[str], path: epath.Path
) -> None:
    """Writes `outliers.csv`: of all images, the loneliest first, the cosine and the path."""
    rows = zip(*lonely, strict=True)
    _write(path, ["cosine", "path"], ([f"{cosine:.6f}", paths[row]] for row, cosine in rows))


def write_scores(measured: dict[str, dict[str, LayerScores]], path: epath.Path) -> None:
    """Writes `scores.csv`: a line for every network and layer."""
    columns = ["network", "layer", "features", "effective_rank", "first_ten_variance"]
    columns += ["neighbour_stability", "view_images", "neighbour_purity"]
    rows = []
    for network, layers in measured.items():
        for layer, each in layers.items():
            purity = "" if each.purity is None else each.purity.mean()
            label_free = each.features, each.effective_rank, each.first_ten_variance
            rows.append([network, layer, *label_free, each.stability, len(each.recognised), purity])
    _write(path, columns, rows)


def _write(path: epath.Path, columns: Iterable[str], rows: Iterable[Iterable]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(rows)
    write_whole(path, text.getvalue())


def write_embeddings(
    layers: dict[str, np.ndarray], directory: epath.Path
) -> list[tuple[str, epath.Path]]:
    """Writes the first layer as `embeddings.npy`, others as `embeddings_LAYER.npy`.

    Args:
        layers: by name (N, D), in memory or memory maps, which are copied in blocks.
        directory: on a local disk.

    Returns:
        Each layer's name and file.

    Raises:
        OSError: a file could not be written; one that was there is unchanged.
    """
    written = []
    for number, (layer, features) in enumerate(layers.items()):
        # A layer of a foreign model may have a slash in its name.
        suffix = f"_{urllib.parse.quote(layer, safe=' ')}" if number else ""
        path = directory / f"embeddings{suffix}.npy"
        beside = path.with_name(path.name + ".incomplete")
        with writing(path):
            try:
                with open(beside, "wb") as file:
                    np.save(file, features)
                beside.replace(path)
            except OSError:
                beside.unlink(missing_ok=True)  # It takes space, which may be short.
                raise
        written.append((layer, path))
    return written


def embedded_layers(wanted: tuple[str, ...], layers: tuple[str, ...]) -> tuple[str, ...]:
    """The layers that `--embeddings` names, or the default one.

    Args:
        wanted: the flag.
        layers: those that are extracted.

    Raises:
        ValueError: one is not extracted, or is named twice.
    """
    for layer in wanted:
        if layer not in layers:
            raise ValueError(f"--embeddings={layer}: it is not among --layers, {', '.join(layers)}")
        if wanted.count(layer) > 1:
            raise ValueError(f"--embeddings: {layer} is given twice")
    return wanted or ((DEFAULT,) if DEFAULT in layers else layers[-1:])
