"""What finished runs measured: `results.json`, `flags.cfg` and `metrics.csv` to plain rows.

A file that cannot be read takes its run out of the study, or its column; the run is named, and the
others count.
"""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from absl import logging
from etils import epath

from studies import record, run_files
from studies.measurements import UNTRAINED, Network, Score, Study

# Flags that are axes of the study, or say where things are: the others are the recipe.
NETWORK_AXES = ("task", "architecture", "widening_factor", "representation_size", "seed")
PROBE_AXES = ("train_fraction", "dataset", "val_split", "batch_size")
PLACES = (
    *("workdir", "data_dir", "strategy", "saved_model", "representations_dir"),
    *("checkpoint_every_steps", "log_every_steps", "layers"),
)
# Directories in a run's that hold no runs.
NO_RUNS = ("saved_model", "checkpoints", "tensorboard", "representations", "logs", "report")


class _Run(NamedTuple):
    """A run directory: its name below the study's, and its flags."""

    path: epath.Path
    name: str
    flags: dict[str, str]


class _Notes:
    """Lines about what was left out."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.unreadable = 0

    def add(self, line: str) -> None:
        """Notes a line."""
        self.lines.append(line)

    def cannot_be_read(self, run: str, file: str, error: Exception, consequence: str) -> None:
        """Notes a damaged file, and says so at once."""
        self.unreadable += 1
        self.add(f"{run}: {file} cannot be read ({run_files.printable(str(error))}); {consequence}")
        logging.warning("%s", self.lines[-1])


def read(directory: str) -> Study:
    """Reads all run directories below a directory.

    Args:
        directory: a study's; run directories may lie in it at any depth. What its `study.json`
            names should be there.

    Raises:
        ValueError: there is no such directory, or no run in it.
    """
    root = epath.Path(directory)
    if not root.is_dir():
        raise ValueError(f"--report={directory} is no directory")
    notes = _Notes()
    plans = _plans(root, notes)
    for line in plans.skipped:
        notes.add(line)
    runs, damaged = _runs(root, notes)
    if not runs and not damaged:
        raise ValueError(f"--report={directory} holds no run: no flags.cfg below it")
    trains = {run.path: run for run in runs if "task" in run.flags}
    probes = [run for run in runs if "task" not in run.flags]
    missing = plans.runs - {run.name for run in runs} - set(damaged.values())

    # A probe of a network that cannot be read must not be taken for another's.
    of_probe = {
        run.path: _find_network(run.path, run.flags["saved_model"], [*trains, *damaged])
        for run in probes
    }
    probed = set(of_probe.values())
    networks, recipes = {}, {}
    # Those that were probed first: of two recipes that are as frequent, the first counts.
    for path, run in sorted(trains.items(), key=lambda item: item[0] not in probed):
        # The export of a network that was probed may have been moved elsewhere since.
        if not ((path / "saved_model").exists() or path in probed):
            missing.add(run.name)
        elif run.name not in plans.losers():
            network = _network(run, notes)
            if network:
                networks[path] = network
                recipes[path] = _recipe(run.flags, NETWORK_AXES)
    cells = {
        path: (*_without_seed(network), network.train_split) for path, network in networks.items()
    }
    for path in _minority(cells, recipes):
        notes.add(
            f"{trains[path].name}: trained with other flags than the runs beside it; left out"
        )
        del networks[path]

    scores, score_recipes = [], {}
    for run in probes:
        if not (run.path / "results.json").exists():
            missing.add(run.name)
            continue
        network = networks.get(of_probe[run.path])
        if of_probe[run.path] is None:
            notes.add(f"{run.name}: its network {run.flags['saved_model']} is not here")
        if network is None:
            continue
        for score in _scores(run, network, notes):
            scores.append(score)
            trained_on = ("of a network trained on", network.train_split)
            score_recipes[score] = (*_recipe(run.flags, PROBE_AXES), trained_on)
    left_out = _minority({score: _cell(score) for score in scores}, score_recipes)
    for name in sorted({score.run for score in left_out}):
        notes.add(f"{name}: probed with other flags than the runs beside it; left out")
    return Study(
        networks=tuple(networks.values()),
        scores=_once(score for score in scores if score not in left_out),
        missing=tuple(sorted(missing - plans.diverged())),
        notes=tuple(notes.lines),
        commands=tuple(plans.commands),
        candidates=plans.candidates,
        unreadable=notes.unreadable,
    )


def _plans(root: epath.Path, notes: _Notes) -> record.Record:
    try:
        return record.Record(root)
    except ValueError as error:
        notes.cannot_be_read(record.NAME, "it", error, "what is missing cannot be told")
        return record.Record(root / "logs")


def _runs(root: epath.Path, notes: _Notes) -> tuple[list[_Run], dict[epath.Path, str]]:
    """The runs below a directory, and the names of those whose flags cannot be read."""
    runs, damaged = [], {}
    for path in _run_directories(root, set(), notes):
        name = run_files.printable(str(path.relative_to(root)))
        try:
            flags = run_files.read_flags(path / "flags.cfg")
            if not flags.keys() & {"task", "saved_model"}:
                raise ValueError("it has neither --task nor --saved_model")
            runs.append(_Run(path, name, flags))
        except ValueError as error:
            damaged[path] = name
            notes.cannot_be_read(name, "flags.cfg", error, "left out")
    return runs, damaged


def _run_directories(directory: epath.Path, seen: set[str], notes: _Notes) -> Iterator[epath.Path]:
    """The directories with flags, at any depth, without looking into what they hold otherwise."""
    real = os.path.realpath(directory)
    if real in seen:  # A link may lead to a directory above it.
        return
    seen.add(real)
    if (directory / "flags.cfg").exists():
        yield directory
    try:
        inside = sorted(directory.iterdir())
    except OSError as error:
        notes.cannot_be_read(str(directory), "it", error, "left out")
        return
    for path in inside:
        if path.name not in NO_RUNS and path.is_dir():
            yield from _run_directories(path, seen, notes)


def _network(run: _Run, notes: _Notes) -> Network | None:
    """The network of a run, if its flags tell which one it is."""
    flags = run.flags
    try:
        untrained = not run_files.whole_number(flags, "epochs", 0, default=1)
        if not flags["task"] or not flags.get("architecture"):
            raise ValueError("it names no task or no architecture")
        network = Network(
            name=run.name,
            task=UNTRAINED if untrained else flags["task"],
            architecture=flags["architecture"],
            widening_factor=run_files.whole_number(flags, "widening_factor", 1),
            representation_size=run_files.whole_number(flags, "representation_size", 0, default=0),
            seed=run_files.whole_number(flags, "seed", 0, default=0),
            pretext=None,
            dataset=flags.get("dataset", ""),
            train_split=flags.get("train_split", ""),
            val_split=flags.get("val_split", ""),
            permutations=run_files.whole_number(flags, "permutations", 1, default=100),
        )
    except ValueError as error:
        notes.cannot_be_read(run.name, "flags.cfg", error, "left out")
        return None
    if untrained:
        return network
    try:
        pretext = run_files.last_pretext(run.path / "metrics.csv")
    except ValueError as error:
        notes.cannot_be_read(run.name, "metrics.csv", error, "its pretext accuracy is left out")
        return network
    return dataclasses.replace(network, pretext=pretext)


def _scores(run: _Run, network: Network, notes: _Notes) -> list[Score]:
    try:
        results = run_files.read_results(run.path / "results.json")
    except ValueError as error:
        notes.cannot_be_read(run.name, "results.json", error, "left out")
        return []
    try:
        train_fraction = run_files.share(run.flags, "train_fraction")
    except ValueError as error:
        notes.cannot_be_read(run.name, "flags.cfg", error, "left out")
        return []
    try:
        rows = run_files.metric_rows(run.path / "metrics.csv")
        curves = {layer: run_files.curve(rows, layer) for layer in results.layers}
    except ValueError as error:
        notes.cannot_be_read(run.name, "metrics.csv", error, "its curve is left out")
        curves = {}
    return [
        Score(
            network=network,
            probe=results.probe,
            dataset=results.dataset,
            val_split=results.val_split,
            train_fraction=train_fraction,
            epochs=results.epochs,
            first_decay=results.first_decay,
            layer=layer,
            **values._asdict(),
            curve=curves.get(layer, ()),
            run=run.name,
            classes=results.classes,
        )
        for layer, values in results.layers.items()
    ]


def _find_network(
    probe: epath.Path, saved_model: str, networks: Iterable[epath.Path]
) -> epath.Path | None:
    """The pretraining run that a probe's SavedModel belongs to.

    The path may be relative to where the probe was started, and the study may have been moved
    since: the network is the one whose path ends as the SavedModel's does, in as many parts as
    possible, of several the one nearest to the probe.
    """
    wanted = pathlib.PurePath(saved_model).parent.parts

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
