"""Measures every claim again, and writes the table of docs/performance.md.

    python -m benchmarks [--only=lbfgs,extract] [--rounds=3]

runs each benchmark in a process of its own, one after another, and prints what they print. What was
measured on this machine before is replaced, row by row; rows of other machines stay. A row that
this machine cannot measure says why. It takes an hour or two on 2 cores; let nothing else run.
"""

import argparse
import contextlib
import datetime
import pathlib
import subprocess
import sys

from benchmarks import claims, machine
from benchmarks.claims import Claim

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "performance.md"
BEGINNING, END = "<!-- measured: python -m benchmarks -->\n", "<!-- end -->\n"
HEADER = ("claim", "command", "machine", "date", "ours and the other's", "ratio: median (range)")

BENCHMARKS = (
    "train_step",
    "revnet_memory",
    "triplet",
    "lbfgs",
    "extract",
    "scaling",
    "input_pipeline",
    "accelerator",
)

Row = tuple[str, ...]


def measure(name: str, options: list[str]) -> list[Claim]:
    """Runs a benchmark, and shows what it prints.

    Args:
        name: its module.
        options: its command line.

    Returns:
        Its claims; one that says why, if it failed.
    """
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1)
    last = ""
    for line in process.stdout:
        # The last line is for us.
        print(last, end="", flush=True)
        last = line
    status = process.wait()
    if not status:
        with contextlib.suppress(ValueError):
            return claims.read(last)
    print(last, end="")
    return [Claim(name, missing=f"the benchmark failed with exit status {status}")]


def row(claim: Claim, name: str, where: str, today: str) -> Row:
    """A line of the table."""
    measured = (claim.missing and f"not measured: {claim.missing}") or claim.sides()
    comparison = "" if claim.missing else claim.comparison()
    cells = (claim.claim, f"`python -m benchmarks.{name}`", where, today, measured, comparison)
    return tuple(cell.replace("|", "/") for cell in cells)


def merged(before: list[Row], new: list[Row]) -> list[Row]:
    """The new rows in place of those of the same command and machine."""
    measured = {(command, where) for _, command, where, *_ in new}
    kept = [each for each in before if (each[1], each[2]) not in measured]
    order = [f"`python -m benchmarks.{name}`" for name in BENCHMARKS]
    return sorted(
        [*kept, *new],
        key=lambda each: order.index(each[1]) if each[1] in order else len(order),
    )


def read_rows(page: str) -> list[Row]:
    """The table's rows between the two marks of a page."""
    lines = page.partition(BEGINNING)[2].partition(END)[0].splitlines()
    rows = [tuple(line.strip("| ").split(" | ")) for line in lines if line.startswith("| ")]
    # An empty last cell is stripped with the line's end.
    whole = [(*cells, *[""] * (len(HEADER) - len(cells))) for cells in rows]
    return [cells for cells in whole if cells != HEADER and set(cells[0]) != {"-"}]


def with_rows(page: str, rows: list[Row]) -> str:
    """The page with these rows between its marks.

    Raises:
        ValueError: it has no marks.
    """
    head, beginning, rest = page.partition(BEGINNING)
    _, end, tail = rest.partition(END)
    if not beginning or not end:
        raise ValueError(f"{PAGE} has no lines {BEGINNING.strip()} and {END.strip()}")
    lines = [HEADER, tuple(["---"] * len(HEADER)), *rows]
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    return head + beginning + table + end + tail


def names(text: str) -> list[str]:
    """Of a list of benchmarks; for argparse."""
    given = text.split(",")
    unknown = [name for name in given if name not in BENCHMARKS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}: use some of {','.join(BENCHMARKS)}")
    return given


def rounds(text: str) -> int:
    """A number of rounds, at least 3; for argparse."""
    if not text.isdecimal() or not 3 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r}: use a whole number from 3 to 1000")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--only", type=names, default=list(BENCHMARKS), metavar="NAME,…", help="some of them"
    )
    parser.add_argument("--rounds", type=rounds, default=3, help="of every benchmark, at least 3")
    parser.add_argument(
        "--data_dir", default="datasets", help="where scenes is, or is drawn to, for scaling"
    )
    parser.add_argument(
        "--photographs", default="", help="a folder or zip of photographs for input_pipeline"
    )
    arguments = parser.parse_args()
    where = machine.describe()
    for name in arguments.only:
        print(f"---- {name}", flush=True)
        options = [f"--rounds={arguments.rounds}"]
        if name == "scaling":
            options.append(f"--data_dir={arguments.data_dir}")
        if name == "input_pipeline" and arguments.photographs:
            options.append(f"--photographs={arguments.photographs}")
        measured = measure(name, options)
        today = datetime.date.today().isoformat()
        new = [row(claim, name, where, today) for claim in measured]
        # Behind every benchmark, so that what is ended early leaves what was measured.
        page = PAGE.read_text()
        PAGE.write_text(with_rows(page, merged(read_rows(page), new)))
    print(f"{PAGE} is up to date")


if __name__ == "__main__":
    main()
