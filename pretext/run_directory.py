"""What a run leaves in its directory, and how a second start finds its way in it.

WORKDIR/flags.cfg      the run's flags; `train.py --flagfile=WORKDIR/flags.cfg` repeats it
WORKDIR/metrics.csv    a row for every logged step
WORKDIR/checkpoints/   weights, optimiser and step
WORKDIR/tensorboard/   the same metrics for TensorBoard
WORKDIR/saved_model/   the export; there once the run is finished, and whole
"""

import csv
import io
import os
import sys
from collections.abc import Callable

import tensorflow as tf
from absl import app, flags, logging
from etils import epath


def claim(workdir: str, flags: dict[str, str], may_differ: tuple[str, ...] = ()) -> epath.Path:
    """Makes the run's directory, or checks that the one there belongs to the same run.

    Args:
        workdir: the directory.
        flags: value by flag name, all that the run depends on.
        may_differ: flags that may change between two starts of one run.

    Returns:
        The directory's path.

    Raises:
        ValueError: the directory holds a run with other flags; names those that differ.
    """
    if not workdir:
        raise ValueError("--workdir is missing: name a directory for the run's files")
    root = epath.Path(workdir)
    file = root / "flags.cfg"
    if file.exists():
        lines = [
            line[2:].split("=", 1) for line in file.read_text().splitlines() if line[:2] == "--"
        ]
        before = dict(lines)
        names = sorted(set(before) | set(flags))
        differ = [
            f"--{name} (there {before.get(name, 'unset')}, now {flags.get(name, 'unset')})"
            for name in names
            if name not in may_differ and before.get(name) != flags.get(name)
        ]
        if differ:
            raise ValueError(
                f"{workdir} holds a run with other flags: {', '.join(differ)}; "
                "use another --workdir, or the same flags to continue that run"
            )
    root.mkdir(parents=True, exist_ok=True)
    write_whole(file, "".join(f"--{name}={value}\n" for name, value in sorted(flags.items())))
    return root


def flag_texts(names: list[str]) -> dict[str, str]:
    """The values of absl flags as a flag file would have them."""

    def text(value: object) -> str:
        return ",".join(value) if isinstance(value, list) else "" if value is None else str(value)

    return {name: text(flags.FLAGS[name].value) for name in names}


def run(program: str, main: Callable[[list[str]], None]) -> None:
    """Runs a program's `main`; what a user can cause ends with one line and status 1.

    The environment variable TRACEBACK shows where it came from instead.
    """
    logging.set_verbosity(logging.WARNING)
    try:
        app.run(main)
    except (ValueError, FloatingPointError, OSError) as error:
        if os.environ.get("TRACEBACK"):
            raise
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(1)


def write_whole(path: epath.Path, text: str) -> None:
    """Writes a file so that it is never seen half written."""
    beside = path.with_name(path.name + ".incomplete")
    beside.write_text(text)
    tf.io.gfile.rename(str(beside), str(path), overwrite=True)


class MetricsFile:
    """`metrics.csv`: one row per logged step, cut back to the step a run restarts from.

    Args:
        path: the file.
        columns: the columns' names, `step` first.
        step: rows of later steps are dropped.
    """

    def __init__(self, path: epath.Path, columns: list[str], step: int) -> None:
        self.path = path
        self.columns = columns
        kept = [row for row in read_metrics(path) if int(row["step"]) <= step]
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: row.get(name, "") for name in columns} for row in kept)
        write_whole(path, text.getvalue())

    def append(self, row: dict[str, float]) -> None:
        """Adds a row; columns that it lacks stay empty."""
        text = io.StringIO()
        csv.DictWriter(text, self.columns, lineterminator="\n").writerow(row)
        with tf.io.gfile.GFile(str(self.path), "a") as file:
            file.write(text.getvalue())


def read_metrics(path: epath.Path) -> list[dict[str, str]]:
    """The whole rows of a metrics file; a line cut short by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    return [row for row in csv.DictReader(whole) if None not in row.values()]
