import json

import pytest
from etils import epath

from evaluate import report


def results(**top1: float) -> dict:
    layers = {
        name: {"features": 8, "top1": value, "top5": 1.0, "l2": 1e-3, "updates": 4, "seconds": 1.0}
        for name, value in top1.items()
    }
    return {"dataset": "scenes", "val_split": "test", "layers": layers}


def test_table_and_comparison():
    assert report.table(results(block1=0.5)).splitlines()[2].split() == (
        ["block1", "8", "50.0", "%", "100.0", "%", "1e-03", "4", "1.0"]
    )
    runs = {"a": results(pixels=0.1, block1=0.5), "b": results(block1=0.75)}
    lines = report.comparison(runs).splitlines()
    assert lines[0].split() == ["layer", "a", "b"]
    assert lines[2].split() == ["pixels", "10.0", "%"]
    assert lines[3].split() == ["block1", "50.0", "%", "75.0", "%"]


def test_plot_is_a_picture(tmp_path):
    path = epath.Path(tmp_path / "plot.png")
    report.plot({"a": results(block1=0.5, block2=0.6)}, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in path.parent.iterdir()] == ["plot.png"]


def test_loading(tmp_path):
    with pytest.raises(ValueError, match=r"run eval\.py with --workdir"):
        report.load(str(tmp_path))
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(ValueError, match=r"is no result of eval\.py"):
        report.load(str(tmp_path))
    (tmp_path / "results.json").write_text(json.dumps(results(block1=1.0)))
    assert report.load(str(tmp_path)) == results(block1=1.0)
