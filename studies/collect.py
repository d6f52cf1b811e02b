"""What finished runs measured: `results.json`, `flags.cfg` and `metrics.csv` to plain rows."""

import collections
import csv
import json
from collections.abc import Iterable, Iterator

from etils import epath

from studies import flag_files
from studies.measurements import UNTRAINED, Network, Score, Study

# What the task's own success is called on held-out images.
PRETEXT_METRICS = ("val_accuracy", "val_retrieval")
# Flags that are axes of the study, or say where things are: the others are the recipe.
NETWORK_AXES = ("task", "architecture", "widening_factor", "representation_size", "seed")
PROBE_AXES = ("train_fraction", "dataset", "val_split", "batch_size")
PLACES = (
    *("workdir", "data_dir", "strategy", "saved_model", "representations_dir"),
    *("checkpoint_every_steps", "log_every_steps", "layers"),
)
# Directories in a run's that hold no runs.
NO_RUNS = ("saved_model", "checkpoints", "tensorboard", "representations", "logs", "report")


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
    commands = sorted(line.removeprefix("$ ") for line in planned if line.startswith("$ "))
    missing = {line for line in planned if line[:2] not in ("# ", "$ ")} - set(names.values())

    of_probe = {
        path: _find_network(path, flags["saved_model"], trains) for path, flags in probes.items()
    }
    probed = set(of_probe.values())
    networks, recipes = {}, {}
    # Those that were probed first: of two recipes that are as frequent, the first counts.
    for path, flags in sorted(trains.items(), key=lambda item: item[0] not in probed):
        # The export of a network that was probed may have been moved elsewhere since.
        if (path / "saved_model").exists() or path in probed:
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
        if of_probe[path] is None:
            notes.append(f"{names[path]}: its network {flags['saved_model']} is not here")
        if of_probe[path] not in networks:
            continue
        network = networks[of_probe[path]]
        for score in _scores(names[path], path, flags, network, notes):
            scores.append(score)
            score_recipes[score] = _recipe(flags, PROBE_AXES)
    cells = {score: _cell(score) for score in scores}
    left_out = _minority(cells, score_recipes)
    for run in sorted({score.run for score in left_out}):
        notes.append(f"{run}: probed with other flags than the runs beside it; left out")
    return Study(
        networks=tuple(networks.values()),
        scores=_once(score for score in scores if score not in left_out),
        missing=tuple(sorted(missing)),
        notes=tuple(notes),
        commands=tuple(commands),
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
        dataset=flags.get("dataset", ""),
        val_split=flags.get("val_split", ""),
        permutations=int(flags.get("permutations", 100)),
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
            classes=results.get("classes"),
        )
        for layer, values in layers
    ]


def _curve(rows: list[dict[str, str]], layer: str) -> tuple[tuple[float, float], ...]:
    column = f"val_top1_{layer}"
    return tuple((float(row["epoch"]), float(row[column])) for row in rows if row.get(column))


def _rows(path: epath.Path) -> list[dict[str, str]]:
    """The rows of a metrics file, without a last line that a kill cut short."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return list(csv.DictReader(line for line in lines if line.endswith("\n")))


def _find_network(
    probe: epath.Path, saved_model: str, networks: Iterable[epath.Path]
) -> epath.Path | None:
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
    return best if best is not None and common(best)[0] else None


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
