"""The report: every table and figure as files, and one page that shows them all."""

import html
import re
from collections.abc import Sequence

from etils import epath

from studies import chance, exhibits, figures, findings, rankings, scale_figures, tables
from studies.exhibits import is_bold, markdown, markdown_list
from studies.measurements import Study

EXHIBITS = (
    findings.exhibit,
    figures.tasks_by_layer,
    tables.table1,
    tables.table2,
    tables.learning_rates,
    rankings.figure2,
    rankings.rankings,
    figures.figure3,
    figures.figure4,
    figures.figure5,
    scale_figures.figure6,
    scale_figures.figure7,
    scale_figures.figure8,
)
STYLE = """
body { font-family: sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 0.85rem; margin: 1rem 0; }
th, td { padding: 0.2rem 0.6rem; text-align: left; border-bottom: 1px solid #ddd; }
.number { text-align: right; white-space: nowrap; }
thead th { border-bottom: 2px solid #888; }
img { max-width: 100%; }
.files { font-size: 0.85rem; }
"""


def write(study: Study, title: str, commands: Sequence[str], directory: epath.Path) -> epath.Path:
    """Writes the report of a study.

    Args:
        study: what was measured.
        title: heads the page.
        commands: what made it; printed below the title.
        directory: gets `index.html`, `index.md`, and for every table and figure a CSV, Markdown,
            PNG and PDF file; files of an earlier report are replaced.

    Returns:
        The path of `index.html`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    made = [make(study) for make in EXHIBITS]
    for exhibit in made:
        exhibit.write(directory)
    remarks = _remarks(study)
    (directory / "index.md").write_text(_markdown(title, commands, made, remarks))
    page = directory / "index.html"
    page.write_text(_html(title, commands, made, remarks))
    return page


def _remarks(study: Study) -> list[tuple[str, list[str]]]:
    """Headings and lines of what the tables do not tell."""
    unreadable = f" ({study.unreadable} files cannot be read)" if study.unreadable else ""
    remarks = {
        "Networks that did not learn their task": chance.at_chance(study),
        "Missing runs": study.missing,
        f"Left out{unreadable}": study.notes,
    }
    return [(heading, list(lines)) for heading, lines in remarks.items() if lines]


def _markdown(
    title: str,
    commands: Sequence[str],
    made: list[exhibits.Exhibit],
    remarks: list[tuple[str, list[str]]],
) -> str:
    ticks = re.findall("`+", "".join(commands))
    fence = "`" * max([3, *(len(run) + 1 for run in ticks)])
    parts = [f"# {markdown(title)}\n", f"{fence}bash", *commands, f"{fence}\n"]
    for exhibit in made:
        parts.append(exhibit.markdown())
        if exhibit.draw and exhibit.records:
            parts.append(f"![{markdown(exhibit.title)}]({exhibit.key}.png)\n")
    for heading, lines in remarks:
        parts.append(f"## {heading}\n\n{markdown_list(lines)}\n")
    return "\n".join(parts)


def _html(
    title: str,
    commands: Sequence[str],
    made: list[exhibits.Exhibit],
    remarks: list[tuple[str, list[str]]],
) -> str:
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        f"<h1>{html.escape(title)}</h1>",
        f"<pre>{html.escape(chr(10).join(commands))}</pre>",
        "<ul>",
        *(f'<li><a href="#{e.key}">{html.escape(e.title)}</a></li>' for e in made),
        "</ul>",
    ]
    for exhibit in made:
        files = ", ".join(
            f'<a href="{exhibit.key}.{kind}">{kind.upper()}</a>' for kind in exhibit.files
        )
        parts += [
            f'<h2 id="{exhibit.key}">{html.escape(exhibit.title)}</h2>',
            f"<p>{html.escape(exhibit.note)}</p>",
            _html_table(exhibit.header, exhibit.rows),
        ]
        if exhibit.draw and exhibit.records:  # A table's picture says the same as the table.
            parts.append(f'<p><img src="{exhibit.key}.png" alt="{html.escape(exhibit.title)}"></p>')
        parts.append(f'<p class="files">{files}</p>')
    for heading, lines in remarks:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        parts.append(f"<h2>{heading}</h2>\n<ul>{items}</ul>")
    return "\n".join([*parts, "</body>\n</html>\n"])


def _html_table(header: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return "<p>Nothing measured yet.</p>"

    kinds = [
        ' class="number"' if exhibits.numeric(column) else "" for column in zip(*rows, strict=True)
    ]

    def cell(text: str, kind: str) -> str:
        inside = f"<b>{html.escape(text[2:-2])}</b>" if is_bold(text) else html.escape(text)
        return f"<td{kind}>{inside}</td>"

    def line(row: list[str]) -> str:
        return "".join(cell(text, kind) for text, kind in zip(row, kinds, strict=True))

    head = "".join(
        f"<th{kind}>{html.escape(name)}</th>" for name, kind in zip(header, kinds, strict=True)
    )
    body = "\n".join(f"<tr>{line(row)}</tr>" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
