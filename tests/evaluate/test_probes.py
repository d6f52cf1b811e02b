"""Finished layers are kept, and measured again where what was kept cannot be believed."""

import json
import logging

import numpy as np
import pytest
from etils import epath

from evaluate import probes
from evaluate.representations import Representations

SOURCE = {"train": "a", "val": "b"}


def split(size: int, seed: int) -> Representations:
    random = np.random.default_rng(seed)
    labels = np.arange(size) % 2
    directions = np.eye(3)[labels]
    layers = {
        name: (directions + 0.1 * random.standard_normal((size, 3))).astype(np.float32)
        for name in ("block1", "block2")
    }
    return Representations(layers, labels, np.arange(size), ("a", "b"), 0, {})


def measured(partial, monkeypatch) -> list[str]:
    """The layers that are measured by a start, whose results must be those of the first."""
    train, val = split(20, 0), split(10, 1)
    layers = []
    measure = probes.measure

    def noted(layer, *arguments, **options):
        layers.append(layer)
        return measure(layer, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(probes, "measure", noted)
        rows = probes.measure_all(
            train,
            val,
            np.arange(20),
            num_classes=2,
            options=probes.ProbeOptions(probe="knn", neighbours=3),
            source=SOURCE,
            partial=epath.Path(partial),
        )
    assert [rows[layer]["top1"] for layer in ("block1", "block2")] == [1.0, 1.0]
    return layers


@pytest.fixture
def partial(tmp_path, monkeypatch):
    file = tmp_path / "results.partial.json"
    assert measured(file, monkeypatch) == ["block1", "block2"]
    assert measured(file, monkeypatch) == []
    return file


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b'{"source', b"[]", b"null", b"7", b"\xff\x00", b"{}"),
        json.dumps({"source": SOURCE, "layers": None}).encode(),
        json.dumps({"source": SOURCE, "layers": 3}).encode(),
        json.dumps({"source": SOURCE}).encode(),
    ],
)
def test_a_damaged_file_is_measured_again(partial, monkeypatch, caplog, content) -> None:
    partial.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert measured(partial, monkeypatch) == ["block1", "block2"]
    assert "results.partial.json is damaged" in caplog.text
    assert measured(partial, monkeypatch) == []


def test_one_layer_that_is_damaged_is_measured_again(partial, monkeypatch, caplog) -> None:
    content = json.loads(partial.read_text())
    content["layers"]["block2"]["top1"] = "high"
    partial.write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING):
        assert measured(partial, monkeypatch) == ["block2"]
    assert "(of layer block2, top1 is not a number from 0 to 1)" in caplog.text


def test_results_of_another_source_do_not_count(partial, monkeypatch, caplog) -> None:
    content = json.loads(partial.read_text())
    partial.write_text(json.dumps(content | {"source": {}}))
    assert measured(partial, monkeypatch) == ["block1", "block2"]
    assert not caplog.records
