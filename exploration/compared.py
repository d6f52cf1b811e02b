"""What several networks make of the same images: of all of them, and of two views of a sample.

Images are decoded once and go through all networks, so that rows are of the same images whatever
could be read of them, and the untrained networks cost no more than their forward passes.
"""

import dataclasses

import numpy as np
import tensorflow as tf
from etils import epath

from data.records import Records, drawn
from evaluate import disk_space, representations
from evaluate.representations import ExtractOptions, Representations
from evaluate.saved_models import SavedModel
from exploration import views
from pretext.random_cuts import RandomCut

NETWORK, UNTRAINED = "network", "untrained"
Layers = dict[str, np.ndarray]
Views = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Compared:
    """The representations.

    Attributes:
        whole: labels, positions and so on of all images.
        layers: of all images by network (`network`, and perhaps `untrained`) and layer, memory maps
            (N, D).
        views: by layer of two random views of the sample's images, each (M, D).
        initial_views: the same of every untrained network, the one of `layers` first.
        rows: of the sample's images among all, (M,).
    """

    whole: Representations
    layers: dict[str, Layers]
    views: Views
    initial_views: list[Views]
    rows: np.ndarray


def extract(
    model: SavedModel,
    initial: list[SavedModel],
    features: dict[str, int],
    records: Records,
    view_images: int,
    cut: RandomCut,
    options: ExtractOptions,
    directory: epath.Path,
    *,
    seed: int,
    strategy: tf.distribute.Strategy,
) -> Compared:
    """Extracts what is not there yet, or opens it; prints first how much disk it takes.

    Args:
        model: the network.
        initial: untrained ones; of all but the first only views are extracted.
        features: how many, by layer.
        records: the images.
        view_images: of how many of them, drawn by the seed, there are views.
        cut: makes the views.
        options: of the representations.
        directory: of the representations, on a local disk.
        seed: of the sample and of the views.
        strategy: the devices.

    Raises:
        ValueError, OSError: as `evaluate.representations.extract`; or the images changed meanwhile.
    """
    names = [NETWORK, *(f"{UNTRAINED}{number or ''}" for number in range(len(initial)))]
    networks = dict(zip(names, [model, *initial], strict=True))
    sample, drawn_positions = drawn(records, view_images, seed)
    sources = {"all images": (dict(list(networks.items())[:2]), records, None)} | {
        f"view {number}": (
            networks,
            sample,
            views.RandomView(cut, number, seed),
        )
        for number in (1, 2)
    }
    jobs = {
        name: {
            "model": together(of_networks),
            "records": source,
            "options": dataclasses.replace(
                options,
                layers=tuple(
                    dict.fromkeys(_place(n, layer) for n in of_networks for layer in features)
                ),
            ),
            "directory": directory / name,
            "view": view,
        }
        for name, (of_networks, source, view) in sources.items()
    }
    files = {name: representations.open_files(**job) for name, job in jobs.items()}
    sizes = {_place(name, layer): features[layer] for name in names for layer in features}
    disk_space.announce(files, sizes)
    made = {
        name: representations.extract(
            **job,
            strategy=strategy,
            files=files[name],
            title=name,
            # A view has the same ones as the whole.
            warn=job["view"] is None,
        )
        for name, job in jobs.items()
    }
    whole, *pair = made.values()
    if not np.array_equal(pair[0].positions, pair[1].positions):
        raise ValueError("images changed or became unreadable meanwhile: run the command again")
    # An image that is smaller than the central crop may have views all the same.
    positions = drawn_positions[pair[0].positions]
    kept = np.isin(positions, whole.positions)

    def views_of(name: str) -> Views:
        both = {
            layer: [each.layers[_place(name, layer)] for each in pair] for layer in options.layers
        }
        return {
            layer: tuple(rows if kept.all() else rows[kept] for rows in each)
            for layer, each in both.items()
        }

    return Compared(
        whole,
        {
            name: {layer: whole.layers[_place(name, layer)] for layer in options.layers}
            for name in names[:2]
        },
        views_of(NETWORK),
        [views_of(name) for name in names[1:]],
        np.searchsorted(whole.positions, positions[kept]),
    )


def together(networks: dict[str, SavedModel]) -> SavedModel:
    """Several networks as one, whose layers are called NETWORK/LAYER.

    Raises:
        ValueError: some see images as patches and others do not.
    """
    model = next(iter(networks.values()))
    if len({each.represent_patches is None for each in networks.values()}) > 1:
        raise ValueError(
            "--baseline: one of the networks sees an image as patches and the other does not: they "
            "must be of the same architecture and task"
        )

    def merged(attribute: str) -> object:
        def represent(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return {
                _place(name, layer): output
                for name, each in networks.items()
                for layer, output in getattr(each, attribute)(images).items()
            }

        return represent

    return dataclasses.replace(
        model,
        fingerprint=" and ".join(each.fingerprint for each in networks.values()),
        represent=merged("represent"),
        represent_patches=merged("represent_patches") if model.represent_patches else None,
        layers=tuple(_place(name, each) for name in networks for each in networks[name].layers),
    )


def _place(network: str, layer: str) -> str:
    """What a network's layer is called among those of several; the pixels are the same in all."""
    return layer if layer == representations.PIXELS else f"{network}/{layer}"
