"""What a run of benchmarks/quality.py shows, as lines: shares won, the worst, borders, and what was lost.

Each figure is told for all cases, for the 79 first ones, and apart for those that are held out.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cases import Case
from comparison import Comparison, compare, not_compared
from results import Results

HARM = 1.03  # of a clean closed object, filled to open: how much filling may cost


def figures(found: list[Comparison]) -> list[str]:
    """At `auto`, filled, and the borders of what must be closed."""
    auto, filled = [row for row in found if row.at_auto], [row for row in found if row.mode == "filled"]
    return [
        *(f"at `auto`, {name}: {line}" for name, rows in groups(auto) for line in summary(rows)),
        *(f"filled, {name}: {line}" for name, rows in groups(filled) for line in of_filled(rows)),
        *harm(found),
        *(f"at `auto`, {name}: {borders(rows)}" for name, rows in groups(auto)),
    ]


def groups(rows: list[Comparison]) -> list[tuple[str, list[Comparison]]]:
    """Named parts of the rows that are not empty."""
    tests: dict[str, Callable[[Comparison], bool]] = {
        "all": lambda row: True,
        "the first 79": lambda row: row.case.first,
        "new kinds": lambda row: not row.case.first,
        "held out": lambda row: row.case.held_out,
        "not held out": lambda row: not row.case.held_out,
    }
    parts = ((name, [row for row in rows if test(row)]) for name, test in tests.items())
    return [(name, part) for name, part in parts if part]


def summary(rows: list[Comparison]) -> list[str]:
    """Shares won in cd and in normals, and the ratios of cd."""
    if not rows:
        return ["nothing to compare"]
    return [
        f"{len(rows)} cases: cd better in {_counted(rows, lambda row: row.ratio < 1)}, "
        f"normals better in {_counted(rows, lambda row: row.better_normals)}, "
        f"than those of any depth in {_counted(rows, lambda row: row.best_of_normals)}",
        f"ratio of cd: {_ratios(rows, lambda row: row.ratio)}; "
        f"above 1.05 in {_counted(rows, lambda row: row.ratio > 1.05)}; "
        f"more components than the truth and two: {_counted(rows, lambda row: row.pieces_too_many)}; "
        f"failed: {_counted(rows, lambda row: row.failed)}",
    ]


def of_filled(rows: list[Comparison]) -> list[str]:
    """Against closed Poisson: the least cd of any depth, and the least largest distance of any depth."""
    known = [row for row in rows if row.ratio_of_largest is not None]
    lines = [
        f"{len(rows)} cases: cd better in {_counted(rows, lambda row: row.ratio < 1)}, "
        f"ratio {_ratios(rows, lambda row: row.ratio)}"
    ]
    if known:
        lines += [
            f"largest distance better in {_counted(known, lambda row: row.ratio_of_largest < 1)}, "
            f"ratio {_ratios(known, lambda row: row.ratio_of_largest)}"
        ]
    if len(known) < len(rows):
        lines += [f"largest distance not compared in {len(rows) - len(known)}: it was not stored"]
    return lines


def harm(found: list[Comparison]) -> list[str]:
    """What filling changes on clean closed objects: the ratio of cd, filled to open."""
    opened = {row.case.name: row for row in found if row.mode == "default" and not row.failed}
    ratios = {
        row.case.name: row.ours["cd"] / opened[row.case.name].ours["cd"]
        for row in found
        if row.mode == "filled" and row.case.clean and row.case.closed and row.case.name in opened and not row.failed
    }
    if not ratios:
        return []
    worse = [f"{name} {ratio:.2f}" for name, ratio in ratios.items() if ratio > HARM]
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    return [
        f"clean closed objects, filled to open: ratio of cd {mean:.2f} in the geometric mean of {len(ratios)}; "
        f"above {HARM} in {len(worse)}{': ' if worse else ''}{', '.join(worse)}"
    ]


def borders(rows: list[Comparison]) -> str:
    """Which completely sampled closed objects have border edges."""
    whole = [row for row in rows if row.must_close and not row.failed]
    open_ones = [row for row in whole if row.false_hole]
    names = ", ".join(f"{row.case.name} {row.ours['boundary_edges']}" for row in open_ones)
    count = f"border edges in {len(open_ones)} of {len(whole)} completely sampled closed objects"
    return f"{count}: {names}" if names else count


def print_summary(results: Results, stored: Results, cases: dict[str, Case]) -> None:
    found = compare(results, stored, cases)
    print("\n" + "\n".join(figures(found) or ["nothing to compare"]))
    lacking = not_compared(results, found, cases)
    if lacking:
        print(f"not compared: {', '.join(lacking)}")
    for mode in ("default", "filled"):
        rows = [row for row in found if row.mode == mode]
        if not rows:
            continue
        print(f"\n{mode}")
        for row in sorted(rows, key=lambda row: -row.ratio):
            marks = _marks(row)
            if marks:
                print(f"  {row.case.name:28} {row.ratio:6.2f}  {marks}{'  held out' if row.case.held_out else ''}")
        total = sum(row.ours["seconds"] for row in rows)
        print(f"{total:.0f} s in all, {total / len(rows):.1f} s a case")


def _counted(rows: list[Comparison], test: Callable[[Comparison], bool]) -> str:
    count = sum(map(test, rows))
    return f"{count} ({count / len(rows):.0%})"


def _ratios(rows: list[Comparison], of: Callable[[Comparison], float | None]) -> str:
    """The geometric mean of those that did not fail, and the worst."""
    values = [(of(row), row.case.name) for row in rows]
    finite = [value for value, _ in values if value < math.inf]
    mean = math.exp(sum(map(math.log, finite)) / len(finite)) if finite else math.inf
    worst, name = max(values)
    return f"{mean:.2f} in the geometric mean, {worst:.2f} at worst ({name})"


def _marks(row: Comparison) -> str:
    if row.failed:
        return row.ours["error"]
    marks = [f"cd {1e4 * row.ours['cd']:.2f} against {1e4 * row.best['cd']:.2f}"] if row.ratio >= 1 else []
    if not row.better_normals:
        marks += [f"normals {row.ours['normal_consistency']:.4f} against {row.best['normal_consistency']:.4f}"]
    if row.mode == "filled" and (row.ratio_of_largest or 0.0) >= 1:
        marks += [f"largest distance {1e4 * row.ours['hausdorff']:.1f} against {1e4 * row.least_largest:.1f}"]
    marks += [f"{row.ours['components']} components"] if row.pieces_too_many else []
    marks += [f"false holes: {row.ours['boundary_edges']} border edges"] if row.false_hole else []
    return ", ".join(marks)
