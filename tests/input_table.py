"""The table of docs/results/messages.md: what fit.py says to every input of the corpus.

PYTHONPATH=. python tests/input_table.py    writes it anew, between the marks in that file
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from corpus import CORPUS, Case
from scripts import ROOT, run, with_table

PAGE = ROOT / "docs" / "results" / "messages.md"
START, END = "<!-- table: tests/input_table.py -->", "<!-- end of table -->"
CENTERS = {"two_points": 6, "three_points": 9}  # all that there are; of the others, 100


def outcome(case: Case, script: str, folder: Path) -> tuple[str, str]:
    """('mesh', 'warning' or 'error', the lines about it without the folder), after checking what lies in `folder`."""
    path, output = case.file(folder), folder / "output"
    output.mkdir()
    args = ["auto", CENTERS.get(case.name, 100), 16, *(["auto"] if script == "fit-grid.py" else []), "--seed", 0]
    result = run(script, path, *args, "--cg-max-iters", 100, "--out", output / "mesh.ply")
    lines = [line.removeprefix(f"{script}: ").replace(f"{folder}/", "") for line in result.err.splitlines()]
    written = [path.name for path in output.iterdir()]
    if result.code == 2:
        assert written == [], written
        assert len(lines) == 1, lines
        assert lines[0].startswith(f"error: {case.name}"), lines
        return "error", lines[0].removeprefix("error: ")
    assert result.code == 0, lines
    assert written == ["mesh.ply"], written
    assert all(line.startswith("warning: ") for line in lines), lines
    return "warning" if lines else "mesh", " ".join(line.removeprefix("warning: ") for line in lines)


def row(case: Case, kind: str, said: str) -> str:
    return f"| `{case.name}{case.suffix}` | {kind} | {said.replace('|', chr(92) + '|')} |"


def table() -> str:
    rows = ["| input | outcome | message |", "|---|---|---|"]
    for case in CORPUS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row(case, *outcome(case, "fit.py", Path(folder))))
    return "\n".join(rows)


def page(text: str) -> str:
    """The page with a new table."""
    return with_table(text, START, END, table())


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
