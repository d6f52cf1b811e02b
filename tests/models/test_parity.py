"""The networks give the numbers that the authors' released code gives."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import parity

GOLDEN = Path(__file__).parent.parent / "golden"
FILES = sorted(p.name for p in GOLDEN.glob("*.npz") if p.name.startswith(("forward", "train")))


@pytest.mark.parametrize("name", [*FILES, "param_counts.json"])
def test_recorded_numbers_hold(name):
    results = parity.compare(GOLDEN / name)
    assert results
    assert [result for result in results if not result.passes] == []


def test_all_recordings_are_there():
    assert len(FILES) == 17


@pytest.fixture
def recorded(tmp_path):
    """A copy of one case, to spoil."""
    for path in GOLDEN.glob("forward_revnet50_relu_k1_224*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_wrong_numbers_and_settings_are_found(recorded, capsys):
    path = recorded / "forward_revnet50_relu_k1_224__infer.npz"
    values = dict(np.load(path))
    values["block3__std"] *= 1.0001
    values["logits"][0, 0] = np.nan
    np.savez(path, **values)
    failed = [result.name for result in parity.compare(path) if not result.passes]
    assert failed == ["logits", "block3"]
    assert parity.main([str(path)]) == 1
    assert capsys.readouterr().out.count("OUTSIDE") == 2

    description = recorded / "forward_revnet50_relu_k1_224.json"
    settings = json.loads(description.read_text())
    settings["extra"]["last_relu"] = False
    settings["weight_decay"] *= 2
    description.write_text(json.dumps(settings))
    failed = [result.name for result in parity.compare(path) if not result.passes]
    assert failed == ["logits", "pre_logits", "block3", "l2_loss (relative)"]


def test_other_files_get_one_line(recorded, capsys):
    foreign = recorded / "foreign.npz"
    np.savez(foreign, values=np.zeros(3))
    (recorded / "forward_revnet50_relu_k1_224.json").rename(recorded / "elsewhere.json")
    orphan = recorded / "forward_revnet50_relu_k1_224__train.npz"
    for path in (foreign, orphan, recorded / "none.npz"):
        assert parity.main([str(path)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
