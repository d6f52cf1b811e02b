import csv
import io
import json

import pytest

from evaluate import comparison
from tests.evaluate.test_report import results


def write(directory, content: dict) -> str:
    directory.mkdir(parents=True)
    (directory / "results.json").write_text(json.dumps(content))
    return str(directory)


def test_runs_are_named_by_what_tells_them_apart(tmp_path) -> None:
    paths = [write(tmp_path / run / "probe", results(block1=0.5)) for run in ("rotation", "jigsaw")]
    assert list(comparison.load(paths)) == ["rotation/probe", "jigsaw/probe"]
    assert list(comparison.load([paths[0] + "/", paths[0] + "/results.json"])) == ["probe"]


def test_layers_and_data_sets_may_differ(tmp_path) -> None:
    other = {**results(block1=0.75), "dataset": "imagenet2012", "train_fraction": 0.05}
    runs = {"a": results(pixels=0.1, block1=0.5), "b": {**other, "probe": "knn"}}
    lines = comparison.table(runs).splitlines()
    assert lines[0].split() == ["run", "top-1", "of", "pixels", "block1"]
    assert lines[2].split() == ["a", "lbfgs", "scenes", "test", "10.0", "%", "50.0", "%"]
    assert lines[3].startswith("b    knn imagenet2012 test, 5 % of the labels")
    assert lines[3].split()[-2:] == ["75.0", "%"]
    assert lines[3].index("75.0") == lines[2].index("50.0")

    rows = list(csv.DictReader(io.StringIO(comparison.csv_text(runs))))
    assert [(row["run"], row["layer"], row["top1"]) for row in rows] == [
        ("a", "pixels", "0.1"),
        ("a", "block1", "0.5"),
        ("b", "block1", "0.75"),
    ]
    assert [row["train_fraction"] for row in rows] == ["", "", "0.05"]


def test_what_is_no_run_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"none/results\.json does not exist"):
        comparison.load([str(tmp_path / "none")])
