"""A run's metrics: summed up on the devices, and a row of `metrics.csv` from time to time."""

import csv
import io
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from etils import epath

from training import regular_files
from training.error_lines import writing
from training.run_directory import write_whole


class MetricSums:
    """Sums of the metrics since the last row of `metrics.csv`, kept on the devices.

    Reading them waits for the devices, adding to them does not. They are part of the checkpoint,
    so that a row does not depend on where a run was restarted. Make them in the strategy's scope.

    Args:
        names: of the metrics; those that begin with `loss` are losses, and there is at least one.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.variables = {name: tf.Variable(0.0) for name in ("steps", *names)}
        self._losses = [self.variables[name] for name in names if name.startswith("loss")]
        # The steps whose losses were finite: once one has not been, a sum stays so.
        self._finite_steps = tf.Variable(0.0)

    def add(self, metrics: dict[str, tf.Tensor]) -> None:
        """Adds a step's metrics, scalars by name; to be called inside a `tf.function`."""
        self.variables["steps"].assign_add(1.0)
        for name, value in metrics.items():
            self.variables[name].assign_add(value)
        finite = tf.reduce_all([tf.math.is_finite(loss) for loss in self._losses])
        self._finite_steps.assign_add(tf.cast(finite, tf.float32))

    def restored(self) -> None:
        """Call this after the variables were restored; only finite sums are ever saved."""
        self._finite_steps.assign(self.variables["steps"])

    def reset(self) -> None:
        """Starts a new row."""
        for variable in (*self.variables.values(), self._finite_steps):
            variable.assign(0.0)

    @property
    def steps(self) -> int:
        """Steps since the last row."""
        return int(self.variables["steps"].numpy())

    def first_not_finite(self, step: int) -> int | None:
        """The first step since the last row with a loss that is not finite; None without one.

        Args:
            step: the step that the sums go up to.
        """
        finite_steps = int(self._finite_steps.numpy())
        return None if finite_steps == self.steps else step - self.steps + finite_steps + 1

    def means(self, dtype: type[np.floating] = np.float32) -> dict[str, float]:
        """The means over `steps`, by name.

        Args:
            dtype: what the division is done in.
        """
        return {
            name: float(dtype(variable.numpy()) / self.steps)
            for name, variable in self.variables.items()
            if name != "steps"
        }


class MetricsFile:
    """`metrics.csv`: one row per logged step, cut back to the step a run restarts from.

    Args:
        path: the file.
        columns: the columns' names, `step` first; others that rows of an earlier start have follow.
        step: rows of later steps are dropped.
    """

    def __init__(self, path: epath.Path, columns: list[str], step: int) -> None:
        self.path = path
        kept = [row for row in read_metrics(path) if int(row["step"]) <= step]
        earlier = [name for name in (kept[0] if kept else ()) if name not in columns]
        self.columns = columns = [*columns, *earlier]
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
        ValueError: the file is damaged; something other than a program wrote or changed it.
    """
    if not path.exists():
        return []
    lines = regular_files.read_bytes(path).decode(errors="replace").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    try:
        rows = [row for row in csv.DictReader(whole) if None not in row.values()]
    except csv.Error as error:
        raise ValueError(
            f"{path} is damaged ({error}): move it away, and the same command continues, without "
            "the rows in it"
        ) from error
    for number, row in enumerate(rows, start=1):
        if not _is_row(row):
            raise ValueError(
                f"{path} is damaged (row {number} holds no step and numbers): move it away, and "
                "the same command continues, without the rows in it"
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
