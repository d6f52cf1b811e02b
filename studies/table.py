"""A table of the report, its figure if it has one, and their files: CSV, Markdown, PNG and PDF."""

import dataclasses
import warnings
from collections.abc import Callable, Iterable

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import pandas as pd
from etils import epath
from matplotlib.figure import Figure

from studies import markdown
from studies.frames import ARCHITECTURES, NETWORK

# Names of tasks and data sets are never formulas, whatever is in them.
matplotlib.rcParams["text.parse_math"] = False

# Pixels of a side, and characters of a name in it: more cannot be drawn, or not be read.
LARGEST_PICTURE = 30_000.0
LONGEST_LABEL = 60
MOST_ROWS = 300
MEANING = "Top-1 accuracy in per cent: mean ± standard deviation over seeds (number of seeds)."
WHOLE = ("widening_factor", "representation_size", "seeds", "count", "rank")
# Columns of accuracies end so.
ROUNDED = ("mean", "std")
NETWORK_HEADER = ["images", "task", "architecture", "k", "representation size"]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table, and the figure that shows the same.

    Attributes:
        key: the files' name.
        title: what it shows.
        note: how to read it.
        numbers: the CSV file; accuracies in [0, 1].
        header, rows: the table for people.
        draw: draws the figure; None to draw the table itself.
        picture: whether there is a picture at all; long texts have none.
    """

    key: str
    title: str
    note: str
    numbers: pd.DataFrame
    header: list[str]
    rows: list[list[str]]
    draw: Callable[[], Figure] | None = None
    picture: bool = True

    @property
    def files(self) -> tuple[str, ...]:
        """The endings of the files that `write` leaves."""
        return ("csv", "md", "png", "pdf") if self.picture else ("csv", "md")

    @property
    def has_figure(self) -> bool:
        """Whether the picture shows more than the table itself."""
        return self.draw is not None and not self.numbers.empty

    def csv(self) -> str:
        """The numbers; what is missing stays empty."""
        if self.numbers.empty:
            return "nothing measured\n"
        columns = {}
        for name, column in self.numbers.items():
            if name.endswith(WHOLE):
                columns[name] = column.astype("Int64")
            elif name.endswith(ROUNDED):
                # Not `Series.round`, which rounds x·10⁶: of a tie it makes another number.
                columns[name] = column.map(lambda value: round(value, 6))
            else:
                columns[name] = column
        return pd.DataFrame(columns).to_csv(index=False, lineterminator="\n")

    def markdown(self) -> str:
        """Title, note and table."""
        table = markdown.table(self.header, self.rows)
        return f"## {markdown.escaped(self.title)}\n\n{markdown.escaped(self.note)}\n\n{table}\n"

    def write(self, directory: epath.Path) -> None:
        """Writes the files: KEY.csv, KEY.md and, of what has a picture, KEY.png and KEY.pdf."""
        (directory / f"{self.key}.csv").write_text(self.csv())
        (directory / f"{self.key}.md").write_text(self.markdown())
        if not self.picture:
            return
        figure = self.draw() if self.has_figure else _draw_table(self.header, self.rows)
        dpi = min(150.0, LARGEST_PICTURE / max(figure.get_size_inches()))
        for kind, options in (("png", {"dpi": dpi}), ("pdf", {"metadata": {"CreationDate": None}})):
            with (directory / f"{self.key}.{kind}").open("wb") as file, warnings.catch_warnings():
                # The font lacks letters that a name may have; boxes stand for them.
                warnings.filterwarnings("ignore", "Glyph")
                # Names may be too long to leave room between them.
                warnings.filterwarnings("ignore", "constrained_layout not applied")
                figure.savefig(file, format=kind, bbox_inches="tight", **options)
        plt.close(figure)


def words(name: str) -> str:
    """A name as in text; architectures keep theirs."""
    return name if name in ARCHITECTURES else name.replace("_", " ")


def label(text: str) -> str:
    """A text in a figure: what is longer than is readable is cut short."""
    # What begins with an underscore has no place in a legend.
    text = f" {text}" if text.startswith("_") else text
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def network_cells(frame: pd.DataFrame) -> list[list[str]]:
    """For every row, the cells below NETWORK_HEADER."""
    return [
        [images, words(task), architecture, str(k), str(size) if size else ""]
        for images, task, architecture, k, size in frame[["images", *NETWORK]].itertuples(
            index=False
        )
    ]


def wide(
    frame: pd.DataFrame, index: list[str], columns: str, order: Iterable[object], text: str = "text"
) -> pd.DataFrame:
    """A row for every combination of `index`, in the order that they come; a column for every
    value in `order`, with the texts, or "" where there is none."""
    table = frame.pivot_table(
        index=index, columns=columns, values=text, aggfunc="first", sort=False
    )
    rows = pd.MultiIndex.from_frame(frame[index].drop_duplicates())
    if frame.empty:
        return pd.DataFrame(columns=list(order))
    return (
        table.reindex(rows if len(index) > 1 else rows.get_level_values(0))
        .reindex(columns=list(order), fill_value="")
        .fillna("")
    )


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
