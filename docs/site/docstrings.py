"""Docstrings of the package as Markdown: what help() shows in lines, the site shows in lists and formulas."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from griffe import Docstring, Extension, Object

sys.path.insert(0, str(Path(__file__).parent))
from pages import with_formulas

HEADING = re.compile(r"^(\w+)\n-{3,}$", re.MULTILINE)
ENTRY = re.compile(r"^(?!Source)(\w+(?:, \w+)*) ?: ", re.MULTILINE)


class Markdown(Extension):
    """Rewrites the docstring of every object that Griffe reads."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring = Docstring(
                markdown(obj.docstring.value), lineno=obj.docstring.lineno, parent=obj, parser=None
            )


def markdown(text: str) -> str:
    """Sections are bold words, entries `name : text` and `name: text` are list items, [n, 3] is code."""
    text = HEADING.sub(r"\n**\1**\n", text)
    lines: list[str] = []
    for line in text.splitlines():
        entry = ENTRY.match(line)
        if entry:
            lines += ["", f"- **{entry[1]}**: {line[entry.end() :]}"]
        else:
            lines.append(line)
    return with_formulas(re.sub(r"(?<![`\w])(\[[\w, *]+\])(?![(`])", r"`\1`", "\n".join(lines)))
