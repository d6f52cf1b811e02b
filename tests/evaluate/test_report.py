import json

import pytest
from etils import epath
from PIL import Image

from evaluate import report


def results(**top1: float) -> dict:
    layers = {
        name: {"features": 8, "top1": value, "top5": 1.0, "l2": 1e-3, "updates": 4, "seconds": 1.0}
        for name, value in top1.items()
    }
    return {"dataset": "scenes", "val_split": "test", "probe": "lbfgs", "layers": layers}


def test_table():
    lines = report.table(results(block1=0.5)).splitlines()
    assert lines[2].split() == ["block1", "8", "50.0", "%", "100.0", "%", "1e-03", "4", "1.0"]
    scored = results(block1=0.5)
    scored["layers"]["block1"] |= {"effective_rank": 12.34, "first_ten_variance": 0.5}
    row = report.table(scored).splitlines()[2]
    assert row.split()[6:9] == ["12.3", "50.0", "%"]


def test_plot_is_a_picture(tmp_path):
    path = epath.Path(tmp_path / "plot.png")
    report.plot({"a": results(block1=0.5, block2=0.6)}, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in path.parent.iterdir()] == ["plot.png"]


def test_plots_of_many_runs_and_of_runs_of_one_layer(tmp_path):
    path = epath.Path(tmp_path / "plot.png")
    runs = {f"run {number}": results(block1=number / 12, block2=0) for number in range(12)}
    runs["other"] = {**results(pre_logits=1.0), "dataset": "imagenet2012"}
    report.plot(runs, path)
    with Image.open(path) as picture:
        assert picture.size[0] > 600
    report.plot({"a": results(pre_logits=0.0)}, path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_loading(tmp_path):
    with pytest.raises(ValueError, match=r"run eval\.py with --workdir"):
        report.load_results(str(tmp_path))
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(ValueError, match=r"is no result of eval\.py"):
        report.load_results(str(tmp_path))
    (tmp_path / "results.json").write_text(json.dumps(results()))
    with pytest.raises(ValueError, match=r"is no result of eval\.py"):
        report.load_results(str(tmp_path))
    (tmp_path / "results.json").write_text(json.dumps(results(block1=1.0)))
    assert report.load_results(str(tmp_path)) == results(block1=1.0)
