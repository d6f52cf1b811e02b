"""What makes an accuracy mean less than it seems to is said."""

import logging

import numpy as np
import pytest

from evaluate import coverage

NAMES = ("ant", "bee", "cat", "dog", "emu", "fox")


def check(train, val, caplog, **options):
    with caplog.at_level(logging.WARNING):
        found = coverage.check(np.array(train), np.array(val), NAMES, **({"overlap": 0} | options))
    assert all("\n" not in record.getMessage() for record in caplog.records)
    return found


def test_nothing_to_say(caplog) -> None:
    found = check([0, 1, 2, 3, 4, 5], [0, 1, 1], caplog, neighbours=6)
    assert found == coverage.Coverage(0, (), 0)
    assert not caplog.records
    assert coverage.remarks({"overlap": 0, "untrained_examples": 0}) == []
    assert coverage.remarks({}) == []


def test_classes_that_were_never_trained(caplog) -> None:
    found = check([0, 1] * 4, [1, 2, 2, 3, 4, 5], caplog)
    assert found == coverage.Coverage(0, ("cat", "dog", "emu", "fox"), 5)
    assert "5 of 6 validation images are of classes without a training example" in caplog.text
    assert "(cat, dog, emu and 1 more)" in caplog.text
    (line,) = coverage.remarks({**found.__dict__, "val_examples": 6})
    assert line.startswith("5 of 6 validation images are of 4 classes without")


def test_splits_that_overlap(caplog) -> None:
    assert check(range(6), [0, 1], caplog, overlap=2).overlap == 2
    assert "overlapping splits: 2 of the validation split's images are also in" in caplog.text
    assert (
        "2 validation images are also in the training split" in coverage.remarks({"overlap": 2})[0]
    )


def test_few_examples(caplog) -> None:
    check([0, 1], [0], caplog, neighbours=20)
    assert "2 training examples of 6 classes: fewer than one per class" in caplog.text
    assert "--neighbours=20: there are 2 training examples, all of which vote" in caplog.text
    with pytest.raises(ValueError, match="all 3 training examples are of the class bee"):
        check([1, 1, 1], [0, 1], caplog)
    for labels in ([-1, 0, 1], [0, 1, 6]):
        with pytest.raises(ValueError, match="its 6 classes have 0 to 5: a probe cannot be fitted"):
            check(labels, [0, 1], caplog)
