"""Results as they are read back, from `results.json` and `results.partial.json`.

Both may have been cut, overwritten or written by something else: nothing in them is believed
before it has the shape and the range of a result.
"""

import json
import math
from typing import Any

from etils import epath

from training.regular_files import is_regular

Results = dict[str, Any]

NUMBERS = ("loss", "l2", "train_loss", "effective_rank", "first_ten_variance", "seconds")
COUNTS = ("train_examples", "val_examples", "classes", "overlap", "untrained_examples")


def load_results(run: str) -> Results:
    """Reads a run's `results.json`.

    Args:
        run: the directory that `eval.py` wrote, or the file itself.

    Raises:
        ValueError: there is no such file, or eval.py did not write it; names the file.
    """
    path = epath.Path(run)
    if path.name != "results.json":
        path = path / "results.json"
    if not path.exists():
        raise ValueError(f"{path} does not exist: run eval.py with --workdir={path.parent} first")
    results = read_json(path)
    problem = _problem(results)
    if problem:
        raise ValueError(f"{path} is not a result of eval.py: {problem}")
    return results


def read_json(path: epath.Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: it is not a regular file, or does not hold JSON; names the file.
    """
    # epath takes a fifo for a file, and reading one may never end.
    if not is_regular(path):
        raise ValueError(f"{path} is not a file")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error


def row_problem(row: Any) -> str:
    """What is wrong with a layer's row of results; empty if nothing is wrong."""
    if not isinstance(row, dict):
        return "it is not an object"
    for name in ("top1", "top5"):
        if not _is_number(row.get(name)) or not 0 <= row[name] <= 1:
            return f"{name} is not a number from 0 to 1"
    if not _is_number(row.get("features")):
        return "features is not a number"
    for name in NUMBERS:
        if row.get(name) is not None and not _is_number(row[name]):
            return f"{name} is not a number"
    return ""


def _problem(results: Any) -> str:
    if not isinstance(results, dict):
        return "it is not an object"
    for name in ("dataset", "val_split"):
        if not isinstance(results.get(name), str):
            return f"{name} is not text"
    if not _is_number(results.get("train_fraction", 1)):
        return "train_fraction is not a number"
    for name in COUNTS:
        if results.get(name) is not None and not _is_number(results[name]):
            return f"{name} is not a number"
    layers = results.get("layers")
    if not isinstance(layers, dict) or not layers:
        return "it has no layers"
    for layer, row in layers.items():
        problem = row_problem(row)
        if problem:
            return f"of layer {layer}, {problem}"
    return ""


def _is_number(value: Any) -> bool:
    """Whether a value can be formatted and drawn: no NaN, no infinity, no true."""
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:
        return False
