"""The methods of benchmarks/benchmark.py: ours and the peers that are installed, as commands from a cloud to a mesh."""

from __future__ import annotations

import importlib.metadata
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import peers

ROOT = Path(__file__).resolve().parents[1]
OURS, ONE_SPLINE = "Neural Splines", "one spline"
GRIDS, BETWEEN = ("128", "auto"), ("192", "256")  # BETWEEN: where time at equal error is looked at
DEPTHS = (7, 8, 9)
QUANTILE = 0.01  # of the density, below which vertices are left out: that of Open3D's tutorial
CENTRES = 10_000  # of the predecessor's own examples
TRIM = 2.8  # below log4(points): 7 for the 0.8 million points of the example of PoissonRecon's page

Commands = Callable[[str, str, int], list[list[str]]]


@dataclass(frozen=True)
class Method:
    """commands(cloud, mesh, points): run after each other. closed: the surface goes on where there are no points.

    ladder: run on the ladder of sizes alone.
    """

    family: str
    setting: str
    closed: bool
    version: str
    commands: Commands
    ladder: bool = False

    @property
    def name(self) -> str:
        return f"{self.family} {self.setting}"


def installed(device: str = "auto") -> tuple[list[Method], list[str]]:
    """All methods that this machine has, and a line for each peer that it lacks; device: of ours."""
    found, missing = [*_ours(device)], []
    for name, distribution, make in (("Open3D", "open3d", _open3d), ("PyMeshLab", "pymeshlab", _pymeshlab)):
        version = _version(distribution)
        if version and (name != "Open3D" or peers.available()):
            found += make(version)
        else:
            missing.append(f"{name} is left out: it is not installed (requirements/requirements-bench.txt)")
    if shutil.which("PoissonRecon"):
        found += _poisson_recon(shutil.which("PoissonRecon"), shutil.which("SurfaceTrimmer"))
    else:
        missing.append("PoissonRecon is left out: it is not on the PATH")
    return found, missing


def _ours(device: str) -> Iterator[Method]:
    version, common = _version("neural_splines"), ["--seed", "0", "--device", device, "--out"]

    def cells(grid: str, *more: str) -> Commands:
        words = ["auto", "auto", grid, "auto", *more, *common]
        return lambda cloud, mesh, _: [[sys.executable, str(ROOT / "fit-grid.py"), cloud, *words, mesh]]

    def spline(cloud: str, mesh: str, points: int) -> list[list[str]]:
        words = [cloud, "auto", str(min(CENTRES, points)), "256", "--regularization", "1e-7", *common, mesh]
        return [[sys.executable, str(ROOT / "fit.py"), *words]]

    for grid in GRIDS:
        yield Method(OURS, f"grid {grid}", False, version, cells(grid))
    for grid in BETWEEN:
        yield Method(OURS, f"grid {grid}", False, version, cells(grid), ladder=True)
    yield Method(OURS, "grid auto filled", True, version, cells("auto", "--fill-holes"))
    yield Method(ONE_SPLINE, "10000 centres", True, version, spline)


def _open3d(version: str) -> Iterator[Method]:
    for depth in DEPTHS:
        yield from _trimmed_too("Open3D Poisson", "open3d-poisson", depth, version)
    command = _peer("open3d-pivoting")
    yield Method(
        "Open3D ball pivoting", "radii " + " ".join(f"{radius:g}" for radius in peers.RADII), False, version, command
    )


def _pymeshlab(version: str) -> Iterator[Method]:
    for depth in DEPTHS:
        yield from _trimmed_too("PyMeshLab Poisson", "pymeshlab-poisson", depth, version)


def _trimmed_too(family: str, program: str, depth: int, version: str) -> Iterator[Method]:
    yield Method(family, f"depth {depth}", True, version, _peer(program, str(depth), "0"))
    yield Method(family, f"depth {depth} trimmed", False, version, _peer(program, str(depth), str(QUANTILE)))


def _peer(program: str, *options: str) -> Commands:
    script = [sys.executable, str(ROOT / "benchmarks" / "peers.py"), program]
    return lambda cloud, mesh, _: [[*script, cloud, mesh, *options]]


def _poisson_recon(program: str, trimmer: str | None) -> Iterator[Method]:
    trial = [program, "--in", str(ROOT / "examples" / "knot.ply"), "--depth", "3", "--verbose"]  # the quickest to tell
    said = subprocess.run(trial, capture_output=True, text=True)
    version = re.search(r"Version\s*([\d.]+)", said.stdout + said.stderr)

    def commands(depth: int, trim: bool) -> Commands:
        def of(cloud: str, mesh: str, points: int) -> list[list[str]]:
            first = [program, "--in", cloud, "--out", mesh, "--depth", str(depth)]
            if not trim:
                return [first]
            least = f"{math.log(points, 4) - TRIM:.2f}"
            return [[*first, "--density"], [trimmer, "--in", mesh, "--out", mesh, "--trim", least]]

        return of

    for depth in DEPTHS:
        for trim in (False, True) if trimmer else (False,):
            setting = f"depth {depth}" + (" trimmed" if trim else "")
            yield Method("PoissonRecon", setting, not trim, version[1] if version else "?", commands(depth, trim))


def _version(distribution: str) -> str | None:
    if distribution == "neural_splines":
        return re.search(r'__version__ = "(.*)"', (ROOT / "neural_splines" / "__init__.py").read_text())[1]
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None if distribution.endswith("-cpu") else _version(f"{distribution}-cpu")
