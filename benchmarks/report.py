"""docs/quality.md and docs/results/quality.md: standings and every case of benchmarks/quality.py, won or lost.

In use:
    python benchmarks/report.py RESULTS.json [--before RESULTS.json] [--peers FILE] [--document docs/quality.md]

Standings take the place of what stands between the two marks of the document; the text around them is written by
hand. The tables of all cases are a page of their own, of the same name, in the folder results beside the document.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from cases import Case, all_cases  # noqa: E402
from comparison import Comparison, compare, not_compared  # noqa: E402
from documents import of_data, put  # noqa: E402
from figures import figures, print_summary  # noqa: E402
from peers import DEPTHS  # noqa: E402
from quality_page import standings  # noqa: E402
from results import PEERS, Results  # noqa: E402

HEAD = """# Quality: every case

Made by `benchmarks/report.py`. [Quality](../quality.md) says what is measured and who won;
[the cases](quality_cases.md) says what the names mean. A star marks held-out cases; bold is better."""
TITLES = {
    "default": "## Every case at `auto`",
    "filled": "## With `--fill-holes`, against closed Poisson",
}


def tables(found: list[Comparison], earlier: list[Comparison], stored: Results, cases: dict[str, Case]) -> str:
    """The rows of each mode, and those of the peers, in Markdown."""
    parts = [HEAD, *(f"- before: {line}" for line in figures(earlier))]
    for mode, title in TITLES.items():
        rows = [row for row in found if (row.at_auto if mode == "default" else row.mode == mode)]
        old = {(row.case.name, row.mode): row for row in earlier}
        if rows:
            shown = (_line(row, old.get((row.case.name, row.mode)), mode, bool(old)) for row in rows)
            parts += ["", title, "", _head(mode, bool(old)), *shown]
    return "\n".join([*parts, "", "## Poisson at every depth: cd / normals", "", *_peers(stored, cases)])


def _peers(stored: Results, cases: dict[str, Case]) -> list[str]:
    """Every stored peer's best: of each depth as it comes, and of all that were trimmed."""
    columns = ["case", *(f"depth {depth}" for depth in DEPTHS), "trimmed"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for name in (name for name in cases if name in stored.cases):
        rows = {method: row for method, row in stored.cases[name].items() if "cd" in row}
        best = min(rows, key=lambda method, rows=rows: rows[method]["cd"])
        trimmed = min((m for m in rows if "trimmed" in m), key=lambda m, rows=rows: rows[m]["cd"], default=None)
        shown = [f"poisson {depth}" for depth in DEPTHS] + ([trimmed] if trimmed else [])
        cells = [bold(_pair(rows[method]), method == best) if method in rows else "no mesh" for method in shown]
        if trimmed:
            cells[-1] += f" ({trimmed.removeprefix('poisson ').replace('trimmed', 'at')})"
        lines.append(f"| {' | '.join([name, *cells, *([] if trimmed else [''])])} |")
    return lines


def _pair(row: dict) -> str:
    return f"{1e4 * row['cd']:.2f} / {row['normal_consistency']:.4f}"


def _head(mode: str, before: bool) -> str:
    columns = ["case", "ours: cd (accuracy / completeness)", "normals", "pieces, border edges"]
    columns += ["best Poisson", "its cd (accuracy / completeness)", "normals", "cd ratio"]
    columns += ["largest distance ratio"] if mode == "filled" else []
    columns += ["ratio before"] if before else []
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def _line(row: Comparison, old: Comparison | None, mode: str, before: bool) -> str:
    ours, best, largest = row.ours, row.best, row.ratio_of_largest
    name = f"{row.case.name}{' (filled)' if row.mode != mode else ''}{' *' if row.case.held_out else ''}"
    if row.failed:
        mine = [ours["error"], "", ""]
    else:
        shape = f"{ours['components']} of {row.truth['components']}, {ours['boundary_edges']}"
        mine = [_distances(ours), bold(f"{ours['normal_consistency']:.4f}", row.better_normals), shape]
    its = [row.peer.removeprefix("poisson "), _distances(best), f"{best['normal_consistency']:.4f}"]
    last = [bold(f"{row.ratio:.2f}", row.ratio < 1.0)]
    if mode == "filled":
        last += ["" if largest is None else bold(f"{largest:.2f}", largest < 1.0)]
    last += [f"{old.ratio:.2f}" if old else ""] if before else []
    return f"| {' | '.join([name, *mine, *its, *last])} |"


def _distances(row: dict) -> str:
    cd, accuracy, completeness = (1e4 * row[name] for name in ("cd", "accuracy", "completeness"))
    return f"{cd:.2f} ({accuracy:.2f} / {completeness:.2f})"


def bold(text: str, won: bool) -> str:
    return f"**{text}**" if won else text


def main(argv=None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("results", type=Path, metavar="RESULTS", help="JSON of benchmarks/quality.py --out")
    p.add_argument("--before", type=Path, metavar="RESULTS", help="of an earlier program, for one more column")
    p.add_argument("--peers", type=Path, default=PEERS, metavar="FILE", help="JSON of the peers (%(default)s)")
    p.add_argument(
        "--document",
        type=Path,
        metavar="FILE",
        help="put the standings in here, all cases into its folder results; without it print the summary",
    )
    options = p.parse_args(argv)
    results, stored, before = Results(options.results), Results(options.peers), Results(options.before)
    if not options.document:
        print_summary(results, stored, {case.name: case for case in all_cases(Path())})
        return
    cases = {case.name: case for case in all_cases(Path())}
    found, earlier = compare(results, stored, cases), compare(before, stored, cases)
    put(options.document, standings(found, not_compared(results, found, cases)))
    of_data(options.document, tables(found, earlier, stored, cases))


if __name__ == "__main__":
    main()
