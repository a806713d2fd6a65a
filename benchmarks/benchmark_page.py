"""docs/benchmarks.md: standings, figures and losses, from what benchmarks/benchmark.py stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from benchmark_data import FAMILIES, best_of, shown, write_data
from diagrams import diagram
from documents import put, table_row
from inputs import LADDER
from methods import OURS
from results import Results
from standings import Match, matches, standings

TIMED = f"{LADDER}-35000"  # the cloud of the diagram of error against time
TIMED_FAMILIES = (OURS, "Open3D Poisson")
LEAST = 35_000  # points of the ladder's clouds in the table of time and error


def write_page(document: Path, results: Results, work: Path | None) -> None:
    """Figures go to the folder images beside the page; all rows go to a page of the folder results."""
    found, images = matches(results), document.parent / "images"
    images.mkdir(exist_ok=True)
    parts = [*_machine(results), "", "## Standings", "", *_standings(found), "", *_losses(found)]
    parts += _ladder(found) + _figures(results, found, images)
    put(document, "\n".join(parts))
    write_data(document, results, found, work)


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
    days = sorted({row["date"] for row in rows if "date" in row})
    when = f" Measured {days[0]}{f' to {days[-1]}' if len(days) > 1 else ''}." if days else ""
    return [f"Machine: {'; '.join(machines)}.{when}{span} Versions: {', '.join(versions)}."]


def _standings(found: list[Match]) -> list[str]:
    lines = [
        "Comparisons that Neural Splines won with all settings `auto`. Last column: of its runs at any grid whose cd "
        "is at most that of the peer, the fastest is compared.",
        "",
    ]
    return [*lines, *standings(found)]


def _losses(found: list[Match]) -> list[str]:
    parts = []
    for match in sorted(found, key=lambda m: -m.ratio):
        told = (
            [] if match.won("cd") else [f"cd {shown(match.ours, 'cd', '{:.2f}')} against {1e4 * match.best['cd']:.2f}"]
        )
        if not match.won("normal_consistency"):
            mine = shown(match.ours, "normal_consistency", "{:.4f}")
            told.append(f"nc {mine} against {match.best['normal_consistency']:.4f}")
        if told:
            parts.append(f"- {match.cloud}, {match.surface}: {', '.join(told)} of {match.peer}")
    return ["## Comparisons lost in cd or normals", "", *(parts or ["Nothing."]), ""]


def _ladder(found: list[Match]) -> list[str]:
    """Seconds and error of each setting of ours and of Open3D's Poisson, by the size of the cloud."""
    sizes = [m for m in found if m.cloud.startswith(f"{LADDER}-") and m.truth["points"] >= LEAST]
    if not sizes:
        return []
    columns = ["points", *(f"{family}: setting, s, cd" for family in TIMED_FAMILIES)]
    lines = [table_row(columns), table_row(["---"] * len(columns))]
    for match in sizes:
        runs = sorted((*match.mine.values(), *match.rivals.values()), key=lambda row: row["wall"])
        cells = [
            "; ".join(
                f"{row['setting']}, {row['wall']:.1f}, {1e4 * row['cd']:.2f}" for row in runs if row["family"] == family
            )
            for family in TIMED_FAMILIES
        ]
        lines.append(table_row([f"{match.truth['points']:,}", *cells]))
    return [f"## Time and error by size ({LADDER})", "", *lines, ""]


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
            best = [(n, best_of({**m.rivals, **m.mine}, name)) for n, m in sorted(ladder.items())]
            error[name] = [(n, 1e4 * row["cd"], "") for n, row in best if row]
            seconds[name] = [(n, row["wall"], "") for n, row in best if row]
        title = "Error against points, each at its best setting"
        parts += _figure(images / "benchmark_points.svg", error, "points", title)
        title = "Time against points, of those same settings"
        parts += _figure(images / "benchmark_seconds.svg", seconds, "points", title, "seconds of the whole process")
    return ["## Figures", "", *parts] if parts else []


def _figure(path: Path, series: dict, across: str, title: str, upwards: str = "cd, 1e-4 of the diagonal") -> list[str]:
    series = {name: sorted(row) for name, row in series.items() if row}
    path.write_text(diagram(series, across, f"{upwards} (lower is better)"), encoding="utf-8")
    return [f"**{title}**", "", f"![{title}](images/{path.name})", ""]
