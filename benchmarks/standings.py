"""Who won: ours at `auto` against the best of the peers, by what benchmarks/benchmark.py stored."""

from __future__ import annotations

from dataclasses import dataclass, replace

from methods import ONE_SPLINE, OURS
from results import Results

LABELS = {
    "cd": "less cd",
    "normal_consistency": "better normals (nc)",
    "wall": "fewer seconds",
    "cpu": "fewer CPU seconds",
    "GB": "less memory",
}
EQUAL = "fewer seconds at equal or less cd"


@dataclass(frozen=True)
class Match:
    """A run of ours at `auto` and those that it may be compared with on a cloud; the best peer has the least cd.

    One spline, which is our own program too, is a peer only where no other is.

    surface: trimmed, where surfaces end with the points; closed, where they go on; all, where the truth is closed and
    the points cover all of it. mine: ours with any setting, by name.
    """

    cloud: str
    truth: dict
    surface: str
    ours: dict
    mine: dict[str, dict]
    rivals: dict[str, dict]

    @property
    def peer(self) -> str:
        others = {name: row for name, row in self.rivals.items() if row["family"] != ONE_SPLINE} or self.rivals
        return min(others, key=lambda name: others[name]["cd"])

    @property
    def best(self) -> dict:
        return self.rivals[self.peer]

    @property
    def ratio(self) -> float:
        return self.ours["cd"] / self.best["cd"] if "cd" in self.ours else float("inf")

    def won(self, measure: str) -> bool:
        """Better than that same peer; a run that failed is lost."""
        if measure not in self.ours or "error" in self.ours:
            return False
        mine, its = self.ours[measure], self.best[measure]
        return mine > its if measure == "normal_consistency" else mine < its

    @property
    def equal(self) -> dict | None:
        """The fastest of ours whose cd is at most that of the best peer."""
        good = [row for row in self.mine.values() if row["cd"] <= self.best["cd"]]
        return min(good, key=lambda row: row["wall"], default=None)


def matches(results: Results) -> list[Match]:
    """In the order of names and of points; clouds without peers, or without ours, have none."""
    found = []
    for cloud, stored in results.cases.items():
        truth = stored["truth"]
        rows = {name: row for name, row in stored.items() if name not in ("fingerprint", "truth")}
        surfaces = ["all"] if truth["complete"] and truth["watertight"] else ["trimmed", "closed"]
        for surface in surfaces:
            ours = rows.get(f"{OURS} grid auto" + (" filled" if surface == "closed" else ""))
            fit = {name: row for name, row in rows.items() if "error" not in row and _belongs(row, surface)}
            mine = {name: row for name, row in fit.items() if row["family"] == OURS}
            rivals = {name: row for name, row in fit.items() if row["family"] != OURS}
            if ours and rivals:
                found.append(Match(cloud, truth, surface, ours, mine, rivals))
    return sorted(found, key=lambda match: (match.truth["kind"], match.truth["points"], match.cloud, match.surface))


def _belongs(row: dict, surface: str) -> bool:
    return surface == "all" or row["closed"] == (surface == "closed")


def against(found: list[Match], family: str) -> list[Match]:
    """The same, with one family of peers alone."""
    parts = (replace(m, rivals={k: row for k, row in m.rivals.items() if row["family"] == family}) for m in found)
    return [match for match in parts if match.rivals]


def standings(found: list[Match]) -> list[str]:
    """What ours won of all comparisons, against the best of all other programs and of each family: a Markdown table."""
    met = dict.fromkeys(row["family"] for match in found for row in match.rivals.values())
    families = sorted(met, key=lambda family: family == ONE_SPLINE)  # the last, and else as they come
    rows = [("**all other programs**", found), *((family, against(found, family)) for family in families)]
    columns = ["against the best of", "comparisons", *LABELS.values(), EQUAL]
    lines = [columns, ["---"] * len(columns)]
    for name, some in rows:
        equal = [match for match in some if match.equal]
        quick = sum(match.equal["wall"] < match.best["wall"] for match in equal)
        counts = (sum(match.won(key) for match in some) for key in LABELS)
        lines.append([name, str(len(some)), *map(str, counts), f"{quick} of {len(equal)}"])
    return [f"| {' | '.join(line)} |" for line in lines]
