"""docs/results/benchmarks.md: every comparison, pictures and every run that benchmarks/benchmark.py stored."""

from __future__ import annotations

from pathlib import Path

from documents import of_data, table_row
from methods import ONE_SPLINE, OURS
from report import bold
from results import Results
from standings import Match

BEST = {"wall": min, "cpu": min, "GB": min, "cd": min, "hausdorff": min, "f_tight": max, "f_loose": max}
BEST |= {"normal_consistency": max}
PICTURED = ("bunny_oriented_36k", "plate", "gear_outliers1")
FAMILIES = (OURS, "PoissonRecon", "Open3D Poisson", "PyMeshLab Poisson", "Open3D ball pivoting", ONE_SPLINE)
RANGE = 3.0  # times the best peer's cd: the far end of the colours
HEAD = """# Against other programs: every run

Made by `benchmarks/benchmark.py`. [Against other programs](../benchmarks.md) says what is measured, and who won.
"""


def write_data(document: Path, results: Results, found: list[Match], work: Path | None) -> None:
    """Pictures go to the folder images beside the document; they are drawn of those meshes that `work` holds."""
    parts = [HEAD, "## Every comparison", "", *_table(found), ""]
    parts += _pictures(found, document.parent / "images", work) + _everything(results)
    of_data(document, "\n".join(parts))


def _table(found: list[Match]) -> list[str]:
    columns = ["cloud", "what", "points", "compared", "ours: cd", "nc", "s", "GB", "best peer"]
    columns += ["its cd", "nc", "s", "GB", "cd ratio", "ours at equal or less cd, s"]
    return [table_row(columns), table_row(["---"] * len(columns)), *map(_line, found)]


def _line(match: Match) -> str:
    mine, its, columns = [], [], {"cd": "{:.2f}", "normal_consistency": "{:.4f}", "wall": "{:.1f}", "GB": "{:.2f}"}
    for key, form in columns.items():
        mine.append(bold(shown(match.ours, key, form), match.won(key)))
        its.append(bold(shown(match.best, key, form), not match.won(key)))
    equal = match.equal
    quick = bold(f"{equal['wall']:.1f} ({equal['setting']})", equal["wall"] < match.best["wall"]) if equal else "none"
    head = [match.cloud, match.truth["kind"], f"{match.truth['points']:,}", match.surface]
    return table_row([*head, *mine, match.peer, *its, bold(f"{match.ratio:.2f}", match.ratio < 1), quick])


def best_of(rows: dict[str, dict], family: str) -> dict | None:
    """The run of a family that has the least cd."""
    return min((row for row in rows.values() if row["family"] == family), key=lambda row: row["cd"], default=None)


def _pictures(found: list[Match], images: Path, work: Path | None) -> list[str]:
    """A picture of each family's best mesh, side by side, for the clouds of PICTURED."""
    parts = []
    for match in (m for m in found if m.cloud in PICTURED and m.surface != "closed"):
        rows = [row for name in FAMILIES if (row := best_of({**match.rivals, **match.mine}, name))]
        path, span = images / f"benchmark_{match.cloud}.png", RANGE * match.best["cd"]
        files = [work / f"{match.cloud}, {row['family']} {row['setting']}.ply" for row in rows] if work else []
        if files and all(file.exists() for file in files):
            from distance_pictures import write_row

            write_row(path, files, work / f"{match.cloud}, truth.ply", span)
        if path.exists():
            names = ", ".join(f"{row['family']} {row['setting']} ({1e4 * row['cd']:.2f})" for row in rows)
            caption = (
                f"{match.cloud}, cd in brackets: {names}. Colour: distance from the truth, dark 0, yellow at least "
                f"{1e4 * span:.1f}; borders are red"
            )
            parts += [f"![{match.cloud}: distance from the truth](../images/{path.name})", "", f"*{caption}.*", ""]
    return ["## Distance from the truth", "", *parts] if parts else []


def _everything(results: Results) -> list[str]:
    columns = [
        "method",
        "s",
        "CPU s",
        "GB",
        "runs",
        "others",
        "cd",
        "accuracy / completeness",
        "Hausdorff",
        "F 0.1 %",
        "F 0.5 %",
    ]
    columns += ["nc", "pieces, border edges"]
    parts = ["## Every run", ""]
    order = sorted(results.cases, key=lambda name: (results.cases[name]["truth"]["points"], name))
    for cloud in order:
        stored, truth = results.cases[cloud], results.cases[cloud]["truth"]
        rows = {name: row for name, row in stored.items() if isinstance(row, dict) and "family" in row}
        pieces = f"{truth['components']} pieces, {truth['boundary_edges']} border edges"
        parts += [f"**{cloud}**: {truth['points']:,} points, {truth['kind']}; the truth has {pieces}", ""]
        parts += [table_row(columns), table_row(["---"] * len(columns))]
        whole = truth["complete"] and truth["watertight"]
        for closed in (None,) if whole else (False, True):
            group = {name: row for name, row in rows.items() if closed is None or row["closed"] == closed}
            parts += _group(group)
        parts.append("")
    return parts


def _group(rows: dict[str, dict]) -> list[str]:
    """Rows that may be compared with each other: the best of each column is bold."""
    good = [row for row in rows.values() if "error" not in row]
    best = {key: choose((row[key] for row in good), default=None) for key, choose in BEST.items()}
    lines = []
    for name, row in rows.items():
        if "error" in row:
            lines.append(table_row([name, row["error"], *[""] * 11]))
            continue

        def cell(key: str, form: str, row=row) -> str:
            return bold(shown(row, key, form), row[key] == best[key])

        both = f"{1e4 * row['accuracy']:.2f} / {1e4 * row['completeness']:.2f}"
        cells = [
            cell("wall", "{:.1f}"),
            cell("cpu", "{:.1f}"),
            cell("GB", "{:.2f}"),
            str(len(row["runs"])),
            f"{row['others']:.1f}",
            cell("cd", "{:.2f}"),
        ]
        cells += [both, cell("hausdorff", "{:.1f}"), cell("f_tight", "{:.4f}"), cell("f_loose", "{:.4f}")]
        cells += [cell("normal_consistency", "{:.4f}"), f"{row['components']}, {row['boundary_edges']}"]
        lines.append(table_row([name, *cells]))
    return lines


def shown(run: dict, key: str, form: str) -> str:
    """A measure of a run; why it failed, where it did."""
    if key not in run:
        return run.get("error", "")
    return form.format(run[key] * (1e4 if key in ("cd", "hausdorff") else 1.0))
