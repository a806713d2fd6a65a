"""Clouds that are no surface: never silent nonsense, and never a warning about a good one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from degeneracy_table import END, KINDS, PAGE, SCRIPTS, START, row, said
from shapes import hemisphere, knot, sphere, torus

from neural_splines.cloud import degeneracy
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.errors import SettingsError

GOOD = {
    "sphere": sphere(100), "fine sphere": sphere(20_000), "torus": torus(300), "knot": knot(2000),
    "open": hemisphere(200), "few": sphere(20),
}  # fmt: skip


def rough(cloud: OrientedCloud, sigma: float) -> OrientedCloud:
    noise = torch.randn(len(cloud), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return OrientedCloud(cloud.points + sigma * noise, cloud.normals)


@pytest.mark.parametrize("cloud", [*GOOD.values(), rough(torus(20_000), 0.05)], ids=[*GOOD, "noise of 2 spacings"])
def test_a_good_cloud_is_not_doubted(cloud):
    assert degeneracy.shape_lines(cloud) == []
    assert degeneracy.cluster_line(cloud, float(cloud.box.sides.max()) / 64) is None


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cloud", [GOOD["sphere"], GOOD["torus"], GOOD["fine sphere"]])
def test_normals_that_have_nothing_to_do_with_the_points_are_doubted(cloud, seed):
    noise = np.random.default_rng(seed).normal(size=cloud.points.shape)
    for normals in (noise, np.cross(cloud.normals.numpy(), noise)):
        units = torch.from_numpy(normals / np.linalg.norm(normals, axis=1, keepdims=True))
        (line,) = degeneracy.shape_lines(OrientedCloud(cloud.points, units))
        assert "are not perpendicular to the surface, so the mesh is not usable" in line


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("distance", [30.0, 1e3, 1e6])
def test_clusters_are_counted_along_any_axis(turn, distance):
    points = [GOOD["torus"].points + torch.tensor(np.roll([distance * k, 0.0, 0.0], turn)) for k in range(3)]
    cloud = OrientedCloud(torch.cat(points), GOOD["torus"].normals.repeat(3, 1))
    line = degeneracy.cluster_line(cloud, float(cloud.box.sides.max()) / 64)
    assert line.startswith("the points lie in 3 clusters far apart")
    assert ("raise GRID_SIZE" in line) == (distance == 30.0)


def test_clusters_that_have_voxels_enough_are_let_be():
    cloud = OrientedCloud(
        torch.cat([GOOD["torus"].points, GOOD["torus"].points + 20.0]), GOOD["torus"].normals.repeat(2, 1)
    )
    assert degeneracy.cluster_line(cloud, 0.1) is None
    assert degeneracy.cluster_line(cloud, 1.0) is not None


def test_an_offset_is_shorter_than_the_box_and_long_enough_to_count():
    for eps in (1e308, 4.0, 1e-12, 1e-320):
        with pytest.raises(SettingsError, match='use eps="auto"'):
            degeneracy.check_eps(eps, 3.9)
    degeneracy.check_eps(1.0, 3.9)
    assert degeneracy.eps_line(1e-4, 0.05, GOOD["sphere"])
    assert degeneracy.eps_line(0.02, 0.05, GOOD["sphere"]) is None


SILENT = ["points in a plane", "three points", "two sheets that face each other, 1e-6 apart"]  # surfaces after all


@pytest.mark.parametrize("kind", KINDS)
def test_nonsense_is_never_silent_and_the_page_shows_what_is_said(kind, tmp_path):
    answers = {script: said(kind, script, tmp_path) for script in SCRIPTS}
    if kind in SILENT:
        assert answers["fit.py"] == (0, "")
    else:
        for code, lines in answers.values():
            assert code in (0, 2)
            assert "; " in lines, "no remedy"
    shown = row(kind, {script: lines for script, (_, lines) in answers.items()})
    assert shown in PAGE.read_text().splitlines(), "run PYTHONPATH=. python tests/degeneracy_table.py"


def test_the_page_has_a_row_for_each_kind_and_no_other():
    rows = PAGE.read_text().split(START)[1].split(END)[0].strip().splitlines()[2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in rows] == list(KINDS)
