"""Ours against the best of the peers: ratios, what was won, what was lost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cases import Case
from peers import DEPTHS
from results import Results


@dataclass(frozen=True)
class Comparison:
    """A run of ours against the best of the peers: the one with the least cd."""

    case: Case
    mode: str
    ours: dict
    peer: str
    best: dict
    best_normals: float  # of any of the peers
    truth: dict

    @property
    def failed(self) -> bool:
        return "error" in self.ours

    @property
    def ratio(self) -> float:
        return math.inf if self.failed else self.ours["cd"] / self.best["cd"]

    @property
    def better_normals(self) -> bool:
        return not self.failed and self.ours["normal_consistency"] > self.best["normal_consistency"]

    @property
    def best_of_normals(self) -> bool:
        """Better than the best normals of any depth, whatever its distance."""
        return not self.failed and self.ours["normal_consistency"] > self.best_normals

    @property
    def pieces_too_many(self) -> bool:
        return not self.failed and self.ours["components"] > self.truth["components"] + 2

    @property
    def false_hole(self) -> bool:
        """A hole where the truth is closed and the clean cloud covers all of it."""
        return not self.failed and self.case.clean and self.case.closed and not self.ours["watertight"]


def compare(results: Results, stored: Results, cases: dict[str, Case]) -> list[Comparison]:
    """Of the cases that both files know, by the same arrays.

    A filled surface is compared with closed Poisson alone, one that is open where points are missing with trimmed
    Poisson alone, any other with both.
    """
    found = []
    for name, case in cases.items():
        mine = results.cases.get(name, {})
        rows = stored.known(name, mine.get("fingerprint", []))
        truth, closed = rows.pop("truth", None), [f"poisson {depth}" for depth in DEPTHS]
        for mode in ("default", "filled"):
            if truth is None or mode not in mine or not all(method in rows for method in closed):
                continue
            wanted = {m for m in rows if m in closed} if mode == "filled" else set(rows)
            wanted -= set(closed) if mode == "default" and case.holes else set()
            allowed = {m: rows[m] for m in rows if "cd" in rows[m] and m in wanted}
            peer = min(allowed, key=lambda method, rows=allowed: rows[method]["cd"])
            normals = max(row["normal_consistency"] for row in allowed.values())
            found.append(Comparison(case, mode, mine[mode], peer, rows[peer], normals, truth))
    return found


def summary(rows: list[Comparison]) -> list[str]:
    """Shares won, the worst, and what was lost, as lines."""
    if not rows:
        return ["nothing to compare"]

    def counted(test) -> str:
        count = sum(map(test, rows))
        return f"{count} ({count / len(rows):.0%})"

    finite = [row.ratio for row in rows if not row.failed]
    mean = math.exp(sum(map(math.log, finite)) / len(finite)) if finite else math.inf
    worst = max(rows, key=lambda row: row.ratio)
    return [
        f"{len(rows)} cases: cd better in {counted(lambda row: row.ratio < 1)}, "
        f"normals better in {counted(lambda row: row.better_normals)}, "
        f"than those of any depth in {counted(lambda row: row.best_of_normals)}",
        f"ratio of cd: {mean:.2f} in the geometric mean, {worst.ratio:.2f} at worst ({worst.case.name}); "
        f"above 1.1 in {counted(lambda row: row.ratio > 1.1)}",
        f"more components than the truth and two: {counted(lambda row: row.pieces_too_many)}; "
        f"false holes in clean closed shapes: {counted(lambda row: row.false_hole)}; "
        f"failed: {counted(lambda row: row.failed)}",
    ]


def print_summary(results: Results, stored: Results, cases: dict[str, Case]) -> None:
    found = compare(results, stored, cases)
    for mode in ("default", "filled"):
        rows = [row for row in found if row.mode == mode]
        if not rows:
            continue
        print(f"\n{mode}")
        print("\n".join(summary(rows)))
        for row in sorted(rows, key=lambda row: -row.ratio):
            marks = _marks(row)
            if marks:
                print(f"  {row.case.name:28} {row.ratio:6.2f}  {marks}{'  held out' if row.case.held_out else ''}")
        total = sum(row.ours["seconds"] for row in rows)
        print(f"{total:.0f} s in all, {total / len(rows):.1f} s a case")


def _marks(row: Comparison) -> str:
    if row.failed:
        return row.ours["error"]
    marks = [f"cd {1e4 * row.ours['cd']:.2f} against {1e4 * row.best['cd']:.2f}"] if row.ratio >= 1 else []
    if not row.better_normals:
        marks += [f"normals {row.ours['normal_consistency']:.4f} against {row.best['normal_consistency']:.4f}"]
    marks += [f"{row.ours['components']} components"] if row.pieces_too_many else []
    marks += [f"false holes: {row.ours['boundary_edges']} border edges"] if row.false_hole else []
    return ", ".join(marks)
