"""The table that `python -m benchmarks` writes: what is measured again, and what stays."""

import sys
import types

import pytest

from benchmarks import __main__ as table
from benchmarks import claims
from benchmarks.claims import Claim

RATES = Claim("images a second", "images/s", [30.0, 20.0, 33.0], [10.0, 10.0, 11.0])
HERE, THERE = "A CPU, 2 cores", "A CPU, 64 cores"


def test_ratios_by_round():
    assert RATES.ratios == [3.0, 2.0, 3.0]
    assert RATES.sides() == "30 against 10 images/s"
    assert RATES.comparison() == "3.00 times as fast (2.00 to 3.00, 3 rounds)"
    seconds = Claim("a fit", "s", [1.0, 2.0, 4.0], [4.0, 4.0, 4.0], "times")
    assert seconds.comparison() == "2.00 times as fast (1.00 to 4.00, 3 rounds)"
    share = Claim("memory", "MiB", [1.0, 1.0, 2.0], [20.0, 20.0, 20.0], "share")
    assert share.comparison() == "5.0% of it (5.0% to 10.0%, 3 rounds)"


def test_the_last_line_is_read_back(capsys):
    missing = Claim("on a GPU", missing="there is no GPU")
    claims.write([RATES, missing])
    assert claims.read(capsys.readouterr().out) == [RATES, missing]
    for line in ("1", '"x"', "[1]", '[{"unit": "s"}]'):
        with pytest.raises(ValueError, match="not a list of claims"):
            claims.read(line)


def test_rows_of_this_machine_are_replaced_and_others_stay():
    page = f"Before.\n{table.BEGINNING}old\n{table.END}Behind.\n"
    missing = Claim("on a GPU", missing="there is no GPU")
    rows = [
        table.row(RATES, "lbfgs", HERE, "2026-01-01"),
        table.row(RATES, "lbfgs", THERE, "2026-01-01"),
        table.row(missing, "accelerator", HERE, "2026-01-01"),
    ]
    page = table.with_rows(page, table.merged([], rows))
    assert table.read_rows(page) == rows
    assert page.startswith("Before.\n")
    assert page.endswith("Behind.\n")
    assert "| not measured: there is no GPU |" in page

    new = [
        table.row(RATES, "train_step", HERE, "2026-02-02"),
        table.row(Claim("another claim", missing="so"), "lbfgs", HERE, "2026-02-02"),
    ]
    page = table.with_rows(page, table.merged(table.read_rows(page), new))
    assert table.read_rows(page) == [new[0], rows[1], new[1], rows[2]]
    with pytest.raises(ValueError, match="has no lines <!--"):
        table.with_rows("A page.\n", rows)


def test_the_page_has_the_table():
    assert table.with_rows(table.PAGE.read_text(), []).count(table.BEGINNING) == 1


def test_a_benchmark_that_fails_has_a_row_that_says_so(monkeypatch, capfd):
    def popen(command, **options):
        printed = ["a line\n", "the last line\n"]
        return types.SimpleNamespace(stdout=printed, wait=lambda: status)

    monkeypatch.setattr(table.subprocess, "Popen", popen)
    status = 3
    assert table.measure("lbfgs", []) == [
        Claim("lbfgs", missing="the benchmark failed with exit status 3")
    ]
    assert capfd.readouterr().out == "a line\nthe last line\n"


@pytest.mark.parametrize("given", ["--only=lbfg", "--rounds=2", "--rounds=x", "--only="])
def test_wrong_options(given, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", given])
    with pytest.raises(SystemExit):
        table.main()
    assert "use " in capsys.readouterr().err
