"""The tables of docs/results/abc.md, from what benchmarks/abc_parts.py stored."""

from __future__ import annotations

import numpy as np
from documents import put
from report import bold
from tof_scans import NOISE

__all__ = ["put", "tables"]
OURS = ("auto", "filled")
MEASURES = {"chamfer": (1.0, "{:.2f}", min), "cd": (1e4, "{:.1f}", min), "normal_consistency": (1.0, "{:.4f}", max)}
TITLES = {"none": "no noise", "med": "0.01 L", "var": "0 to 0.05 L", "max": "0.05 L"}


def programs(rows: dict) -> list[str]:
    """The peers of a case, without their depths."""
    return list(dict.fromkeys(name.rsplit(" ", 1)[0] for name in rows if name.rsplit(" ", 1)[-1].isdigit()))


def best(rows: dict, program: str) -> tuple[str, dict] | None:
    """The peer's row of the least cd, chosen by the truth."""
    found = [(name, row) for name, row in rows.items() if name.startswith(f"{program} ") and "cd" in row]
    return min(found, key=lambda pair: pair[1]["cd"], default=None)


def compared(rows: dict) -> dict[str, dict]:
    """Ours, and each peer at its best depth."""
    found = {name: rows[name] for name in OURS if name in rows}
    for program in programs(rows):
        pair = best(rows, program)
        if pair:
            found[program] = {**pair[1], "depth": pair[0].rsplit(" ", 1)[1]}
    return found


def tables(cases: dict[str, dict]) -> str:
    """Means by noise, wins, and every case."""
    parts = ["## Means and wins", "", *_summary(cases), "", "## Every case", "", *_everything(cases)]
    return "\n".join(parts)


def groups(cases: dict[str, dict]) -> dict[str, list[str]]:
    """The names of the cases by their noise; those of files under one name."""
    found: dict[str, list[str]] = {}
    for name, rows in cases.items():
        made = rows["case"]["sigma"] is not None
        found.setdefault(TITLES[name.rsplit("_", 1)[1]] if made else "files", []).append(name)
    order = [*(TITLES[noise] for noise in NOISE), "files"]
    return {title: found[title] for title in order if title in found}


def _summary(cases: dict[str, dict]) -> list[str]:
    columns = ["noise", "cases", "method", "Chamfer, % of L", "cd, 1e-4 D", "normals", "least cd in", "failed"]
    lines = [_row(columns), _row(["---"] * len(columns))]
    for title, names in groups(cases).items():
        rows = {name: compared(cases[name]) for name in names}
        methods = list(dict.fromkeys(method for found in rows.values() for method in found))
        good = [name for name in names if all("cd" in rows[name].get(method, {}) for method in methods)]
        means = {key: {m: float(np.mean([rows[n][m][key] for n in good])) for m in methods} for key in MEASURES if good}
        floor = float(np.mean([cases[name]["floor"]["chamfer"] for name in names]))
        lines.append(_row([title, str(len(names)), "floor", f"{floor:.2f}", "0", "1", "", ""]))
        for method in methods:
            cells = []
            for key, (scale, form, choose) in MEASURES.items():
                value = means[key][method] if good else None
                cells.append(bold(form.format(scale * value), value == choose(means[key].values())) if good else "")
            won = sum(_leads(rows[name], method) for name in names)
            failed = sum("cd" not in rows[n].get(method, {}) for n in names)
            lines.append(_row([title, str(len(names)), method, *cells, str(won), str(failed) if failed else ""]))
    return lines


def _leads(rows: dict[str, dict], method: str) -> bool:
    """No method has less cd; equal ones lead together."""
    known = [row["cd"] for row in rows.values() if "cd" in row]
    return bool(known) and rows.get(method, {}).get("cd") == min(known)


def _everything(cases: dict[str, dict]) -> list[str]:
    methods = list(dict.fromkeys(method for rows in cases.values() for method in compared(rows)))
    columns = ["case", "points", "noise, % of L", *methods]
    lines = ["Chamfer / cd / normals; for a peer its best depth in brackets.", ""]
    lines += [_row(columns), _row(["---"] * len(columns))]
    for names in groups(cases).values():
        for name in names:
            rows, case = compared(cases[name]), cases[name]["case"]
            least = min((row["cd"] for row in rows.values() if "cd" in row), default=None)
            sigma = "" if case["sigma"] is None else f"{100 * case['sigma']:.1f}"
            cells = [_cell(rows.get(method), least) for method in methods]
            lines.append(_row([name, f"{case['points']:,}", sigma, *cells]))
    return lines


def _cell(row: dict | None, least: float | None) -> str:
    if row is None:
        return ""
    if "error" in row:
        return "no surface"
    shown = [form.format(scale * row[key]) for key, (scale, form, _) in MEASURES.items()]
    shown[1] = bold(shown[1], row["cd"] == least)
    return " / ".join(shown) + (f" ({row['depth']})" if "depth" in row else "")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
