"""The clouds of benchmarks/benchmark.py with their truths: cases of our own, a ladder of sizes, any folder.

In a folder every file NAME_gt.EXT is a true mesh, and a cloud belongs to the truth with the longest NAME that its own
name begins with: bunny_gt.ply is the truth of bunny.ply and of bunny_noisy.xyz. Clouds without a truth are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cases import Case
from clouds import Cloud
from truths import Shape

LADDER, LADDER_KIND, SIZES = "scales", "ladder of sizes", (1_000, 10_000, 35_000, 100_000, 250_000, 1_000_000)
CASES = (
    ("smooth", Case("knot")),
    ("sharp edges", Case("gear", 30_000)),
    ("thin plate", Case("plate", 20_000)),
    ("thin shell", Case("thin-shell", 30_000)),
    ("open sheet", Case("waves", 20_000)),
    ("noise of 0.5 %", Case("knot", noise=0.005)),
    ("noise of 0.2 %, estimated normals", Case("gear", 25_000, 0.002, True)),
    ("1 % outliers", Case("gear", 30_000, outliers=0.01)),
    ("holes", Case("torus", 20_000, holes=6)),
    ("uneven density", Case("scales", 30_000, uneven=True)),
)


@dataclass(frozen=True)
class Input:
    """complete: the cloud samples all of the truth, and nothing else. build: the cloud and its truth."""

    name: str
    kind: str
    complete: bool
    build: Callable[[], tuple[Cloud, Shape]]


def own_inputs() -> list[Input]:
    """The ladder: one shape at every size."""
    cases = [Input(case.name, kind, case.complete, case.build) for kind, case in CASES]
    return cases + [Input(f"{LADDER}-{n}", LADDER_KIND, True, Case(LADDER, n).build) for n in SIZES]


def folder_inputs(folder: Path) -> list[Input]:
    """A scan may lack parts of its truth, so that no cloud of a folder counts as complete."""
    from neural_splines.files.point_clouds import clouds_in

    clouds = [Path(path) for path in clouds_in(folder)]
    truths = {path.stem.removesuffix("_gt"): path for path in sorted(folder.glob("*_gt.*"))}
    found = []
    for cloud in clouds:
        if cloud in truths.values():
            continue
        name = max((name for name in truths if cloud.stem.startswith(name)), key=len, default=None)
        if name is not None:
            found.append(Input(cloud.stem, "file", False, _reader(cloud, truths[name])))
    return found


def _reader(cloud: Path, truth: Path) -> Callable[[], tuple[Cloud, Shape]]:
    def build() -> tuple[Cloud, Shape]:
        from measures import welded

        from neural_splines import load_point_cloud
        from neural_splines.files.meshes import load_mesh

        return Cloud(*load_point_cloud(cloud)), Shape(*welded(*(part.numpy() for part in load_mesh(truth))))

    return build
