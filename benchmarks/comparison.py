"""Ours against the best of the peers, case by case: which meshes are compared, ratios, what was won."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cases import Case
from peers import DEPTHS
from results import Results

CLOSED = [f"poisson {depth}" for depth in DEPTHS]


@dataclass(frozen=True)
class Comparison:
    """A run of ours against the best of the peers: the one with the least cd."""

    case: Case
    mode: str
    ours: dict
    peer: str
    best: dict
    best_normals: float  # of any of the peers
    least_largest: float | None  # the least hausdorff of any closed peer; None where one was not measured
    truth: dict

    @property
    def failed(self) -> bool:
        return "error" in self.ours

    @property
    def at_auto(self) -> bool:
        """What counts where nothing is chosen: as it comes, but filled where balls or a base of points are missing."""
        return self.mode == ("filled" if self.case.holed else "default")

    @property
    def ratio(self) -> float:
        return math.inf if self.failed else self.ours["cd"] / self.best["cd"]

    @property
    def ratio_of_largest(self) -> float | None:
        """Of the largest distance to the least one of any closed peer."""
        if self.failed:
            return math.inf
        known = self.least_largest is not None and "hausdorff" in self.ours
        return self.ours["hausdorff"] / self.least_largest if known else None

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
    def must_close(self) -> bool:
        """The cloud samples all of a closed surface."""
        return self.case.complete and self.case.closed

    @property
    def false_hole(self) -> bool:
        return not self.failed and self.must_close and self.ours["boundary_edges"] > 0


def compare(results: Results, stored: Results, cases: dict[str, Case]) -> list[Comparison]:
    """Of the cases that both files know, by the same arrays.

    A filled surface is compared with closed Poisson alone, any other with closed and trimmed ones. Where balls or a
    base of points are missing only the filled surface is compared: what stays open there is a matter of taste.
    """
    found = []
    for name, case in cases.items():
        mine = results.cases.get(name, {})
        rows = stored.known(name, mine.get("fingerprint", []))
        truth = rows.pop("truth", None)
        for mode in ("filled",) if case.holed else ("default", "filled"):
            if truth is None or mode not in mine or not all(method in rows for method in CLOSED):
                continue
            allowed = {m: rows[m] for m in rows if "cd" in rows[m] and (m in CLOSED or mode == "default")}
            peer = min(allowed, key=lambda method, rows=allowed: rows[method]["cd"])
            normals = max(row["normal_consistency"] for row in allowed.values())
            largest = [rows[m].get("hausdorff") for m in CLOSED if "cd" in rows[m]]
            least = None if None in largest else min(largest)
            found.append(Comparison(case, mode, mine[mode], peer, rows[peer], normals, least, truth))
    return found


def not_compared(results: Results, found: list[Comparison], cases: dict[str, Case]) -> list[str]:
    """Names of the cases that ours has run and that no figure at `auto` counts, with the reason."""
    counted = {row.case.name for row in found if row.at_auto}
    names = [name for name in cases if name in results.cases and name not in counted]
    unfilled = {name for name in names if cases[name].holed and "filled" not in results.cases[name]}
    return [f"{name} ({'not filled' if name in unfilled else 'no peers of these arrays'})" for name in names]
