"""The report: every table and figure as files, and one page that shows them all."""

from collections.abc import Sequence

import jinja2
from etils import epath

from studies import figures, findings, frames, markdown, rankings, scale_figures, tables

TABLES = (
    findings.table,
    tables.tasks_by_layer,
    tables.table1,
    tables.table2,
    tables.learning_rates,
    figures.figure2,
    rankings.table,
    figures.figure3,
    figures.figure4,
    figures.figure5,
    scale_figures.figure6,
    scale_figures.figure7,
    scale_figures.figure8,
)


def write(
    study: frames.Study, title: str, commands: Sequence[str], directory: epath.Path
) -> epath.Path:
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
    made = [make(study) for make in TABLES]
    for table in made:
        table.write(directory)
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("studies", "."),
        autoescape=jinja2.select_autoescape(["html.jinja"], default=False),
        undefined=jinja2.StrictUndefined,
    )
    templates.filters.update(
        escaped=markdown.escaped,
        item=markdown.item,
        fence=markdown.fence,
        is_numeric=markdown.is_numeric,
    )
    templates.tests["bold"] = markdown.is_bold
    content = {"title": title, "commands": commands, "tables": made, "remarks": _remarks(study)}
    for name in ("index.md", "index.html"):
        template = templates.get_template(f"report{name.removeprefix('index')}.jinja")
        (directory / name).write_text(template.render(content))
    return directory / "index.html"


def _remarks(study: frames.Study) -> list[tuple[str, list[str]]]:
    """Headings and lines of what the tables do not tell."""
    unreadable = f" ({study.unreadable} files cannot be read)" if study.unreadable else ""
    remarks = {
        "Networks that did not learn their task": frames.at_chance_level(study),
        "Missing runs": study.missing,
        f"Left out{unreadable}": study.notes,
    }
    return [(heading, list(lines)) for heading, lines in remarks.items() if lines]
