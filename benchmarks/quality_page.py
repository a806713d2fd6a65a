"""The standings of docs/quality.md: what was won against Poisson, by groups of cases, and every case that was lost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from comparison import Comparison
from documents import table_row
from figures import borders, groups, harm

SHOWN = ("all", "held out", "not held out")  # of the groups
Of = Callable[[Comparison], float | None]


def standings(found: list[Comparison], lacking: list[str]) -> str:
    """In Markdown: a table for `auto` and one for filled meshes, lines of borders, and the cases that were lost."""
    auto, filled = [row for row in found if row.at_auto], [row for row in found if row.mode == "filled"]
    parts = ["## Standings", "", "Ratio: our cd divided by that of the best Poisson mesh.", ""]
    parts += _table(auto, "at `auto`", "normals better", lambda row: row.better_normals, None)
    known = [row for row in filled if row.ratio_of_largest is not None]
    title = "largest distance better; its ratio; worst"
    parts += _table(filled, "with `--fill-holes`", title, None, lambda row: row.ratio_of_largest) if known else []
    parts += [f"- {line[:1].upper()}{line[1:]}." for line in [*harm(found), borders(auto), _failures(auto)]]
    parts += [f"- Not compared: {', '.join(lacking)}."] if lacking else []
    lost = [table_row(["lost at", "in", "cases"]), table_row(["---"] * 3)]
    lost += _lost(auto, "`auto`") + _lost(filled, "`--fill-holes`")
    return "\n".join([*parts, "", "## Cases lost", "", *lost])


def _table(rows: list[Comparison], head: str, title: str, better, largest: Of | None) -> list[str]:
    columns = [head, "cases", "cd better", "ratio, geometric mean", "worst ratio", *title.split("; ")]
    lines = [table_row(columns), table_row(["---"] * len(columns))]
    for name, part in ((name, part) for name, part in groups(rows) if name in SHOWN):
        cells = [name, str(len(part)), _share(row.ratio < 1 for row in part), *_ratios(part, lambda row: row.ratio)]
        if better:
            cells.append(_share(map(better, part)))
        if largest:
            known = [row for row in part if largest(row) is not None]
            cells += [_share(largest(row) < 1 for row in known), *_ratios(known, largest)]
        lines.append(table_row(cells))
    return [*lines, ""]


def _share(won: Iterable[bool]) -> str:
    of = list(won)
    return f"{sum(of)} ({sum(of) / len(of):.0%})" if of else ""


def _ratios(rows: list[Comparison], of: Of) -> list[str]:
    """The geometric mean of the runs that did not fail; the worst and its name."""
    values = [(value, row.case.name) for row in rows if (value := of(row)) is not None]
    finite = [math.log(value) for value, _ in values if value < math.inf]
    if not finite:
        return ["", ""]
    worst, name = max(values)
    return [f"{math.exp(sum(finite) / len(finite)):.2f}", f"{worst:.2f} ({name})"]


def _failures(rows: list[Comparison]) -> str:
    failed, pieces = (sum(getattr(row, name) for row in rows) for name in ("failed", "pieces_too_many"))
    return f"runs that failed: {failed}; meshes with more than two pieces too many: {pieces}"


def _lost(rows: list[Comparison], mode: str) -> list[str]:
    """Names and ratios of cd, the worst first; names and both values of normals."""
    lost = sorted((row for row in rows if row.ratio >= 1), key=lambda row: -row.ratio)
    turned = [row for row in rows if not row.better_normals and not row.failed]
    cd = ", ".join(f"{row.case.name} {row.ratio:.2f}" for row in lost)
    normals = ", ".join(
        f"{row.case.name} {row.ours['normal_consistency']:.4f} / {row.best['normal_consistency']:.4f}" for row in turned
    )
    told = [mode, "cd: ratio", cd or "none"], [mode, "normals: ours against Poisson's", normals or "none"]
    return list(map(table_row, told)) if rows else []
