import dataclasses
import itertools

import pytest

import data
from data import overlap
from data.records import Records, Span
from tests.data.test_builders import TinyDigits, ids  # noqa: F401 (found by its name)
from tests.data.test_folder import write_images


def by_identifiers(splits: list[Records]) -> list[int]:
    """What every pair shares."""
    sets = [ids(records) for records in splits]
    return [len(first & second) for first, second in itertools.product(sets, repeat=2)]


def by_overlap(splits: list[Records]) -> list[int]:
    return [overlap.shared(*pair) for pair in itertools.product(splits, repeat=2)]


def test_splits_of_a_folder(tmp_path) -> None:
    write_images(tmp_path, [f"{'cat' if i % 2 else 'dog'}/{i}.png" for i in range(50)])
    names = ("train", "val", "trainval", "test", "all")
    splits = [data.load("folder", name, str(tmp_path)) for name in names]
    assert by_overlap(splits) == by_identifiers(splits)
    assert overlap.shared(splits[0], splits[1]) == 0
    assert overlap.shared(splits[4], splits[3]) == splits[3].size == 5


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("digits"))
    names = ("train", "val", "trainval", "test", "train[:50%]", "train[30:60]+test[:3]")
    return [data.load("tiny_digits", name, directory) for name in names]


def test_tfds_splits_are_told_from_places_alone(digits, monkeypatch) -> None:
    expected = by_identifiers(digits)
    assert {0, 3, 8, 10, 30, 32} <= set(expected)
    monkeypatch.setattr(overlap, "_identifiers", None)  # Nothing is read.
    assert by_overlap(digits) == expected


def test_a_part_of_its_places_is_read_where_they_do_not_tell(digits) -> None:
    train, half = digits[0], digits[4]
    vague = dataclasses.replace(train, spans=(Span(half.spans[0].file, 0, 80),))
    assert overlap.shared(vague, half) == 32
