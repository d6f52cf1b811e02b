"""What a benchmark found out about a claim, in the form that `python -m benchmarks` reads.

With `--json` the last line that a benchmark prints is a list of these.
"""

import argparse
import dataclasses
import json
import statistics
from typing import Literal

# How two sides become one number: how many times as fast ours is, of rates or of times; or how much
# it is of the peer's, of what should be little.
Ratio = Literal["rates", "times", "share"]


@dataclasses.dataclass(frozen=True)
class Claim:
    """Both sides, measured by turns in one run: a number of each for every round.

    Attributes:
        claim: what is measured, and against what.
        unit: of both sides.
        ours, peer: by round.
        ratio: how the two sides are compared.
        missing: why it could not be measured on this machine; then the lists are empty.
    """

    claim: str
    unit: str = ""
    ours: list[float] = dataclasses.field(default_factory=list)
    peer: list[float] = dataclasses.field(default_factory=list)
    ratio: Ratio = "rates"
    missing: str = ""

    @property
    def ratios(self) -> list[float]:
        """By round."""
        if self.ratio == "times":
            return [peer / ours for ours, peer in zip(self.ours, self.peer, strict=True)]
        return [ours / peer for ours, peer in zip(self.ours, self.peer, strict=True)]

    def sides(self) -> str:
        """Both sides' medians, in words."""
        ours, peer = statistics.median(self.ours), statistics.median(self.peer)
        return f"{ours:.3g} against {peer:.3g} {self.unit}"

    def comparison(self) -> str:
        """Minimum, median and maximum of the ratio, in words."""
        number = (lambda ratio: f"{ratio:.1%}") if self.ratio == "share" else "{:.2f}".format
        least, most = number(min(self.ratios)), number(max(self.ratios))
        what = "of it" if self.ratio == "share" else "times as fast"
        middle = number(statistics.median(self.ratios))
        return f"{middle} {what} ({least} to {most}, {len(self.ratios)} rounds)"


def add_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--json` to a benchmark."""
    parser.add_argument(
        "--json", action="store_true", help="print the claims' numbers as a last line of JSON"
    )


def show(claims: list[Claim]) -> None:
    """Prints them, a line each."""
    for each in claims:
        told = each.missing and f"not measured: {each.missing}"
        print(f"{each.claim}: {told or f'{each.sides()}; {each.comparison()}'}", flush=True)


def write(claims: list[Claim]) -> None:
    """Prints the last line, for `read`."""
    print(json.dumps([{**dataclasses.asdict(each), "ratios": each.ratios} for each in claims]))


def read(line: str) -> list[Claim]:
    """The claims of a last line.

    Raises:
        ValueError: it is not one.
    """
    fields = {field.name for field in dataclasses.fields(Claim)}
    try:
        return [
            Claim(**{name: value for name, value in each.items() if name in fields})
            for each in json.loads(line)
        ]
    except (TypeError, AttributeError) as error:
        raise ValueError(f"not a list of claims: {line[:200]}") from error
