import pytest
from etils import epath
from PIL import Image

from evaluate import figures, report
from tests.full_disk import no_files_larger_than


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


def test_names_that_matplotlib_would_take_for_something_else(tmp_path, recwarn):
    path = epath.Path(tmp_path / "plot.png")
    names = ["$x$", r"\frac{1}", "$", "a\nb", "_hidden", "日本 \U0001f600", "long" * 300, ""]
    runs = {name: results(**{name or "a": 0.5, "$_{": 0.25}) for name in names}
    with figures.drawing() as plt:
        pass
    report.plot(runs, path)
    assert not [str(warning.message) for warning in recwarn]
    assert not plt.get_fignums()
    with Image.open(path) as picture:
        assert picture.size[0] < 4000
    assert figures.label("long" * 300) == "long" * 7 + "l…g" + "long" * 7
    assert figures.label("a\n b") == "a b"


def test_a_plot_without_room_leaves_the_one_before(tmp_path):
    path = epath.Path(tmp_path / "plot.png")
    report.plot({"a": results(block1=0.5)}, path)
    before = path.read_bytes()
    with no_files_larger_than(1000), pytest.raises(OSError, match=r"plot.png could not be written"):
        report.plot({"a": results(block1=0.7)}, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["plot.png"]
