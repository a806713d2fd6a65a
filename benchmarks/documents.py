"""Pages of which a part is made from stored results: what stands between two marks; the rest is written by hand."""

from __future__ import annotations

from pathlib import Path

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def put(document: Path, tables: str) -> None:
    """In the place of what stands between the marks, which the page must have."""
    text = document.read_text(encoding="utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    document.write_text(f"{text[:start]}\n\n{tables}\n{text[end:]}", encoding="utf-8")


def of_data(document: Path, text: str) -> None:
    """The page of results of a document, wholly made: of the same name, in the folder results beside it."""
    page = document.parent / "results" / document.name
    page.parent.mkdir(exist_ok=True)
    page.write_text(f"{text.rstrip()}\n", encoding="utf-8")


def table_row(cells: list[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"
