"""The files of one run: `flags.cfg`, `results.json`, `metrics.csv`, whatever state they are in.

Every function raises a ValueError that says what is wrong with a file, and nothing else: one odd
run must not end the report of a study.
"""

import csv
import json
import math
from typing import NamedTuple

from etils import epath

from studies import flag_files
from training.regular_files import is_regular

# What the task's own success is called on held-out images.
PRETEXT_METRICS = ("val_accuracy", "val_retrieval")


class Layer(NamedTuple):
    """What a probe found on a layer; see `frames.py`."""

    features: int
    top1: float
    top5: float
    effective_rank: float | None
    first_ten_variance: float | None


class Results(NamedTuple):
    """`results.json`; see `frames.py`."""

    probe: str
    dataset: str
    val_split: str
    epochs: float
    first_decay: float
    classes: int | None
    layers: dict[str, Layer]


def printable(text: str) -> str:
    """A text from elsewhere as one line that can be printed and written to a file."""
    clean = "".join(c if c.isprintable() else " " for c in text.encode(errors="replace").decode())
    return " ".join(clean.split())


def read_flags(path: epath.Path) -> dict[str, str]:
    """The flags of a run."""
    found = flag_files.read(_text(path).splitlines())
    return {printable(name): printable(value) for name, value in found.items()}


def whole_number(flags: dict[str, str], name: str, least: int, default: int | None = None) -> int:
    """A flag's value from `least` to a thousand millions."""
    text = flags.get(name, "" if default is None else str(default))
    if not text.isdecimal() or len(text) > 10 or not least <= int(text) <= 10**9:
        raise ValueError(f"--{name}={text} is not a whole number of at least {least}")
    return int(text)


def share(flags: dict[str, str], name: str) -> float:
    """A flag's value in (0, 1]; 1 if it is not there."""
    text = flags.get(name) or "1"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1:
        raise ValueError(f"--{name}={text} is not a number above 0 and up to 1")
    return value


def read_json(path: epath.Path) -> object:
    """What a JSON file holds."""
    try:
        return json.loads(_text(path))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def number(value: object, what: str, most: float) -> float:
    """A number from 0 on, as JSON has it; not a truth value, not NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"{what} is not a number from 0 to {most:g}")
    return value


def read_results(path: epath.Path) -> Results:
    """What a probe measured."""
    results = _mapping(read_json(path), "it")
    training = _mapping(results.get("training") or {}, "training")
    decays = training.get("decay_epochs") or [0]
    if not isinstance(decays, list):
        raise ValueError("decay_epochs is not a list")
    layers = _mapping(results.get("layers"), "layers")
    return Results(
        probe=_name(results, "probe"),
        dataset=_name(results, "dataset"),
        val_split=_name(results, "val_split"),
        epochs=number(training.get("epochs", 0), "epochs", 1e9),
        first_decay=number(decays[0], "decay_epochs", 1e9),
        classes=_classes(results.get("classes")),
        layers={printable(name): _layer(name, values) for name, values in layers.items()},
    )


def metric_rows(path: epath.Path) -> list[dict[str, str]]:
    """The rows of a metrics file, [] if there is none, without a last line that a kill cut."""
    if not path.exists():
        return []
    lines = _text(path).splitlines(keepends=True)
    try:
        return list(csv.DictReader(line for line in lines if line.endswith("\n")))
    except csv.Error as error:
        raise ValueError(str(error)) from error


def last_pretext(path: epath.Path) -> float | None:
    """The pretext task's metric on held-out images after the last epoch, if it was measured."""
    found = None
    for row in metric_rows(path):
        for name in PRETEXT_METRICS:
            if row.get(name):
                found = _from_text(row[name], name, 1.0)
    return found


def curve(rows: list[dict[str, str]], layer: str) -> tuple[tuple[float, float], ...]:
    """(epoch, top-1) of a layer on held-out images, after each epoch."""
    column = f"val_top1_{layer}"
    return tuple(
        (_from_text(row.get("epoch"), "epoch", 1e9), _from_text(row[column], column, 1.0))
        for row in rows
        if row.get(column)
    )


def _text(path: epath.Path) -> str:
    if not is_regular(path):
        raise ValueError("it is not a file")
    try:
        return path.read_text()
    except UnicodeDecodeError as error:
        raise ValueError("it is not text") from error
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error


def _layer(name: str, values: object) -> Layer:
    values = _mapping(values, f"layer {printable(name)}")
    features = number(values.get("features"), "features", 1e12)
    if features < 1 or features != int(features):
        raise ValueError(f"features is {features:g}")
    return Layer(
        features=int(features),
        top1=number(values.get("top1"), "top1", 1.0),
        top5=number(values.get("top5"), "top5", 1.0),
        effective_rank=_optional(values.get("effective_rank"), "effective_rank"),
        first_ten_variance=_optional(values.get("first_ten_variance"), "first_ten_variance"),
    )


def _mapping(value: object, what: str) -> dict:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not a table of names and values")
    return value


def _name(results: dict, key: str) -> str:
    value = results.get(key)
    if not isinstance(value, str) or not printable(value):
        raise ValueError(f"{key} is not a name")
    return printable(value)


def _classes(value: object) -> int | None:
    return None if value is None else int(number(value, "classes", 1e9))


def _optional(value: object, what: str) -> float | None:
    # The scores of a representation that is constant may be NaN.
    return None if value is None or value != value else number(value, what, 1e12)


def _from_text(text: str | None, what: str, most: float) -> float:
    try:
        return float(number(float(text or "nan"), what, most))
    except (TypeError, ValueError):
        raise ValueError(f"{what} is not a number from 0 to {most:g}") from None
