"""Permutations: the statistics of the published set, its file format, and what is refused."""

import math

import numpy as np
import pytest

from pretext import permutations


@pytest.fixture(scope="module")
def standard():
    return permutations.generate()


def write(path, values):
    path.write_bytes(np.asarray(values, "<i4").tobytes())
    return str(path)


@pytest.mark.parametrize("seed", range(5))
def test_statistics_of_the_published_set(seed):
    result = permutations.generate(100, 9, seed)
    assert result.shape == (100, 9)
    assert (np.sort(result, axis=1) == np.arange(9)).all()
    minimum, mean = permutations.hamming_statistics(result)
    assert minimum == 2
    assert round(mean, 2) == 8.08


def test_same_on_every_machine(standard):
    """These rows were computed once; another NumPy or another processor has to find them too."""
    rows = ["".join(map(str, row)) for row in standard[[0, 1, 2, 50, 99]]]
    assert rows == ["403587261", "210756348", "021865437", "745216803", "210867345"]


def test_seeds_give_different_sets(standard):
    other = permutations.generate(100, 9, 1)
    assert len(np.unique(np.concatenate([standard, other]), axis=0)) > 190


@pytest.mark.parametrize(("count", "size"), [(24, 4), (2, 2), (10, 4), (6, 3), (50, 16)])
def test_other_sizes(count, size):
    result = permutations.generate(count, size, seed=3)
    assert result.shape == (count, size)
    assert (np.sort(result, axis=1) == np.arange(size)).all()
    assert len(np.unique(result, axis=0)) == count


def test_first_choices_differ_everywhere():
    """Nine permutations of nine patches can differ in all places; greedy choice must find that."""
    assert permutations.hamming_statistics(permutations.generate(9, 9, 0)) == (9, 9.0)


def test_hamming_statistics():
    rows = np.array([[0, 1, 2, 3], [1, 0, 2, 3], [3, 2, 1, 0]])
    assert permutations.hamming_statistics(rows) == (2, pytest.approx((2 + 4 + 4) / 3))


def test_reads_the_published_format(standard, tmp_path):
    path = write(tmp_path / "permutations.bin", [100, 9, *(standard + 1).ravel()])
    np.testing.assert_array_equal(permutations.read_file(path), standard)
    assert permutations.read_file(path).dtype == np.int32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "0 bytes are not an int32 table"),
        ([100, 9], "header says 100 permutations of 9 patches, but 0 numbers follow"),
        ([2, 3, 1, 2, 3, 3, 2], "header says 2 permutations of 3 patches, but 5 numbers follow"),
        ([-2, -3, 1, 2, 3, 3, 2, 1], "header says -2 permutations"),
        ([2, 3, 1, 2, 3, 0, 1, 2], "row 2 is not a permutation of 1 … 3"),
        ([2, 3, 1, 2, 2, 3, 1, 2], "row 1 is not a permutation"),
        ([2, 3, 1, 2, 3, 1, 2, 3], "some of its 2 permutations are the same"),
    ],
)
def test_malformed_files(values, message, tmp_path):
    path = write(tmp_path / "permutations.bin", values)
    with pytest.raises(ValueError, match=message) as raised:
        permutations.read_file(path)
    assert "\n" not in str(raised.value)
    assert path in str(raised.value)


def test_text_file_and_missing_file(tmp_path):
    (tmp_path / "text").write_text("1 2 3 4 5 6 7 8 9\n")
    for name in ("text", "missing"):
        with pytest.raises(ValueError, match=name) as raised:
            permutations.read_file(str(tmp_path / name))
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((25, 4, 0), "^4 patches have only 24 permutations, 25 were asked for$"),
        ((math.factorial(9) + 1, 9, 0), "^9 patches have only 362880 permutations, 362881 were"),
        ((1, 9, 0), "at least 2 of them, got 1"),
        ((100, 1, 0), "at least 2 patches, got 1"),
        ((100, 9, -1), "must not be negative, got -1"),
        ((300_000, 16, 0), "at most 200000 permutations, got 300000"),
    ],
)
def test_impossible_sets(arguments, message):
    with pytest.raises(ValueError, match=message):
        permutations.generate(*arguments)
