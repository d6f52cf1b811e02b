"""What finished runs measured: `results.json`, `flags.cfg` and `metrics.csv` to plain rows."""

import collections
import csv
import dataclasses
import json
from collections.abc import Iterable, Iterator

from etils import epath

from studies import flag_files

UNTRAINED = "untrained"
SUPERVISED = "supervised"
# What the task's own success is called on held-out images.
PRETEXT_METRICS = ("val_accuracy", "val_retrieval")
# Flags that are axes of the study, or say where things are: the others are the recipe.
NETWORK_AXES = ("task", "architecture", "widening_factor", "representation_size", "seed")
PLACES = (
    *("workdir", "data_dir", "strategy", "saved_model", "representations_dir"),
    *("checkpoint_every_steps", "log_every_steps", "layers"),
)
# Directories in a run's that hold no runs.
NO_RUNS = ("saved_model", "checkpoints", "tensorboard", "representations", "logs", "report")


@dataclasses.dataclass(frozen=True)
class Network:
    """A pretraining run.

    Attributes:
        name: its directory, below the study's.
        task: the pretext task; `untrained` after no epochs.
        architecture, widening_factor, representation_size, seed: as its flags say; a size of 0 is
            the architecture's own.
        pretext: the task's metric on held-out images after the last epoch, in [0, 1]; None if it
            was not measured.
    """

    name: str
    task: str
    architecture: str
    widening_factor: int
    representation_size: int
    seed: int
    pretext: float | None


@dataclasses.dataclass(frozen=True)
class Score:
    """What one probe found on one layer of a network.

    Attributes:
        network: the network.
        probe: lbfgs, sgd, mlp or knn.
        dataset, val_split: where the accuracy was measured.
        train_fraction: the share of the labels that it was fitted to.
        epochs: how long an SGD or MLP probe trained; 0 for others.
        first_decay: the epoch of its first decay; 0 for others.
        layer: the layer.
        features: how many numbers its representation has.
        top1, top5: accuracies in [0, 1].
        effective_rank, first_ten_variance: the label-free scores, where they were measured.
        curve: validation top-1 after each epoch, (epoch, accuracy), where it was recorded.
        run: the evaluation's directory, below the study's.
    """

    network: Network
    probe: str
    dataset: str
    val_split: str
    train_fraction: float
    epochs: int
    first_decay: float
    layer: str
    features: int
    top1: float
    top5: float
    effective_rank: float | None
    first_ten_variance: float | None
    curve: tuple[tuple[float, float], ...]
    run: str

    @property
    def place(self) -> str:
        """The images that the accuracy was measured on, as a heading."""
        return f"{self.dataset} {self.val_split}"


@dataclasses.dataclass(frozen=True)
class Study:
    """All that was measured, and what was not.

    Attributes:
        networks: the finished pretraining runs.
        scores: a row per evaluation and layer.
        missing: names of runs that were planned or begun and are not finished.
        notes: what was left out, and why.
    """

    networks: tuple[Network, ...]
    scores: tuple[Score, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    def probed(self, probe: str, layer: str | None = "pre_logits") -> list[Score]:
        """Scores of one kind of probe with all labels: on one layer, or on all for None."""
        return [
            score
            for score in self.scores
            if score.probe == probe and score.train_fraction == 1 and layer in (None, score.layer)
        ]


def read(directory: str) -> Study:
    """Reads all run directories below a directory.

    Args:
        directory: a study's; run directories may lie in it at any depth. What `plans/*.txt` in it
            names should be there.

    Raises:
        ValueError: there is no such directory, or no run in it.
    """
    root = epath.Path(directory)
    if not root.is_dir():
        raise ValueError(f"--report={directory} is no directory")
    all_flags = {path: _read_flag_file(path / "flags.cfg") for path in _run_directories(root)}
    if not all_flags:
        raise ValueError(f"--report={directory} holds no run: no flags.cfg below it")
    trains = {path: flags for path, flags in all_flags.items() if "task" in flags}
    probes = {path: flags for path, flags in all_flags.items() if "saved_model" in flags}
    names = {path: str(path.relative_to(root)) for path in all_flags}
    planned = {
        line for file in (root / "plans").glob("*.txt") for line in file.read_text().splitlines()
    }
    notes = sorted(line.removeprefix("# ") for line in planned if line.startswith("# "))
    missing = {line for line in planned if not line.startswith("# ")} - set(names.values())

    networks, recipes = {}, {}
    for path, flags in trains.items():
        if (path / "saved_model").exists() or _is_used(path, probes):
            networks[path] = _network(names[path], path, flags)
            recipes[path] = _recipe(flags, NETWORK_AXES)
        else:
            missing.add(names[path])
    for path in _minority(
        {path: _without_seed(network) for path, network in networks.items()}, recipes
    ):
        notes.append(f"{names[path]}: trained with other flags than the runs beside it; left out")
        del networks[path]

    scores, score_recipes = [], {}
    for path, flags in probes.items():
        if not (path / "results.json").exists():
            missing.add(names[path])
            continue
        network = _find_network(path, flags["saved_model"], networks)
        if network is None:
            if _find_network(path, flags["saved_model"], trains) is None:
                notes.append(f"{names[path]}: its network {flags['saved_model']} is not here")
            continue
        for score in _scores(names[path], path, flags, network, notes):
            scores.append(score)
            score_recipes[score] = _recipe(flags, ("train_fraction", "dataset", "val_split"))
    cells = {score: _cell(score) for score in scores}
    left_out = _minority(cells, score_recipes)
    for run in sorted({score.run for score in left_out}):
        notes.append(f"{run}: probed with other flags than the runs beside it; left out")
    return Study(
        networks=tuple(networks.values()),
        scores=_once(score for score in scores if score not in left_out),
        missing=tuple(sorted(missing)),
        notes=tuple(notes),
    )


def _run_directories(directory: epath.Path) -> Iterator[epath.Path]:
    """The directories with flags, at any depth, without looking into what they hold otherwise."""
    if (directory / "flags.cfg").exists():
        yield directory
    for path in sorted(directory.iterdir()):
        if path.name not in NO_RUNS and path.is_dir():
            yield from _run_directories(path)


def _read_flag_file(file: epath.Path) -> dict[str, str]:
    return flag_files.read(file.read_text().splitlines())


def _is_used(path: epath.Path, probes: dict[epath.Path, dict[str, str]]) -> bool:
    """Whether a network was probed: then it was finished, though its export may be elsewhere."""
    return any(
        _find_network(probe, flags["saved_model"], {path: True})
        and (probe / "results.json").exists()
        for probe, flags in probes.items()
    )


def _network(name: str, path: epath.Path, flags: dict[str, str]) -> Network:
    untrained = not int(flags.get("epochs", 1))
    return Network(
        name=name,
        task=UNTRAINED if untrained else flags["task"],
        architecture=flags["architecture"],
        widening_factor=int(flags["widening_factor"]),
        representation_size=int(flags.get("representation_size", 0)),
        seed=int(flags.get("seed", 0)),
        pretext=None if untrained else _last(path / "metrics.csv"),
    )


def _last(path: epath.Path) -> float | None:
    """The last epoch's pretext metric."""
    found = None
    for row in _rows(path):
        for name in PRETEXT_METRICS:
            if row.get(name):
                found = float(row[name])
    return found


def _scores(
    name: str, path: epath.Path, flags: dict[str, str], network: Network, notes: list[str]
) -> list[Score]:
    try:
        results = json.loads((path / "results.json").read_text())
        layers = results["layers"].items()
    except (ValueError, KeyError, AttributeError):
        notes.append(f"{name}: results.json cannot be read; left out")
        return []
    training = results.get("training") or {}
    decays = training.get("decay_epochs") or [0]
    rows = _rows(path / "metrics.csv")
    return [
        Score(
            network=network,
            probe=results["probe"],
            dataset=results["dataset"],
            val_split=results["val_split"],
            train_fraction=float(flags.get("train_fraction") or 1),
            epochs=training.get("epochs", 0),
            first_decay=decays[0],
            layer=layer,
            features=values["features"],
            top1=values["top1"],
            top5=values["top5"],
            effective_rank=values.get("effective_rank"),
            first_ten_variance=values.get("first_ten_variance"),
            curve=_curve(rows, layer),
            run=name,
        )
        for layer, values in layers
    ]


def _curve(rows: list[dict[str, str]], layer: str) -> tuple[tuple[float, float], ...]:
    column = f"val_top1_{layer}"
    return tuple((float(row["epoch"]), float(row[column])) for row in rows if row.get(column))


def _rows(path: epath.Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    return list(csv.DictReader(path.read_text().splitlines()))


def _find_network(probe: epath.Path, saved_model: str, networks: dict) -> object | None:
    """The pretraining run that a probe's SavedModel belongs to.

    The path may be relative to where the probe was started, and the study may have been moved
    since: the network is the one whose path ends as the SavedModel's does, in as many parts as
    possible, of several the one nearest to the probe.
    """
    wanted = epath.Path(saved_model).parent.parts

    def common(path: epath.Path) -> tuple[int, int]:
        suffix = _common_length(wanted[::-1], path.parts[::-1])
        return suffix, _common_length(probe.parts, path.parts)

    best = max(networks, key=common, default=None)
    return networks[best] if best is not None and common(best)[0] else None


def _common_length(parts: tuple[str, ...], others: tuple[str, ...]) -> int:
    length = 0
    for part, other in zip(parts, others, strict=False):
        if part != other:
            break
        length += 1
    return length


def _recipe(flags: dict[str, str], axes: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(
        sorted((name, value) for name, value in flags.items() if name not in (*axes, *PLACES))
    )


def _without_seed(network: Network) -> tuple[object, ...]:
    return (
        network.task,
        network.architecture,
        network.widening_factor,
        network.representation_size,
    )


def _cell(score: Score) -> tuple[object, ...]:
    return (
        *_without_seed(score.network),
        *(score.probe, score.dataset, score.val_split, score.train_fraction),
        *(score.epochs, score.first_decay, score.layer),
    )


def _once(scores: Iterable[Score]) -> tuple[Score, ...]:
    """A layer that two evaluations of a network measured alike counts once."""
    found: dict[object, Score] = {}
    for score in scores:
        found.setdefault((score.network, _cell(score)), score)
    return tuple(found.values())


def _minority(cells: dict, recipes: dict) -> set:
    """Keys whose recipe is not the most frequent one of their cell (of equals, the first)."""
    counts: dict[object, collections.Counter] = collections.defaultdict(collections.Counter)
    for key, cell in cells.items():
        counts[cell][recipes[key]] += 1
    usual = {cell: counter.most_common(1)[0][0] for cell, counter in counts.items()}
    return {key for key, cell in cells.items() if recipes[key] != usual[cell]}
