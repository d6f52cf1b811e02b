"""`metrics.csv`: numbers by step, continued where a run restarts."""

import csv
import io

import tensorflow as tf
from etils import epath

from training import regular_files
from training.error_lines import writing
from training.run_directory import write_whole


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
        with writing(self.path), tf.io.gfile.GFile(str(self.path), "a") as file:
            file.write(text.getvalue())


def read_metrics(path: epath.Path) -> list[dict[str, str]]:
    """The whole rows of a metrics file; a line cut short by a kill is left out.

    Raises:
        ValueError: something else than a program wrote or changed it.
    """
    if not path.exists():
        return []
    lines = regular_files.read_bytes(path).decode(errors="replace").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    try:
        rows = [row for row in csv.DictReader(whole) if None not in row.values()]
    except csv.Error as error:
        raise ValueError(
            f"{path} is damaged ({error}): move it away, and the same command goes on, without "
            "the rows in it"
        ) from error
    for number, row in enumerate(rows, start=1):
        if not _is_row(row):
            raise ValueError(
                f"{path} is damaged (row {number} holds no step and numbers): move it away, and "
                "the same command goes on, without the rows in it"
            )
    return rows


def _is_row(row: dict[str, str]) -> bool:
    """Whether a row has a step and numbers alone."""
    try:
        int(row["step"])
        _ = [float(text) for name, text in row.items() if name != "step" and text]
    except (KeyError, TypeError, ValueError):
        return False
    return True


def last(path: epath.Path, prefix: str) -> dict[str, float]:
    """The latest values of the columns whose names begin with `prefix`; {} if there are none."""
    for row in reversed(read_metrics(path)):
        values = {
            name: float(text) for name, text in row.items() if name.startswith(prefix) and text
        }
        if values:
            return values
    return {}
