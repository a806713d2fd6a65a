"""What a run will take, said before it takes it; numbers that no one means."""

from __future__ import annotations

import math
import re

import pytest
import torch
from scripts import run, write_cloud
from shapes import hemisphere, knot, sphere, torus

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.errors import OutOfMemoryBudgetError
from neural_splines.kernels.products import resolve
from neural_splines.run import cells, cost
from neural_splines.run.whole import mesh_cloud
from neural_splines.runtime import budget, memory
from neural_splines.settings import Settings
from neural_splines.surface.lattice import Lattice
from neural_splines.surface.resolution import squares

CPU = resolve("cpu")
HUGE = 10**30


def noisy(cloud: OrientedCloud, sigma: float) -> OrientedCloud:
    noise = torch.randn(len(cloud), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return OrientedCloud(cloud.points + sigma * noise, cloud.normals)


@pytest.mark.parametrize(
    ("cloud", "area"),
    [
        (sphere(100), 4 * math.pi),
        (sphere(400), 4 * math.pi),
        (sphere(20_000), 4 * math.pi),
        (torus(3000), 4 * math.pi**2 * 0.4),
        (noisy(torus(20_000), 0.02), 4 * math.pi**2 * 0.4),
        (hemisphere(2000), 2 * math.pi),
    ],
)
def test_the_area_of_a_surface_is_known_from_its_points(cloud, area):
    lattice = Lattice.around(cloud.box, 1.1, 256)
    assert 0.6 < squares(lattice, cloud.sampling) * lattice.voxel_size**2 / area < 1.3


@pytest.mark.parametrize("cloud", [sphere(400), torus(3000), knot(6000), hemisphere(2000)])
def test_the_cubes_are_as_many_as_there_will_be(cloud):
    settings = Settings(cells=None, num_nystrom_samples=400, grid_size=96, device="cpu")
    result = mesh_cloud(cloud, settings)
    needed = budget.surface_bytes(squares(result.lattice, cloud.sampling))
    assert 0.5 < needed / (budget.CUBE_BYTES * len(result.mesh.faces) / 2) < 1.3


def test_more_of_anything_takes_longer():
    cloud = torus(3000)

    def seconds(grid: int, centers: int | None, sampling=cloud.sampling) -> float:
        lattice = Lattice.around(cloud.box, 1.1, grid)
        return cost.estimate(lattice, sampling, centers, Settings(cells=None, grid_size=grid), CPU).seconds

    assert seconds(4096, None) > 8 * seconds(1024, None)
    assert seconds(4096, 20_000) > 4 * seconds(4096, 1000)
    assert seconds(64, None, torus(30_000).sampling) > 3 * seconds(64, None)  # the cubes are the same


@pytest.mark.parametrize("script", ["fit.py", "fit-grid.py"])
@pytest.mark.parametrize(("free", "refused"), [(24 * 10**9, True), (600 * 10**9, False)])
def test_a_small_cloud_on_the_largest_grid_is_refused_or_announced(script, free, refused, tmp_path, monkeypatch):
    """It used to do neither, for minutes: few points do not look like much surface."""
    monkeypatch.setattr(memory, "available", lambda device: free)

    class Fitting(Exception):
        pass

    def begun(*_):
        raise Fitting

    monkeypatch.setattr(cells, "fit", begun)
    path = write_cloud(tmp_path / "cloud.ply", sphere(400))
    args = [path, "auto", "auto", 8192, *(["auto"] if "grid" in script else []), "--device", "cpu"]
    if not refused:
        said = []
        monkeypatch.setattr(cost, "WORTH_SAYING", 60.0)
        monkeypatch.setattr(cost.logger, "info", lambda text, *args: said.append(text % args))
        with pytest.raises(Fitting):
            run(script, *args, "--out", tmp_path / "mesh.ply")
        assert re.fullmatch(r"this will take about \d+ (minutes|hours) and \d+ GB, most of it for .*", said[0])
        return
    outcome = run(script, *args, "--out", tmp_path / "mesh.ply")
    assert outcome.code == 2
    assert re.search(r"takes [\d.]+ GB, and 24 GB are free on cpu; use a GRID_SIZE of at most \d{4}\n", outcome.err)
    assert outcome.err.count("\n") == 1


def test_the_grid_that_is_advised_fits(monkeypatch):
    cloud, settings = sphere(400), Settings(cells=None, grid_size=4096)
    monkeypatch.setattr(memory, "available", lambda device: 10**9)
    with pytest.raises(OutOfMemoryBudgetError) as caught:
        check(cloud, settings)
    most = int(re.search(r"at most (\d+)", str(caught.value))[1])
    assert most > 256
    check(cloud, Settings(cells=None, grid_size=int(0.99 * most)))


def check(cloud: OrientedCloud, settings: Settings) -> None:
    lattice = Lattice.around(cloud.box, settings.scale, settings.grid_size)
    cost.check(cost.estimate(lattice, cloud.sampling, 500, settings, CPU), lattice, settings, CPU.device)


def test_a_surface_that_goes_on_is_refused_before_memory_ends(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda device: 10**6)
    lattice = Lattice.around(sphere(100).box, 1.1, 1000)
    metered = cost.EvaluationBudget(lambda points: points[:, 0], lattice, CPU.device)
    points, most = torch.zeros(1000, 3), 10**6 // budget.EVALUATION_BYTES
    for _ in range(most // 1000):
        assert len(metered(points)) == 1000
    with pytest.raises(OutOfMemoryBudgetError, match=r"goes on where there are no points, takes .*at most 500"):
        metered(points)


def test_short_runs_say_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "WORTH_SAYING", 60.0)
    path = write_cloud(tmp_path / "cloud.ply", sphere(400))
    assert run("fit.py", path, "auto", 100, 32, "--seed", 0, "--out", tmp_path / "mesh.ply").err == ""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["auto", 50, "1e400"], "GRID_SIZE"),
        (["auto", 50, HUGE], "GRID_SIZE must be"),
        (["auto", 50, 2**63], "GRID_SIZE must be"),
        (["1e308", 50, 12], "EPS 1e+308 is longer than the box"),
        (["1e400", 50, 12], "EPS must be"),
        (["1e-320", 50, 12], "times shorter than the box"),
        (["auto", HUGE, 12], "NUM_NYSTROM_SAMPLES must be"),
        (["auto", -HUGE, 12], "NUM_NYSTROM_SAMPLES must be"),
        (["auto", 50, 12, "--seed", HUGE], "--seed must be"),
        (["auto", 50, 12, "--cg-max-iters", HUGE], "--cg-max-iters must be"),
        (["auto", 50, 12, "--voxel-downsample-threshold", HUGE], "--voxel-downsample-threshold must be"),
        (["auto", 50, 12, "--trim", "1e400"], "--trim must be"),
        (["auto", 50, 12, "--outer-layer-variance", "1e308"], "not positive definite"),
    ],
)
def test_numbers_that_no_one_means_are_one_line(args, message, tmp_path):
    assert message in refused("fit.py", tmp_path, *args)


@pytest.mark.parametrize(
    ("cells", "args", "message"),
    [
        (HUGE, [], "CELLS_PER_AXIS must be"),
        ("1e400", [], "CELLS_PER_AXIS"),
        ("auto", ["--points-per-cell", HUGE], "--points-per-cell must be"),
        ("auto", ["--min-pts-per-cell", HUGE], "--min-pts-per-cell must be"),
        ("auto", ["--min-pts-per-cell", 10**9], "no cell holds enough points; lower --min-pts-per-cell"),
        (2, ["--min-pts-per-cell", 10**9], "no cell holds enough points; lower --min-pts-per-cell"),
        (1, ["--min-pts-per-cell", 10**9], "no cell holds enough points; lower --min-pts-per-cell"),
    ],
)
def test_numbers_of_cells_that_no_one_means_are_one_line(cells, args, message, tmp_path):
    assert message in refused("fit-grid.py", tmp_path, "auto", 50, 12, cells, *args)


def refused(script: str, folder, *args) -> str:
    path = write_cloud(folder / "cloud.ply", sphere(200))
    outcome = run(script, path, *args, "--device", "cpu", "--out", folder / "mesh.ply")
    assert outcome.code == 2, outcome.err
    assert outcome.err.count("\n") == 1
    assert [p.name for p in folder.iterdir()] == ["cloud.ply"]
    return outcome.err


def test_cells_larger_than_the_cloud_are_one_cell(tmp_path):
    path = write_cloud(tmp_path / "cloud.ply", sphere(200))
    args = [path, "auto", 50, 12, "auto", "--points-per-cell", 10**9, "--seed", 0, "--out", tmp_path / "mesh.ply"]
    outcome = run("fit-grid.py", *args)
    assert (outcome.code, outcome.err) == (0, "")
    assert "1 local spline (cell)" in outcome.out
