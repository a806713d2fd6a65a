"""The tables of docs/results/srb.md, from what benchmarks/srb.py stored and from published figures.

python benchmarks/srb_page.py [--ours FILE] [--peers FILE] [--document docs/results/srb.md]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import closed_peers  # noqa: E402
import published  # noqa: E402
from documents import put  # noqa: E402
from report import bold  # noqa: E402
from results import Results  # noqa: E402
from srb import DEPTHS, PEERS, ROWS, SRB, STORED  # noqa: E402

SCANS = {"srb-anchor": "anchor", "srb-daratech": "daratech", "srb-dc": "dc", "srb-lordquas": "lord_quas"}
TITLES = {"auto": "`auto`", "filled": "`--fill-holes`", "estimated": "`--fill-holes`, normals estimated"}
TITLES |= {"spline": "one spline, 15,000 centres"}


def merged(*stored: Results) -> dict[str, dict[str, dict]]:
    """{method: {scan: row}}, ours first, then peers by program and depth; rows with errors are left out."""
    order = [*ROWS, *(f"{program} {depth}" for program in closed_peers.NAMES for depth in DEPTHS)]
    found: dict[str, dict[str, dict]] = {}
    for method in order:
        rows = {}
        for scan in SRB:
            for results in stored:
                row = results.cases.get(scan, {}).get(method, {})
                if "d_C" in row:
                    rows[scan] = row
        if rows:
            found[method] = rows
    return found


def title(method: str) -> str:
    program, _, depth = method.rpartition(" ")
    return TITLES.get(method) or f"Poisson, {program}, depth {depth}"


def tables(ours: Results, peers: Results, rows: list[published.Row]) -> str:
    found = merged(ours, peers)
    parts = ["## By the papers' measure", "", *_papers(found, rows), ""]
    parts += [
        "## By this project's measure",
        "",
        *_own(found),
        "",
        "## Sources of published figures",
        "",
        *_sources(rows),
    ]
    return "\n".join([*parts, "", "## Runs", "", *_runs(found)])


def _papers(found: dict, rows: list[published.Row]) -> list[str]:
    columns = ["d_C / d_H (from the scan: mean / largest)", *SCANS.values(), "mean of the four"]
    lines = [_row(columns), _row(["---"] * len(columns))]
    least = {
        (scan, key): min((row[scan][key] for row in found.values() if scan in row), default=None)
        for scan in SCANS
        for key in ("d_C", "d_H")
    }
    for method, by_scan in found.items():
        cells = []
        for scan in SCANS:
            row = by_scan.get(scan)
            if row is None:
                cells.append("")
                continue
            near, far = (
                bold(f"{row[key]:.{digits}f}", row[key] == least[scan, key]) for key, digits in (("d_C", 3), ("d_H", 2))
            )
            cells.append(f"{near} / {far} ({row['from the scan, mean']:.3f} / {row['from the scan, largest']:.2f})")
        whole = len(by_scan) == len(SCANS)
        mean = " / ".join(f"{np.mean([r[k] for r in by_scan.values()]):.{d}f}" for k, d in (("d_C", 3), ("d_H", 2)))
        lines.append(_row([title(method), *cells, mean if whole else ""]))
    for at, row in enumerate(rows, 1):
        cells = [
            " / ".join(f"{x:g}" for x in row.figures[scan]) if scan in row.figures else "" for scan in SCANS.values()
        ]
        mean = row.figures.get("mean")
        last = f"{mean[0]:g} / {mean[1]:g}, of five" if mean else ""
        lines.append(_row([f"{row.method}: published, not run [{at}]", *cells, last]))
    return lines


def _own(found: dict) -> list[str]:
    columns = ["accuracy / completeness / normals", *SCANS.values()]
    lines = [_row(columns), _row(["---"] * len(columns))]
    for method, by_scan in found.items():
        cells = []
        for scan in SCANS:
            row = by_scan.get(scan, {})
            if "accuracy" not in row:
                cells.append("")
                continue
            both = f"{1e4 * row['accuracy']:.1f} / {1e4 * row['completeness']:.1f}"
            shape = f"{row['components']}, {row['boundary_edges']}"
            cells.append(f"{both} / {row['normal_consistency']:.4f} ({shape})")
        if any(cells):
            lines.append(_row([title(method), *cells]))
    return lines


def _sources(rows: list[published.Row]) -> list[str]:
    columns = ["row", "method", "normals", "units", "source", "remark"]
    lines = [_row(columns), _row(["---"] * len(columns))]
    for at, row in enumerate(rows, 1):
        lines.append(_row([f"[{at}]", row.method, row.normals, row.units, row.source, row.remark]))
    return lines


def _runs(found: dict) -> list[str]:
    lines = []
    for method, by_scan in found.items():
        rows = list(by_scan.values())
        seconds = [row["seconds"] for row in rows if "seconds" in row]
        machines = sorted({f"{row['machine']}, {row['date']}" for row in rows if "machine" in row})
        span = f"{min(seconds):.0f} to {max(seconds):.0f} s" if seconds else "seconds not kept"
        lines.append(f"- {title(method)}: {'; '.join([span, *machines])}.")
    return lines


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(argv=None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument(
        "--ours", type=Path, default=STORED, metavar="FILE", help="JSON of benchmarks/srb.py --out (%(default)s)"
    )
    p.add_argument("--peers", type=Path, default=PEERS, metavar="FILE", help="JSON of the peers (%(default)s)")
    p.add_argument(
        "--document", type=Path, default=ROOT / "docs" / "results" / "srb.md", metavar="FILE", help="(%(default)s)"
    )
    options = p.parse_args(argv)
    put(options.document, tables(Results(options.ours), Results(options.peers), published.rows()))


if __name__ == "__main__":
    main()
