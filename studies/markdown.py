"""Markdown that shows texts as they are, whatever characters the names in them have."""

import re
from collections.abc import Iterable, Sequence


def escaped(text: str) -> str:
    """A text as Markdown that shows it as it is."""
    text = re.sub(r"([\\`*|~$])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))
    # Underscores inside of words, and brackets around numbers as of intervals, are what they are.
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)
    return re.sub(r"\[(?![-−]?\d)|\](?=[(\[:])", lambda found: f"\\{found[0]}", text)


def item(line: str) -> str:
    """A text as an item of a list; it begins no heading and no list of its own."""
    marks = re.compile(r"^([#>+-]|\d+(?=[.)]))")
    return marks.sub(
        lambda found: f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}", escaped(line)
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right and words to the left."""
    if not rows:
        return "Nothing measured yet."
    rules = ["---:" if is_numeric(column) else "---" for column in zip(*rows, strict=True)]
    head, *body = [[_cell(text) for text in line] for line in (header, *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rules, *body))


def fence(lines: Iterable[str]) -> str:
    """The fence of a code block that none of these lines closes."""
    ticks = re.findall("`+", "".join(lines))
    return "`" * max([3, *(len(run) + 1 for run in ticks)])


def is_bold(text: str) -> bool:
    """Whether a cell of a table is marked as bold, `**so**`."""
    return len(text) > 4 and text.startswith("**") and text.endswith("**")


def is_numeric(cells: Iterable[str]) -> bool:
    """Whether a column holds nothing but numbers and empty cells."""
    return all(not cell or cell.lstrip("*+-−")[:1].isdigit() for cell in cells)


def _cell(text: str) -> str:
    return f"**{escaped(text[2:-2])}**" if is_bold(text) else escaped(text)
