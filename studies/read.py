"""What finished runs measured: `results.json`, `flags.cfg` and `metrics.csv` to data frames.

Which network a probe is of, and which recipe is meant, `study.json` says; see `by_hand.py` for runs
that it does not speak of.

A file that cannot be read takes its run out of the study, or its column; the run is named, and the
others count.
"""

import os
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from absl import logging
from etils import epath

from studies import by_hand, frames, record, run_files
from studies.frames import Study

# Flags that are axes of the study, or say where things are: the others are the recipe.
NETWORK_AXES = ("task", "architecture", "widening_factor", "representation_size", "seed")
PROBE_AXES = ("train_fraction", "dataset", "val_split", "batch_size")
# With the network, what seeds of a score are averaged over.
SCORE_CELL = (
    *("probe", "dataset", "val_split", "train_fraction", "epochs", "first_decay", "layer"),
)
PLACES = (
    *("workdir", "data_dir", "strategy", "saved_model", "representations_dir"),
    *("checkpoint_every_steps", "log_every_steps", "layers"),
)
# Directories in a run's that hold no runs.
NO_RUNS = ("saved_model", "checkpoints", "tensorboard", "representations", "logs", "report")


Key = TypeVar("Key")


class _Run(NamedTuple):
    """A run directory: its name below the study's, and its flags.

    Attributes:
        plan: what `study.json` says of it; None if nothing, or if it was made with other flags.
    """

    path: epath.Path
    name: str
    flags: dict[str, str]
    plan: record.PlannedRun | None


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
        raise ValueError(f"--report={directory} is not a directory")
    notes = _Notes()
    plans = _plans(root, notes)
    for line in plans.skipped:
        notes.add(line)
    runs, damaged = _runs(root, plans, notes)
    if not runs and not damaged:
        raise ValueError(f"--report={directory} holds no run: no flags.cfg below it")
    trains = {run.path: run for run in runs if "task" in run.flags}
    probes = [run for run in runs if "task" not in run.flags]
    missing = plans.runs.keys() - {run.name for run in runs} - set(damaged.values())

    # A probe of a network that cannot be read must not be taken for another's.
    paths = {run.name: path for path, run in trains.items()}
    paths |= {name: path for path, name in damaged.items()}
    of_probe = {
        run.path: paths.get(run.plan.network)
        if run.plan
        else by_hand.network_of(run.path, run.flags["saved_model"], paths.values())
        for run in probes
    }
    # Those that were probed first: of two recipes that are as frequent, the first counts.
    trained = sorted(trains.values(), key=lambda run: run.path not in of_probe.values())
    # The export of a network that was probed may have been moved elsewhere since.
    finished = [
        run
        for run in trained
        if (run.path / "saved_model").exists() or run.path in of_probe.values()
    ]
    missing |= {run.name for run in trained} - {run.name for run in finished}
    losers = plans.losers()
    networks = _networks([run for run in finished if run.name not in losers], notes)

    missing |= {run.name for run in probes if not (run.path / "results.json").exists()}
    probes = [run for run in probes if run.name not in missing]
    for run in probes:
        if of_probe[run.path] is None:
            notes.add(f"{run.name}: its network {run.flags['saved_model']} is not here")
    scores = _scores(
        [(run, networks[of_probe[run.path]]) for run in probes if of_probe[run.path] in networks],
        notes,
    )
    return frames.study(
        networks.values(),
        scores,
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
        notes.cannot_be_read(record.NAME, "it", error, "which runs are missing is not known")
        return record.Record(root / "logs")


def _runs(
    root: epath.Path, plans: record.Record, notes: _Notes
) -> tuple[list[_Run], dict[epath.Path, str]]:
    """The runs below a directory, and the names of those whose flags cannot be read."""
    runs, damaged, names = [], {}, set()
    for path in _run_directories(root, set(), notes):
        name = run_files.printable(str(path.relative_to(root)))
        while name in names:  # Those that are not text may look alike.
            name += "'"
        names.add(name)
        try:
            flags = run_files.read_flags(path / "flags.cfg")
            if not flags.keys() & {"task", "saved_model"}:
                raise ValueError("it has neither --task nor --saved_model")
            runs.append(_Run(path, name, flags, plans.plan_of(name, flags)))
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


def _networks(runs: list[_Run], notes: _Notes) -> dict[epath.Path, dict[str, object]]:
    """The rows of networks, without those that must not be averaged with the others."""
    by_path = {run.path: run for run in runs}
    rows = {run.path: _network(run, notes) for run in runs}
    rows = {path: row for path, row in rows.items() if row}
    cells = {
        path: (*(row[axis] for axis in frames.NETWORK), row["train_split"])
        for path, row in rows.items()
    }
    recipes = {path: _recipe(by_path[path].flags, NETWORK_AXES) for path in rows}
    planned = {path: by_path[path].plan for path in rows}
    for path in sorted(by_hand.of_other_recipes(cells, recipes, _in_plan_order(planned))):
        notes.add(
            f"{by_path[path].name}: trained with other flags than the runs beside it; left out"
        )
        del rows[path]
    return rows


def _scores(runs: list[tuple[_Run, dict[str, object]]], notes: _Notes) -> list[dict[str, object]]:
    """The rows of probes and layers, without those that must not be averaged with the others."""
    rows, cells, recipes, planned = {}, {}, {}, {}
    for run, network in runs:
        for row in _layers(run, notes):
            key = (run.path, row["layer"])
            rows[key] = {**row, "network": network["name"]}
            cells[key] = (
                *(network[axis] for axis in frames.NETWORK),
                *(row[axis] for axis in SCORE_CELL),
            )
            trained_on = ("of a network trained on", network["train_split"])
            recipes[key] = (*_recipe(run.flags, PROBE_AXES), trained_on)
            planned[key] = run.plan
    left_out = by_hand.of_other_recipes(cells, recipes, _in_plan_order(planned))
    for name in sorted({rows[key]["run"] for key in left_out}):
        notes.add(f"{name}: probed with other flags than the runs beside it; left out")
    # A layer that two evaluations of a network measured alike counts once.
    once: dict[object, dict[str, object]] = {}
    for key, row in rows.items():
        if key not in left_out:
            once.setdefault((row["network"], cells[key]), row)
    return list(once.values())


def _in_plan_order(planned: dict[Key, record.PlannedRun | None]) -> list[Key]:
    """Those of these that a plan speaks of, in the order of the plans."""
    return sorted((key for key, plan in planned.items() if plan), key=lambda k: planned[k].position)


def _network(run: _Run, notes: _Notes) -> dict[str, object] | None:
    """The row of a network, if the run's flags tell which one it is."""
    flags = run.flags
    try:
        epochs = run_files.whole_number(flags, "epochs", 0, default=1)
        untrained = not epochs and not flags.get("initial_weights")
        if not flags["task"] or not flags.get("architecture"):
            raise ValueError("it names no task or no architecture")
        network = {
            "name": run.name,
            "task": frames.UNTRAINED if untrained else flags["task"],
            "architecture": flags["architecture"],
            "widening_factor": run_files.whole_number(flags, "widening_factor", 1),
            "representation_size": run_files.whole_number(
                flags, "representation_size", 0, default=0
            ),
            "seed": run_files.whole_number(flags, "seed", 0, default=0),
            "pretext": None,
            "dataset": flags.get("dataset", ""),
            "train_split": flags.get("train_split", ""),
            "val_split": flags.get("val_split", ""),
            "permutations": run_files.whole_number(flags, "permutations", 1, default=100),
        }
    except ValueError as error:
        notes.cannot_be_read(run.name, "flags.cfg", error, "left out")
        return None
    if not epochs:
        return network
    try:
        pretext = run_files.last_pretext(run.path / "metrics.csv")
    except ValueError as error:
        notes.cannot_be_read(run.name, "metrics.csv", error, "its pretext accuracy is left out")
        return network
    return {**network, "pretext": pretext}


def _layers(run: _Run, notes: _Notes) -> list[dict[str, object]]:
    """The rows of a probe, one per layer; without its network's name."""
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
        {
            "run": run.name,
            "probe": results.probe,
            "dataset": results.dataset,
            "val_split": results.val_split,
            "train_fraction": train_fraction,
            "epochs": results.epochs,
            "first_decay": results.first_decay,
            "layer": layer,
            **values._asdict(),
            "curve": curves.get(layer, ()),
            "classes": results.classes,
        }
        for layer, values in results.layers.items()
    ]


def _recipe(flags: dict[str, str], axes: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(
        sorted((name, value) for name, value in flags.items() if name not in (*axes, *PLACES))
    )
