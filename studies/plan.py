"""A plan: a flag file that describes grids of runs, and the runs that it stands for.

Lines before the first `--grid=NAME` hold for all grids of the file; every `--grid=NAME` begins
another grid, and the plan is the union of all: what two grids have in common runs once. See
`docs/study.md` for an example.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator

from absl import flags
from etils import epath

from studies import flag_files, values
from studies.runs import Job, Pair, Run

# By axis: what its values are.
AXES: dict[str, Callable[[str], object]] = {
    "tasks": values.name,
    "architectures": values.name,
    "widening_factors": values.whole_number(1, 1000),
    "representation_sizes": values.whole_number(0, 1_000_000),
    "seeds": values.whole_number(0, values.LARGEST_SEED),
    "learning_rates": values.learning_rate,
    "probes": values.name,
    "train_fractions": values.fraction,
    "datasets": values.name,
}
# Of a directory's name; file systems end at 255 bytes.
LONGEST_NAME = 150


@dataclasses.dataclass(frozen=True)
class Grid:
    """All combinations of some values, and the flag files that say everything else.

    Attributes:
        where: plan and name, for messages.
        name: its own.
        train_flagfile, eval_flagfile: paths in which `{task}`, `{architecture}`, `{probe}` and
            `{dataset}` stand for the value at hand. A value that picks the file is not passed as
            a flag as well: the file says what the name means. Without `eval_flagfile` nothing is
            probed.
        tasks, architectures, widening_factors, representation_sizes, seeds: of the networks. An
            empty list leaves it to the flag file.
        learning_rates: of several, each task and architecture gets the best; see `rates.py`.
        probes, train_fractions, datasets: of the evaluations of each network, likewise.
    """

    where: str
    name: str
    train_flagfile: str
    eval_flagfile: str
    tasks: tuple[str, ...]
    architectures: tuple[str, ...]
    widening_factors: tuple[int, ...]
    representation_sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    learning_rates: tuple[float, ...]
    probes: tuple[str, ...]
    train_fractions: tuple[float, ...]
    datasets: tuple[str, ...]


def read(path: str) -> list[Grid]:
    """Reads a plan.

    Raises:
        ValueError: there is no such file, it has no grid, or a line is wrong.
    """
    file = epath.Path(path)
    if not file.exists():
        raise ValueError(f"--plan={path} does not exist")
    common: list[str] = []
    grids: dict[str, list[str]] = {}
    block = common
    for line in flag_files.lines_of(path, "--plan="):
        if line.startswith("--grid="):
            name = line.removeprefix("--grid=")
            if name in grids or not re.fullmatch(r"\w[\w+.-]*", name):
                raise ValueError(f"{path}: every --grid needs a name of its own, not {name!r}")
            block = grids[name] = []
        else:
            block.append(line)
    if not grids:
        raise ValueError(f"{path} describes no grid: it needs a line --grid=NAME")
    return [_grid(path, name, common, lines) for name, lines in grids.items()]


def jobs(grids: list[Grid]) -> list[Job]:
    """The runs that the grids stand for, each network with its evaluations; nothing twice.

    Learning rates hold for all networks of a task, architecture and flag file, whichever grid
    names them.

    Raises:
        ValueError: two grids mean different runs by the same name or give different learning rates
            to the same networks, or a flag file is missing.
    """
    trains: dict[str, Run] = {}
    pairs: dict[str, Pair] = {}
    rates: dict[Pair, tuple[str, tuple[float, ...]]] = {}
    evaluations: dict[str, dict[str, Run]] = {}
    for grid in grids:
        for train, task, architecture in _train_runs(grid):
            _add(grid, trains, train)
            pair = pairs[train.name] = (task or "", architecture or "", train.flags[0])
            if grid.learning_rates and _is_trained(train):
                where, before = rates.setdefault(pair, (grid.where, grid.learning_rates))
                if before != grid.learning_rates:
                    raise ValueError(
                        f"{grid.where}, --learning_rates: {where} has others for "
                        f"{', '.join(filter(None, pair[:2])) or 'the same networks'}, whose "
                        "networks all have one rate: give both grids the same"
                    )
            known = evaluations.setdefault(train.name, {})
            for evaluation in _evaluations(grid, train.name, task):
                _add(grid, known, evaluation)
    made = []
    for name, train in trains.items():
        _, candidates = rates.get(pairs[name], ("", ()))
        job = Job(train, tuple(evaluations[name].values()), pairs[name], candidates)
        made.append(job.at_rate(candidates[0]) if len(candidates) == 1 else job)
    return made


def _grid(path: str, name: str, common: list[str], own: list[str]) -> Grid:
    where = f"{path}, grid {name}"
    for block in (common, own):
        said = [line.partition("=")[0] for line in block if line.startswith("--")]
        for flag in said:
            if said.count(flag) > 1:
                raise ValueError(f"{where}: {flag} stands there twice; give all values in one line")
    for line in (*common, *own):
        if line.startswith("--flagfile="):
            try:
                flag_files.check(line.partition("=")[2], (path,))
            except ValueError as error:
                raise ValueError(f"{where}, --flagfile: {error}") from error
    found = flags.FlagValues()
    for flag in ("train_flagfile", "eval_flagfile"):
        flags.DEFINE_string(flag, "", "", flag_values=found)
    for axis in AXES:
        flags.DEFINE_string(axis, None, "", flag_values=found)
    try:
        rest = found(["plan", *common, *own])[1:]
    except flags.Error as error:
        raise ValueError(f"{where}: {' '.join(str(error).split())}") from error
    if rest:
        raise ValueError(f"{where}: what is {rest[0]}? Every line begins with --")
    if not found["train_flagfile"].value:
        raise ValueError(f"{where}: --train_flagfile is missing")
    return Grid(
        where=where,
        name=name,
        train_flagfile=found["train_flagfile"].value,
        eval_flagfile=found["eval_flagfile"].value,
        **{axis: _axis(where, axis, found[axis].value) for axis in AXES},
    )


def _axis(where: str, axis: str, text: str | None) -> tuple:
    """The values of a line, which is None if there is none."""
    if text is None:
        return ()
    try:
        texts = [part.strip() for part in text.split(",")]
        if "" in texts:
            raise ValueError("a value is missing")
        found = tuple(AXES[axis](part) for part in texts)
        for part, value in zip(texts, found, strict=True):
            if found.count(value) > 1:
                raise ValueError(f"{part} stands there twice")
    except ValueError as error:
        raise ValueError(f"{where}, --{axis}: {error}") from error
    return found


def _train_runs(grid: Grid) -> Iterator[tuple[Run, str | None, str | None]]:
    """Each network's run, and its task's and architecture's names."""
    for task, architecture, factor, size, seed in itertools.product(
        *(
            axis or (None,)
            for axis in (
                grid.tasks,
                grid.architectures,
                grid.widening_factors,
                grid.representation_sizes,
                grid.seeds,
            )
        )
    ):
        picked = {"task": task, "architecture": architecture}
        names = [
            task,
            architecture,
            None if factor is None else f"k{factor}",
            f"size{size}" if size else None,
            None if seed is None else f"seed{seed}",
        ]
        passed = {
            **_not_in_path(grid.train_flagfile, picked),
            "widening_factor": factor,
            "representation_size": size or None,
            "seed": seed,
        }
        name = "-".join(part for part in names if part) or grid.name
        command = _command(grid, "train_flagfile", picked, passed)
        yield Run("train.py", _short(grid, name), command), task, architecture


def _evaluations(grid: Grid, network: str, task: str | None) -> Iterator[Run]:
    """Each evaluation of a network."""
    if not grid.eval_flagfile:
        return
    for probe, dataset, fraction in itertools.product(
        *(axis or (None,) for axis in (grid.probes, grid.datasets, grid.train_fractions))
    ):
        # All labels are what a probe uses anyway.
        fraction = None if fraction == 1 else fraction
        picked = {"probe": probe, "dataset": dataset}
        names = [probe, dataset, None if fraction is None else f"labels{fraction:g}"]
        passed = {
            **_not_in_path(grid.eval_flagfile, picked),
            "train_fraction": None if fraction is None else f"{fraction:g}",
        }
        name = _short(grid, "-".join(part for part in names if part) or "probe")
        command = _command(grid, "eval_flagfile", {**picked, "task": task}, passed)
        yield Run("eval.py", f"{network}/probes/{name}", command)


def _not_in_path(path: str, picked: dict[str, str | None]) -> dict[str, str | None]:
    return {name: value for name, value in picked.items() if f"{{{name}}}" not in path}


def _command(
    grid: Grid, kind: str, picked: dict[str, str | None], passed: dict[str, object]
) -> tuple[str, ...]:
    """The flag file, with names in its path filled in, and the flags behind it."""
    for name, value in passed.items():
        if value is not None and value not in values.KNOWN.get(name, (value,)):
            hint = values.nearest(str(value), values.KNOWN[name])
            raise ValueError(f"{grid.where}, --{name}s: there is no {name} {value}; {hint}")
    flagfile = template = getattr(grid, kind)
    blamed = []
    for name in re.findall(r"\{(.*?)\}", template):
        if name not in picked:
            hint = values.nearest(f"{{{name}}}", [f"{{{known}}}" for known in picked])
            raise ValueError(f"{grid.where}, --{kind}: what is {{{name}}} in {template}? {hint}")
        if picked[name] is None:
            raise ValueError(f"{grid.where}, --{kind}: {template} needs a {name}, and has none")
        flagfile = flagfile.replace(f"{{{name}}}", picked[name])
        blamed.append(f"--{name}s={picked[name]}")
    try:
        flag_files.check(flagfile)
    except ValueError as error:
        raise ValueError(f"{grid.where}, {' '.join(blamed) or f'--{kind}'}: {error}") from error
    return (
        f"--flagfile={flagfile}",
        *(f"--{name}={value}" for name, value in passed.items() if value is not None),
    )


def _is_trained(run: Run) -> bool:
    """Whether it trains for any epochs, so that a learning rate matters."""
    return flag_files.expand(run.flags).get("epochs") != "0"


def _short(grid: Grid, name: str) -> str:
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(
            f"{grid.where}: {name[:40]}… would be a directory's name of {len(name.encode())} "
            f"bytes; use shorter names, {LONGEST_NAME} together"
        )
    return name


def _add(grid: Grid, runs: dict[str, Run], run: Run) -> None:
    """Adds a run, unless it is there; two different runs of one name are an error."""
    known = runs.setdefault(run.name, run)
    if known != run:
        raise ValueError(
            f"{grid.where}: two grids mean different runs by {run.name}: {' '.join(known.flags)} "
            f"and {' '.join(run.flags)}; give the flag file of one of them another name"
        )
