"""The two scripts from the command line to the files: what they promise, end to end, on small shapes."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from scripts import run, write_cloud
from shapes import edges, euler_number, hemisphere, is_watertight, knot, sphere, torus, volume

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.files.meshes import load_mesh
from neural_splines.kernels.kernels import KERNELS
from neural_splines.settings import NYSTROM_MODES


@pytest.fixture
def reconstruct(tmp_path):
    """reconstruct(cloud, script, args...) -> (outcome, vertices, faces)."""

    def call(cloud, script, *args):
        path, out = write_cloud(tmp_path / "cloud.ply", cloud), tmp_path / "out.ply"
        outcome = run(script, path, *args, "--seed", 0, "--out", out)
        assert outcome.code == 0, outcome.err
        return outcome, *load_mesh(out)

    return call


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("mode", NYSTROM_MODES)
def test_every_kernel_and_sampling_closes_a_torus(reconstruct, kernel, mode):
    _, vertices, faces = reconstruct(
        torus(1500), "fit.py", "auto", 600, 32, "--kernel", kernel, "--nystrom-mode", mode, "--min-component", 0.5
    )
    assert is_watertight(faces)
    assert euler_number(faces) == 0
    distance = ((vertices[:, :2].norm(dim=1) - 1) ** 2 + vertices[:, 2] ** 2).sqrt() - 0.4
    assert distance.abs().mean() < 0.01
    assert volume(vertices, faces) > 0


@pytest.mark.parametrize("script", ["fit.py", "fit-grid.py"])
def test_float32_is_close_to_float64(reconstruct, script):
    """The same faces but for a few cubes; distances in voxels. Systems of cells are worse conditioned."""
    args = ["auto", 300, 24] + ([3] if "grid" in script else []) + ["--regularization", 1e-5]
    _, double, faces = reconstruct(sphere(800), script, *args)
    outcome, single, others = reconstruct(sphere(800), script, *args, "--dtype", "float32")
    assert "float32" in outcome.out
    assert not torch.equal(single, double)
    assert abs(len(faces) - len(others)) <= 0.01 * len(faces)
    distance = torch.cdist(single, double).amin(1) / (2.2 / 24)
    assert distance.max() < (0.25 if "grid" in script else 0.02)
    assert distance.median() < (0.02 if "grid" in script else 0.002)
    assert (double.norm(dim=1) - 1).abs().mean() < 0.01


@pytest.mark.parametrize(("cells", "overlap"), [("auto", 0.1), ("auto", 0.5), (1, 0.1), (2, 0.5), (4, 0.1)])
def test_cells_leave_no_crack(reconstruct, cells, overlap):
    """Closed shapes: watertight, with the right Euler number, whatever the cells."""
    args = ["auto", "auto", 28, cells, "--overlap", overlap]
    args += ["--points-per-cell", 80] if cells == "auto" else []
    for shape, euler in ((torus(1500), 0), (knot(2500), 0), (sphere(700), 2)):
        _, vertices, faces = reconstruct(shape, "fit-grid.py", *args)
        assert is_watertight(faces)
        assert euler_number(faces) == euler
        assert volume(vertices, faces) > 0


def test_one_cell_is_one_spline(reconstruct):
    _, one, faces = reconstruct(torus(800), "fit.py", 0.05, 300, 24)
    _, other, same = reconstruct(torus(800), "fit-grid.py", 0.05, 300, 24, 1, "--overlap", 0)
    assert torch.equal(faces, same)
    assert torch.equal(one, other)


@pytest.mark.parametrize("script", ["fit.py", "fit-grid.py"])
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_scaling_the_cloud_scales_the_mesh(reconstruct, script, factor):
    args = [200, 20] + (["auto"] if "grid" in script else [])
    cloud = torus(800)
    _, one, faces = reconstruct(cloud, script, 0.05, *args)
    _, other, same = reconstruct(replace(cloud, points=factor * cloud.points), script, 0.05 * factor, *args)
    voxel = float((one.amax(0) - one.amin(0)).max()) / 20
    assert torch.equal(faces, same)
    assert (other / factor - one).abs().max() < 0.01 * voxel


@pytest.mark.parametrize("script", ["fit.py", "fit-grid.py"])
def test_shifting_the_cloud_shifts_the_mesh(reconstruct, script):
    """By 5e6, in double precision: a digit of 1e-9 against a spacing of 0.1 cannot change a vertex by 0.01 voxel."""
    args = [0.05, 200, 20] + (["auto"] if "grid" in script else [])
    cloud = torus(800)
    shift = torch.tensor([5e6, -5e6, 5e6], dtype=torch.float64)
    _, one, _ = reconstruct(cloud, script, *args)
    _, other, _ = reconstruct(replace(cloud, points=cloud.points + shift), script, *args)
    voxel = float((one.amax(0) - one.amin(0)).max()) / 20
    assert len(one) == len(other)
    assert torch.cdist(other - shift, one).amin(1).max() < 0.01 * voxel


@pytest.mark.parametrize("script", ["fit.py", "fit-grid.py"])
def test_the_same_seed_gives_the_same_file(tmp_path, script):
    cloud = write_cloud(tmp_path / "cloud.ply", torus(800))
    files = [tmp_path / "a.ply", tmp_path / "b.ply"]
    for out in files:
        args = ["auto", 200, 20] + (["auto"] if "grid" in script else [])
        assert run(script, cloud, *args, "--seed", 0, "--out", out).code == 0
    assert files[0].read_bytes() == files[1].read_bytes()


def test_without_a_seed_one_is_chosen_and_printed(tmp_path):
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(300))
    outcome = run("fit.py", cloud, "auto", 100, 12, "--out", tmp_path / "out.ply")
    seed = next(line.split()[1] for line in outcome.out.splitlines() if line.startswith("seed:"))
    again = run("fit.py", cloud, "auto", 100, 12, "--seed", seed, "--out", tmp_path / "again.ply")
    assert again.code == 0
    assert (tmp_path / "out.ply").read_bytes() == (tmp_path / "again.ply").read_bytes()


def test_the_saved_grid_gives_the_mesh(tmp_path):
    """Grid, origin and voxel size are all that is needed: scikit-image's marching cubes on them returns the mesh."""
    from skimage.measure import marching_cubes

    cloud, out = write_cloud(tmp_path / "cloud.ply", torus(800)), tmp_path / "out.ply"
    assert run("fit.py", cloud, "auto", 200, 24, "--seed", 0, "--out", out, "--save-grid", "--no-refine").code == 0
    grid = np.load(f"{out}.grid.npy", allow_pickle=False)
    meta = json.loads((tmp_path / "out.ply.grid.json").read_text())
    assert list(grid.shape) == meta["shape"]
    found, triangles, _, _ = marching_cubes(grid.astype(np.float32), 0.0, gradient_direction="ascent")
    vertices, faces = load_mesh(out)
    assert np.array_equal(triangles, faces.numpy())
    expected = np.array(meta["origin"]) + (found + 0.5) * meta["voxel_size"]
    assert np.abs(expected - vertices.numpy()).max() < 1e-5


def test_the_saved_points_give_the_fit(tmp_path):
    """A direct solution of the saved problem is the field that the mesh is the zero set of."""
    from references import kernel_matrix, ridge_solution

    cloud, out = write_cloud(tmp_path / "cloud.ply", sphere(60)), tmp_path / "out.ply"
    args = [0.1, 50, 16, "--seed", 0, "--out", out, "--save-points", "--cg-max-iters", 300, "--cg-stop-thresh", 1e-12]
    assert run("fit.py", cloud, *args).code == 0
    with np.load(f"{out}.pts.npz", allow_pickle=False) as saved:
        x, y, centers, eps = (saved[k] for k in ("positions", "values", "nystrom_samples", "eps"))
    assert x.shape == (180, 3)
    assert sorted(set(y)) == [-eps, 0.0, eps]
    assert eps == pytest.approx(0.1)
    low, high = x.min(0), x.max(0)
    scale, center = 1 / (high - low).max(), (low + high) / 2
    model_x, model_c = (x - center) * scale, (centers - center) * scale
    K_nm, K_mm = (kernel_matrix("neural-spline", a, model_c) for a in (model_x, model_c))
    a = ridge_solution(K_nm, K_mm, y * scale, 1e-7)
    vertices, _ = load_mesh(out)
    values = kernel_matrix("neural-spline", (vertices.numpy()[:200] - center) * scale, model_c) @ a
    assert np.abs(values / scale).max() < 1e-5


def test_cells_save_their_points_too(tmp_path):
    cloud, out = write_cloud(tmp_path / "cloud.ply", sphere(600)), tmp_path / "out.ply"
    assert run("fit-grid.py", cloud, 0.05, 100, 16, "auto", "--seed", 0, "--out", out, "--save-points").code == 0
    with np.load(f"{out}.pts.npz", allow_pickle=False) as saved:
        assert saved["positions"].shape == (1800, 3)
        radius = np.linalg.norm(saved["nystrom_samples"], axis=1)
        assert np.abs(np.abs(radius - 1) - np.round(np.abs(radius - 1) / 0.05) * 0.05).max() < 1e-5  # on a shell


def test_trimming_opens_what_no_point_supports(reconstruct):
    """One spline closes a hemisphere with a sheet; --trim takes it away. Adaptive cells do so by themselves."""
    cloud = hemisphere(2000)
    _, whole, _ = reconstruct(cloud, "fit.py", "auto", 500, 32, "--scale", 1.7)
    _, trimmed, faces = reconstruct(cloud, "fit.py", "auto", 500, 32, "--scale", 1.7, "--trim", 1.0)
    assert len(trimmed) < len(whole)
    assert (trimmed.norm(dim=1) - 1).abs().max() < 0.1
    assert edges(faces)[1].max() == 2
    _, adaptive, _ = reconstruct(cloud, "fit-grid.py", "auto", "auto", 32, "auto")
    assert (adaptive.norm(dim=1) - 1).abs().max() < 0.05
    assert adaptive[:, 2].min() > -0.2


def test_trim_surface_does_what_trim_does(tmp_path):
    cloud, out = write_cloud(tmp_path / "cloud.ply", hemisphere(1000)), tmp_path / "out.ply"
    assert run("fit.py", cloud, "auto", 300, 24, "--seed", 0, "--out", out).code == 0
    assert run("fit.py", cloud, "auto", 300, 24, "--seed", 0, "--out", tmp_path / "a.ply", "--trim", 1).code == 0
    assert run("trim-surface.py", cloud, out, 24, 1, "--out", tmp_path / "b.ply").code == 0
    one, other = load_mesh(tmp_path / "a.ply"), load_mesh(tmp_path / "b.ply")
    assert torch.equal(one[1], other[1])
    assert torch.equal(one[0], other[0])


def test_holes_are_filled_on_request(reconstruct):
    """A sphere without its southern cap is open, or closed on request, out of the box too; its other half stays."""
    whole = sphere(1500)
    cloud = replace(whole, **{name: getattr(whole, name)[whole.points[:, 2] > -0.6] for name in ("points", "normals")})
    args = ["auto", "auto", 28, "auto"]
    _, _, faces = reconstruct(cloud, "fit-grid.py", *args)
    assert not is_watertight(faces)
    outcome, vertices, faces = reconstruct(cloud, "fit-grid.py", *args, "--fill-holes")
    assert "filling of holes" in outcome.out
    assert is_watertight(faces)
    assert euler_number(faces) == 2
    assert outcome.err == ""
    assert vertices[:, 2].min() < -0.9
    north = vertices[vertices[:, 2] > 0]
    assert (north.norm(dim=1) - 1).abs().max() < 0.01


def test_what_cannot_be_closed_is_said(tmp_path):
    """A sheet has no inside."""
    points = torch.rand(300, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    up = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    cloud = write_cloud(tmp_path / "cloud.ply", OrientedCloud(points * (1 - up), up.expand(300, 3)))
    args = ["auto", "auto", 16, "auto", "--fill-holes", "--seed", 0, "--out", tmp_path / "out.ply"]
    outcome = run("fit-grid.py", cloud, *args)
    assert outcome.code == 0
    (line,) = outcome.err.splitlines()
    assert re.search(
        r"leaves the box around the points and is cut off there, at \d+ vertices; give it room.*edges have one", line
    )


@pytest.mark.parametrize("count", [-1, 10**9])
def test_negative_and_huge_counts_take_every_constraint(reconstruct, count):
    outcome, vertices, _ = reconstruct(sphere(100), "fit.py", "auto", count, 12)
    assert "300 centres" in outcome.out
    assert ("all are used" in outcome.err) == (count > 0)
    assert (vertices.norm(dim=1) - 1).abs().max() < 0.05
