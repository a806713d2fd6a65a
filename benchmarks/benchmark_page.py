"""docs/benchmarks.md: tables, figures and pictures from what benchmarks/benchmark.py stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from diagrams import diagram
from documents import put
from inputs import LADDER
from methods import ONE_SPLINE, OURS
from report import bold
from results import Results
from standings import Match, matches, standings

BEST = {"wall": min, "cpu": min, "GB": min, "cd": min, "hausdorff": min, "f_tight": max, "f_loose": max}
BEST |= {"normal_consistency": max}
TIMED = f"{LADDER}-35000"  # the cloud of the diagram of error against time
PICTURED = ("bunny_oriented_36k", "plate", "gear_outliers1")
FAMILIES = (OURS, "PoissonRecon", "Open3D Poisson", "PyMeshLab Poisson", "Open3D ball pivoting", ONE_SPLINE)
RANGE = 3.0  # times the best peer's cd: the far end of the colours


def write_page(document: Path, results: Results, work: Path | None) -> None:
    """Figures go to the folder images beside the page; pictures are drawn of those meshes that `work` holds."""
    found, images = matches(results), document.parent / "images"
    images.mkdir(exist_ok=True)
    parts = [*_machine(results), "", "## Standings", "", *_standings(found), "", *_table(found), ""]
    parts += _figures(results, found, images)
    parts += _pictures(found, images, work) + _losses(found) + _everything(results)
    put(document, "\n".join(parts))


def _machine(results: Results) -> list[str]:
    rows = [row for stored in results.cases.values() for row in stored.values() if "machine" in row]
    machines = sorted({row["machine"] for row in rows})
    versions = sorted({f"{row['family']} {row['version']}" for row in rows})
    others = [run["others"] for row in rows for run in row.get("runs", ())]
    span = (
        f" Load of other processes: {np.median(others):.2f} cores in the median, {max(others):.1f} at most."
        if others
        else ""
    )
    return [f"Machine: {'; '.join(machines)}.{span} Versions: {', '.join(versions)}."]


def _standings(found: list[Match]) -> list[str]:
    lines = [
        "Comparisons that Neural Splines won with all settings `auto`. Last column: of its runs at any grid whose cd "
        "is at most that of the peer, the fastest is compared.",
        "",
    ]
    lines += standings(found)
    ladder = [m for m in found if m.cloud.startswith(f"{LADDER}-") and 35_000 <= m.truth["points"] <= 250_000]
    if ladder:
        lines += ["", "Only the clouds `scales` from 35,000 to 250,000 points:", "", *standings(ladder)]
    return lines


def _table(found: list[Match]) -> list[str]:
    columns = ["cloud", "what", "points", "compared", "ours: cd", "nc", "s", "GB", "best peer"]
    columns += ["its cd", "nc", "s", "GB", "cd ratio", "ours at equal or less cd, s"]
    return [_row(columns), _row(["---"] * len(columns)), *map(_line, found)]


def _line(match: Match) -> str:
    mine, its, shown = [], [], {"cd": "{:.2f}", "normal_consistency": "{:.4f}", "wall": "{:.1f}", "GB": "{:.2f}"}
    for key, form in shown.items():
        mine.append(bold(_shown(match.ours, key, form), match.won(key)))
        its.append(bold(_shown(match.best, key, form), not match.won(key)))
    equal = match.equal
    quick = bold(f"{equal['wall']:.1f} ({equal['setting']})", equal["wall"] < match.best["wall"]) if equal else "none"
    head = [match.cloud, match.truth["kind"], f"{match.truth['points']:,}", match.surface]
    return _row([*head, *mine, match.peer, *its, bold(f"{match.ratio:.2f}", match.ratio < 1), quick])


def _figures(results: Results, found: list[Match], images: Path) -> list[str]:
    parts, timed = [], results.cases.get(TIMED, {})
    rows = [row for row in timed.values() if isinstance(row, dict) and "cd" in row]
    if rows:
        series = {
            name: [(r["wall"], 1e4 * r["cd"], r["setting"]) for r in rows if r["family"] == name] for name in FAMILIES
        }
        parts += _figure(
            images / "benchmark_time.svg", series, "seconds of the whole process", f"Error against time, {TIMED}"
        )
    ladder = {m.truth["points"]: m for m in found if m.cloud.startswith(f"{LADDER}-")}
    if len(ladder) > 1:
        error, seconds = {}, {}
        for name in FAMILIES:
            best = [(n, _best({**m.rivals, **m.mine}, name)) for n, m in sorted(ladder.items())]
            error[name] = [(n, 1e4 * row["cd"], "") for n, row in best if row]
            seconds[name] = [(n, row["wall"], "") for n, row in best if row]
        title = "Error against points, each at its best setting"
        parts += _figure(images / "benchmark_points.svg", error, "points", title)
        title = "Time against points, of those same settings"
        parts += _figure(images / "benchmark_seconds.svg", seconds, "points", title, "seconds of the whole process")
    return ["## Figures", "", *parts] if parts else []


def _best(rows: dict[str, dict], family: str) -> dict | None:
    return min((row for row in rows.values() if row["family"] == family), key=lambda row: row["cd"], default=None)


def _figure(path: Path, series: dict, across: str, title: str, upwards: str = "cd, 1e-4 of the diagonal") -> list[str]:
    series = {name: sorted(row) for name, row in series.items() if row}
    path.write_text(diagram(series, across, f"{upwards} (lower is better)"), encoding="utf-8")
    return [f"**{title}**", "", f"![{title}](images/{path.name})", ""]


def _pictures(found: list[Match], images: Path, work: Path | None) -> list[str]:
    """A picture of each family's best mesh, side by side, for the clouds of PICTURED."""
    parts = []
    for match in (m for m in found if m.cloud in PICTURED and m.surface != "closed"):
        rows = [row for name in FAMILIES if (row := _best({**match.rivals, **match.mine}, name))]
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
            parts += [f"![{match.cloud}: distance from the truth](images/{path.name})", "", f"*{caption}.*", ""]
    return ["## Distance from the truth", "", *parts] if parts else []


def _losses(found: list[Match]) -> list[str]:
    parts = []
    for match in sorted(found, key=lambda m: -m.ratio):
        told = (
            [] if match.won("cd") else [f"cd {_shown(match.ours, 'cd', '{:.2f}')} against {1e4 * match.best['cd']:.2f}"]
        )
        if not match.won("normal_consistency"):
            shown = _shown(match.ours, "normal_consistency", "{:.4f}")
            told.append(f"nc {shown} against {match.best['normal_consistency']:.4f}")
        if told:
            parts.append(f"- {match.cloud}, {match.surface}: {', '.join(told)} of {match.peer}")
    return ["## Comparisons lost in cd or normals", "", *(parts or ["Nothing."]), ""]


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
        parts += [_row(columns), _row(["---"] * len(columns))]
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
            lines.append(_row([name, row["error"], *[""] * 11]))
            continue

        def cell(key: str, form: str, row=row) -> str:
            return bold(_shown(row, key, form), row[key] == best[key])

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
        lines.append(_row([name, *cells]))
    return lines


def _shown(row: dict, key: str, form: str) -> str:
    if key not in row:
        return row.get("error", "")
    return form.format(row[key] * (1e4 if key in ("cd", "hausdorff") else 1.0))


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
