"""Run directories that hold the numbers of the committed report, `docs/study/*.csv`.

The runs themselves are not in the repository. What their tables say is enough to make others that
measured the same: of two seeds, mean and standard deviation give both accuracies, which are whole
numbers of images. (Which seed had which is not known, nor are the label-free scores.)
"""

import csv
import math
import pathlib

from tests.studies import synthetic

COMMITTED = pathlib.Path(__file__).parents[2] / "docs" / "study"
# Of the test images, and of the views of the pretext tasks' held-out images.
IMAGES, VIEWS = 2000, 32_000

Network = tuple[str, str, int, int]


def accuracies(row: dict[str, str], prefix: str = "", out_of: int = IMAGES) -> list[float]:
    """The accuracies of the one or two seeds of a row."""
    mean, count = float(row[f"{prefix}mean"]), int(row[f"{prefix}seeds"])
    away = float(row[f"{prefix}std"] or 0) / math.sqrt(2)
    return [round((mean + sign * away) * out_of) / out_of for sign in (-1, 1)[:count]]


def rows(key: str) -> list[tuple[Network, dict[str, str]]]:
    """A table's rows about networks, each with its network."""
    with open(COMMITTED / f"{key}.csv", encoding="utf-8") as file:
        found = [row for row in csv.DictReader(file) if row["architecture"]]
    return [
        (
            (
                *(row["task"], row["architecture"], int(row["widening_factor"])),
                int(row.get("representation_size") or 0),
            ),
            row,
        )
        for row in found
    ]


def study(root: pathlib.Path) -> None:
    """Makes the run directories of a study with the committed numbers."""
    pretext = {
        network: accuracies(row, "pretext_", out_of=VIEWS) for network, row in rows("figure4")
    }
    layers: dict[Network, dict[str, list[float]]] = {}
    for network, row in rows("figure5"):
        layers.setdefault(network, {})[row["layer"]] = accuracies(row)
    for network, row in rows("figure4"):
        layers.setdefault(network, {"pre_logits": accuracies(row, "downstream_")})
    runs = {}
    for network, by_layer in layers.items():
        task, architecture, k, size = network
        for seed in range(len(by_layer["pre_logits"])):
            untrained = task == "untrained"
            runs[network, seed] = run = synthetic.network(
                root,
                name=f"{task}-{architecture}-k{k}{f'-size{size}' if size else ''}-seed{seed}",
                task="rotation" if untrained else task,
                architecture=architecture,
                widening_factor=k,
                representation_size=size,
                seed=seed,
                epochs=0 if untrained else 3,
                pretext=None if untrained else pretext[network][seed],
            )
            synthetic.probe(
                run,
                lambda layer, by_layer=by_layer, seed=seed: by_layer[layer][seed],
                layers=tuple(by_layer),
                features=size or 512 * k,
                classes=10,
            )
    for network, row in rows("figure3"):
        for seed, top1 in enumerate(accuracies(row, "mlp_")):
            synthetic.probe(
                runs[network, seed], top1, probe="mlp", layers=("pre_logits",), epochs=180.0
            )
    for network, row in rows("figure7"):
        for seed, top1 in enumerate(accuracies(row)):
            if row["train_fraction"] != "1.0":
                synthetic.probe(
                    runs[network, seed],
                    top1,
                    layers=("pre_logits",),
                    features=512 * network[2],
                    train_fraction=float(row["train_fraction"]),
                )
    curves: dict[tuple[Network, int, float], list[float]] = {}
    for network, row in rows("figure8"):
        for seed, top1 in enumerate(accuracies(row)):
            curves.setdefault((network, seed, float(row["first_decay"])), []).append(top1)
    for (network, seed, decay), curve in curves.items():
        synthetic.schedule(runs[network, seed], decay, curve)
