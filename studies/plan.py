"""A plan: a flag file that describes grids of runs, and the runs that it stands for.

Lines before the first `--grid=NAME` hold for all grids of the file; every `--grid=NAME` begins
another grid, and the plan is the union of all: what two grids have in common runs once. See
`docs/study.md` for an example.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator

from absl import flags
from etils import epath


@dataclasses.dataclass(frozen=True)
class Grid:
    """All combinations of some values, and the flag files that say everything else.

    Attributes:
        name: for messages.
        train_flagfile, eval_flagfile: paths in which `{task}`, `{architecture}`, `{probe}` and
            `{dataset}` stand for the value at hand. A value that picks the file is not passed as
            a flag as well: the file says what the name means. Without `eval_flagfile` nothing is
            probed.
        tasks, architectures, widening_factors, representation_sizes, seeds: of the networks. An
            empty list leaves it to the flag file.
        probes, train_fractions, datasets: of the evaluations of each network, likewise.
    """

    name: str
    train_flagfile: str
    eval_flagfile: str
    tasks: tuple[str, ...]
    architectures: tuple[str, ...]
    widening_factors: tuple[int, ...]
    representation_sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    probes: tuple[str, ...]
    train_fractions: tuple[float, ...]
    datasets: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Run:
    """A call of `train.py` or `eval.py`.

    Attributes:
        program: the one or the other.
        name: the run directory, below the study's.
        flags: the command line without what depends on where the study is: `--workdir`,
            `--data_dir`, `--saved_model`, `--representations_dir`.
    """

    program: str
    name: str
    flags: tuple[str, ...]

    @property
    def result(self) -> str:
        """What is in the run directory once the run is finished."""
        return {"train.py": "saved_model", "eval.py": "results.json"}[self.program]


@dataclasses.dataclass(frozen=True)
class Job:
    """A pretraining run and the evaluations of the network that it leaves."""

    train: Run
    evaluations: tuple[Run, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """All of them, in the order to run them in."""
        return (self.train, *self.evaluations)


def read(path: str) -> list[Grid]:
    """Reads a plan.

    Raises:
        ValueError: there is no such file, it has no grid, or a line is wrong.
    """
    file = epath.Path(path)
    if not file.is_file():
        raise ValueError(f"--plan={path} does not exist")
    lines = [line.strip() for line in file.read_text().splitlines()]
    common: list[str] = []
    grids: dict[str, list[str]] = {}
    block = common
    for line in lines:
        if not line or line.startswith(("#", "//")):
            continue
        if line.startswith("--grid="):
            name = line.removeprefix("--grid=")
            if not name or name in grids:
                raise ValueError(f"{path}: every --grid needs a name of its own, not {name!r}")
            block = grids[name] = []
        else:
            block.append(line)
    if not grids:
        raise ValueError(f"{path} describes no grid: it needs a line --grid=NAME")
    return [_grid(path, name, [*common, *lines]) for name, lines in grids.items()]


def jobs(grids: list[Grid]) -> list[Job]:
    """The runs that the grids stand for, each network with its evaluations; nothing twice.

    Raises:
        ValueError: two grids mean different runs by the same name, or a flag file is missing.
    """
    trains: dict[str, Run] = {}
    evaluations: dict[str, dict[str, Run]] = {}
    for grid in grids:
        for train, task in _train_runs(grid):
            _add(trains, train)
            known = evaluations.setdefault(train.name, {})
            for evaluation in _evaluations(grid, train.name, task):
                _add(known, evaluation)
    return [Job(train, tuple(evaluations[name].values())) for name, train in trains.items()]


def shard(all_jobs: list[Job], text: str) -> list[Job]:
    """Every n-th job from the i-th on, of `i/n`, i from 0: the same jobs at every call.

    Raises:
        ValueError: the text is none of 0/n … (n-1)/n.
    """
    try:
        index, count = (int(part) for part in text.split("/"))
    except ValueError:
        index, count = 0, 0
    if not 0 <= index < count:
        raise ValueError(f"--shard={text}: use i/n with i from 0 to n-1, such as 0/4")
    return all_jobs[index::count]


def note(all_jobs: list[Job], skipped: list[str], command: str, path: epath.Path) -> None:
    """Writes down what a plan stands for, so that a report can say what is missing and why.

    Args:
        all_jobs: the runs of the plan, whose names become lines.
        skipped: lines about those that will not be run; `# ` is put in front.
        command: what runs the plan; `$ ` is put in front.
        path: the file.
    """
    lines = [
        f"$ {command}",
        *(f"# {line}" for line in skipped),
        *(run.name for job in all_jobs for run in job.runs),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def _grid(path: str, name: str, lines: list[str]) -> Grid:
    values = flags.FlagValues()
    flags.DEFINE_string("train_flagfile", "", "", flag_values=values)
    flags.DEFINE_string("eval_flagfile", "", "", flag_values=values)
    kinds = {
        "tasks": str,
        "architectures": str,
        "widening_factors": _whole_number(1),
        "representation_sizes": _whole_number(0),
        "seeds": _whole_number(0),
        "probes": str,
        "train_fractions": _fraction,
        "datasets": str,
    }
    for axis in kinds:
        flags.DEFINE_list(axis, [], "", flag_values=values)
    try:
        rest = values(["plan", *lines])[1:]
    except flags.Error as error:
        raise ValueError(f"{path}, grid {name}: {error}") from error
    if rest:
        raise ValueError(f"{path}, grid {name}: what is {rest[0]}? Every line begins with --")
    if not values["train_flagfile"].value:
        raise ValueError(f"{path}, grid {name}: --train_flagfile is missing")
    axes = {}
    for axis, kind in kinds.items():
        try:
            axes[axis] = tuple(dict.fromkeys(kind(text) for text in values[axis].value))
        except ValueError as error:
            raise ValueError(f"{path}, grid {name}, --{axis}: {error}") from error
    return Grid(
        name=name,
        train_flagfile=values["train_flagfile"].value,
        eval_flagfile=values["eval_flagfile"].value,
        **axes,
    )


def _train_runs(grid: Grid) -> Iterator[tuple[Run, str]]:
    """Each network's run, and its task's name."""
    for task, architecture, factor, size, seed in itertools.product(
        *(
            values or (None,)
            for values in (
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
        yield Run("train.py", name, _command(grid, grid.train_flagfile, picked, passed)), task


def _evaluations(grid: Grid, network: str, task: str | None) -> Iterator[Run]:
    """Each evaluation of a network."""
    if not grid.eval_flagfile:
        return
    for probe, dataset, fraction in itertools.product(
        *(values or (None,) for values in (grid.probes, grid.datasets, grid.train_fractions))
    ):
        # All labels are what a probe uses anyway.
        fraction = None if fraction == 1 else fraction
        picked = {"probe": probe, "dataset": dataset}
        names = [probe, dataset, None if fraction is None else f"labels{fraction:g}"]
        passed = {
            **_not_in_path(grid.eval_flagfile, picked),
            "train_fraction": None if fraction is None else f"{fraction:g}",
        }
        name = "-".join(part for part in names if part) or "probe"
        yield Run(
            "eval.py",
            f"{network}/probes/{name}",
            _command(grid, grid.eval_flagfile, picked | {"task": task}, passed),
        )


def _not_in_path(path: str, values: dict[str, str | None]) -> dict[str, str | None]:
    return {name: value for name, value in values.items() if f"{{{name}}}" not in path}


def _command(
    grid: Grid, flagfile: str, picked: dict[str, str | None], passed: dict[str, object]
) -> tuple[str, ...]:
    for name, value in picked.items():
        if f"{{{name}}}" in flagfile:
            if value is None:
                raise ValueError(f"grid {grid.name}: {flagfile} needs a {name}, and has none")
            flagfile = flagfile.replace(f"{{{name}}}", value)
    if not epath.Path(flagfile).is_file():
        raise ValueError(f"grid {grid.name}: {flagfile} does not exist")
    return (
        f"--flagfile={flagfile}",
        *(f"--{name}={value}" for name, value in passed.items() if value is not None),
    )


def _add(runs: dict[str, Run], run: Run) -> None:
    """Adds a run, unless it is there; two different runs of one name are an error."""
    known = runs.setdefault(run.name, run)
    if known != run:
        raise ValueError(
            f"two grids mean different runs by {run.name}: {' '.join(known.flags)} and "
            f"{' '.join(run.flags)}; give the flag file of one of them another name"
        )


def _whole_number(least: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        number = int(text) if text.strip().isdecimal() else -1
        if number < least:
            raise ValueError(f"{text} is no whole number of at least {least}")
        return number

    return convert


def _fraction(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise ValueError(f"{text} is no share of the labels, more than 0 and at most 1")
    return number
