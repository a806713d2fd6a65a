"""Results of benchmarks/benchmark.py and of benchmarks/quality.py, stored by case and method."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).resolve().with_name("results")
PEERS, BENCHMARK = RESULTS / "quality_peers.json", RESULTS / "benchmark.json"


class Results:
    """{case: {"fingerprint": [...], method: {...}}}; a case whose fingerprint changed starts anew."""

    def __init__(self, path: Path | None):
        self.path = path
        self.cases: dict[str, dict] = json.loads(path.read_text()) if path and path.exists() else {}

    def known(self, case: str, fingerprint: list[float]) -> dict:
        """What is stored of a case, by method; nothing where its arrays are not those of today."""
        stored = self.cases.get(case, {})
        before = stored.get("fingerprint", [])
        same = len(before) == len(fingerprint) and np.allclose(before, fingerprint, rtol=1e-9, atol=0.0)
        return {name: row for name, row in stored.items() if name != "fingerprint"} if same else {}

    def add(self, case: str, fingerprint: list[float], rows: dict[str, dict]) -> None:
        """Put rows by method beside those that are stored, and write the file."""
        rows = {**self.known(case, fingerprint), **rows}
        self.cases[case] = {"fingerprint": [_rounded(x, 13) for x in fingerprint], **_rounded(rows, 5)}
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lines = (f"{json.dumps(name)}: {json.dumps(self.cases[name])}" for name in sorted(self.cases))
            part = self.path.with_name(f"{self.path.name}.part")
            part.write_text("{\n" + ",\n".join(lines) + "\n}\n")
            os.replace(part, self.path)


def _rounded(value, digits: int):
    """Numbers of so many digits, anywhere inside."""
    if isinstance(value, dict):
        return {key: _rounded(inner, digits) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner, digits) for inner in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
