"""What a table or figure is, and its files: CSV, Markdown, PNG and PDF."""

import csv
import dataclasses
import io
import re
import warnings
from collections.abc import Callable, Iterable, Sequence

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from etils import epath
from matplotlib.figure import Figure

from studies.statistics import Spread

# Names of tasks and data sets are no formulas, whatever is in them.
matplotlib.rcParams["text.parse_math"] = False

# The order of the paper; names that it does not know come behind.
TASKS = ("relative_patch_location", "jigsaw", "exemplar", "rotation", "supervised", "untrained")
ARCHITECTURES = (
    *("revnet50", "revnet50_minus", "resnet50_v2", "resnet50_v2_minus", "resnet50_v1"),
    "vgg19_bn",
)
LAYERS = ("pixels", "block1", "block2", "block3", "block4", "pre_logits")
# Pixels of a side, and characters of a name in it: more cannot be drawn, or not be read.
LARGEST_PICTURE = 30_000.0
LONGEST_LABEL = 60
MOST_ROWS = 300
MEANING = "Top-1 accuracy in per cent: mean ± standard deviation over seeds (number of seeds)."


@dataclasses.dataclass(frozen=True)
class Exhibit:
    """A table or figure.

    Attributes:
        key: the files' name.
        title: what it shows.
        note: how to read it.
        records: the numbers, one dict for every row of the CSV file.
        header, rows: the table for people.
        draw: draws the figure; None to draw the table itself.
        picture: whether there is a picture at all; long texts have none.
    """

    key: str
    title: str
    note: str
    records: list[dict[str, object]]
    header: list[str]
    rows: list[list[str]]
    draw: Callable[[], Figure] | None = None
    picture: bool = True

    @property
    def files(self) -> tuple[str, ...]:
        """The endings of the files that `write` leaves."""
        return ("csv", "md", "png", "pdf") if self.picture else ("csv", "md")

    def csv(self) -> str:
        """The numbers, with all columns that any record has; what is missing stays empty."""
        columns = list(dict.fromkeys(name for record in self.records for name in record))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns or ["nothing measured"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: "" if v is None else v for k, v in record.items()} for record in self.records
        )
        return text.getvalue()

    def markdown(self) -> str:
        """Title, note and table."""
        table = markdown_table(self.header, self.rows)
        return f"## {markdown(self.title)}\n\n{markdown(self.note)}\n\n{table}\n"

    def write(self, directory: epath.Path) -> None:
        """Writes the files: KEY.csv, KEY.md and, of what has a picture, KEY.png and KEY.pdf."""
        (directory / f"{self.key}.csv").write_text(self.csv())
        (directory / f"{self.key}.md").write_text(self.markdown())
        if not self.picture:
            return
        figure = self.draw() if self.draw and self.records else _draw_table(self.header, self.rows)
        dpi = min(150.0, LARGEST_PICTURE / max(figure.get_size_inches()))
        for kind, options in (("png", {"dpi": dpi}), ("pdf", {"metadata": {"CreationDate": None}})):
            with (directory / f"{self.key}.{kind}").open("wb") as file, warnings.catch_warnings():
                # The font has not every letter that a name may have; boxes stand for the others.
                warnings.filterwarnings("ignore", "Glyph")
                # Names may be too long to leave room between them.
                warnings.filterwarnings("ignore", "constrained_layout not applied")
                figure.savefig(file, format=kind, bbox_inches="tight", **options)
        plt.close(figure)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right and words to the left."""
    if not rows:
        return "Nothing measured yet."
    rules = ["---:" if numeric(column) else "---" for column in zip(*rows, strict=True)]
    head, *body = [[_markdown_cell(text) for text in line] for line in (header, *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rules, *body))


def markdown(text: str) -> str:
    """A text as Markdown that shows it as it is, whatever characters names have."""
    text = re.sub(r"([\\`*|~$])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))
    # Underscores inside of words, and brackets around numbers as of intervals, are what they are.
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)
    return re.sub(r"\[(?![-−]?\d)|\](?=[(\[:])", lambda found: f"\\{found[0]}", text)


def markdown_list(lines: Iterable[str]) -> str:
    """Texts as the items of a Markdown list; none begins a heading or a list of its own."""
    marks = re.compile(r"^([#>+-]|\d+(?=[.)]))")
    escaped = [marks.sub(lambda found: _behind_digits(found[0]), markdown(line)) for line in lines]
    return "\n".join(f"- {line}" for line in escaped)


def is_bold(text: str) -> bool:
    """Whether a cell of a table is marked as bold, `**so**`."""
    return len(text) > 4 and text.startswith("**") and text.endswith("**")


def _behind_digits(mark: str) -> str:
    return f"{mark}\\" if mark.isdigit() else f"\\{mark}"


def _markdown_cell(text: str) -> str:
    return f"**{markdown(text[2:-2])}**" if is_bold(text) else markdown(text)


def numeric(cells: Iterable[str]) -> bool:
    """Whether a column holds nothing but numbers and empty cells."""
    return all(not cell or cell.lstrip("*+-−")[:1].isdigit() for cell in cells)


def in_order(names: Iterable[str], order: Sequence[str]) -> list[str]:
    """The names without repetition, those in `order` first."""
    unique = set(names)
    return [name for name in dict.fromkeys(order) if name in unique] + sorted(unique - set(order))


def numbers(value: Spread | None) -> dict[str, object]:
    """A spread as columns of a CSV file; accuracies in [0, 1]."""
    if value is None:
        return {"mean": None, "std": None, "seeds": 0}
    return {
        "mean": round(value.mean, 6),
        "std": None if value.deviation is None else round(value.deviation, 6),
        "seeds": value.count,
    }


def words(name: str) -> str:
    """A name as in text; architectures keep theirs."""
    return name if name in ARCHITECTURES else name.replace("_", " ")


def label(text: str) -> str:
    """A text in a figure: what is longer than is readable is cut short."""
    # What begins with an underscore has no place in a legend.
    text = f" {text}" if text.startswith("_") else text
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def _draw_table(header: list[str], rows: list[list[str]]) -> Figure:
    """The table as a picture."""
    header = [label(text) for text in header]
    cells = [[label(text.strip("*")) for text in row] for row in rows[:MOST_ROWS]]
    if len(rows) > len(cells):
        cells.append([f"and {len(rows) - len(cells)} more", *[""] * (len(header) - 1)])
    cells = cells or [["Nothing measured yet.", *[""] * (len(header) - 1)]]
    lengths = [
        max(len(row[column]) for row in [header, *cells]) + 2 for column in range(len(header))
    ]
    figure, axes = plt.subplots(figsize=(max(3.0, 0.085 * sum(lengths)), 0.3 * (len(cells) + 1)))
    axes.axis("off")
    table = axes.table(
        cellText=cells,
        colLabels=header,
        colWidths=[length / sum(lengths) for length in lengths],
        loc="center",
        bbox=(0, 0, 1, 1),
    )
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    for (row, column), cell in table.get_celld().items():
        cell.set_linewidth(0.3)
        if row == 0:
            cell.set_text_props(weight="bold")
        if column == 0:
            cell.set_text_props(ha="left")
    return figure
