"""Results are read back only if they are results."""

import json
import os

import pytest

from evaluate import results_file
from tests.evaluate.test_report import results


def test_loading(tmp_path):
    with pytest.raises(ValueError, match=r"run eval\.py with --workdir"):
        results_file.load_results(str(tmp_path))
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(ValueError, match=r"is not a result of eval\.py"):
        results_file.load_results(str(tmp_path))
    (tmp_path / "results.json").write_text(json.dumps(results()))
    with pytest.raises(ValueError, match=r"is not a result of eval\.py"):
        results_file.load_results(str(tmp_path))
    (tmp_path / "results.json").write_text(json.dumps(results(block1=1.0)))
    assert results_file.load_results(str(tmp_path)) == results(block1=1.0)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"null", b"7", b"[" * 10**5, b'{"layers": {"a": 1}}']
)
def test_what_is_no_result_names_the_file(tmp_path, content) -> None:
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"results\.json is not (a result|JSON)") as error:
        results_file.load_results(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"top1": None}, "of layer block1, top1 is not a number from 0 to 1"),
        ({"top1": float("nan")}, "top1 is not a number"),
        ({"top5": 1.5}, "top5 is not a number from 0 to 1"),
        ({"top1": True}, "top1 is not a number"),
        ({"features": "8"}, "features is not a number"),
        ({"l2": "auto"}, "l2 is not a number"),
        ({"seconds": 10**400}, "seconds is not a number"),
        ({"effective_rank": [1]}, "effective_rank is not a number"),
    ],
)
def test_a_row_of_the_wrong_shape(tmp_path, changes, message) -> None:
    content = results(block1=0.5)
    content["layers"]["block1"] |= changes
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        results_file.load_results(str(tmp_path))


@pytest.mark.parametrize("key", ["dataset", "val_split", "train_fraction", "layers", "overlap"])
def test_a_key_of_the_wrong_type(tmp_path, key) -> None:
    (tmp_path / "results.json").write_text(json.dumps(results(block1=0.5) | {key: ["a"]}))
    with pytest.raises(ValueError, match=r"results\.json is not a result of eval\.py"):
        results_file.load_results(str(tmp_path))


def test_what_is_no_file(tmp_path) -> None:
    (tmp_path / "results.json").mkdir()
    with pytest.raises(ValueError, match=r"results\.json is not a file"):
        results_file.load_results(str(tmp_path))
    (tmp_path / "results.json").rmdir()
    os.mkfifo(tmp_path / "results.json")
    with pytest.raises(ValueError, match=r"results\.json is not a file"):
        results_file.load_results(str(tmp_path))
