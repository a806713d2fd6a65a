"""Known empty space: rows against normal equations by hand, rays that no sheet crosses, envelopes, the command."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from scripts import captured, run, write_cloud
from shapes import sphere

import neural_splines as ns
from neural_splines.cells.batches import Smoothing
from neural_splines.cells.fitting import BlendPlan
from neural_splines.cells.free import HIGHEST, WEIGHT, FreePlaces
from neural_splines.cells.models import fit_cells
from neural_splines.cells.ties import Ties
from neural_splines.command_line import fit as fit_command
from neural_splines.files.meshes import load_mesh, save_mesh
from neural_splines.kernels.kernels import make_kernel
from neural_splines.kernels.products import resolve
from neural_splines.runtime.monitor import Silent
from neural_splines.surface.mesh import Mesh
from neural_splines.surface.rays import Rays

FAST = {"grid_size": 24, "regularization": 1e-6, "points_per_cell": 100, "device": "cpu"}


def plates(n=16):
    """A square in front of a larger one, seen along parallel rays: points, normals, sensors."""
    step = (np.arange(2 * n) + 0.5) / n - 1.0
    back = np.stack([0 * step[:, None] + 0 * step, step[:, None] + 0 * step, 0 * step[:, None] + step], 2).reshape(
        -1, 3
    )
    hidden = np.abs(back[:, 1:]).max(1) < 0.5
    points = np.concatenate([back[~hidden], back[hidden] + [0.6, 0.0, 0.0]])
    return points, np.tile([1.0, 0.0, 0.0], (len(points), 1)), points + np.array([5.0, 0.0, 0.0])


def pierced(mesh, points, sensors, before):
    """How many segments from sensors to points meet a mesh so far before their ends."""
    reach = np.linalg.norm(points - sensors, axis=1)
    _, met = Rays(mesh.vertices, mesh.faces).first(sensors, (points - sensors) / reach[:, None])
    return int((met < reach - before).sum())


@pytest.mark.parametrize("gradients", [0.1, 0.0])
@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_rows_are_those_of_the_normal_equations(backend, gradients):
    """Of one cell: A = K'WK + lambda G + K_t' W_t K_t, with all kernels by definition."""
    cloud, compute = sphere(60), resolve("cpu", backend, torch.float64)
    kernel = make_kernel("neural-spline", 0.0)
    settings = ns.Settings(cells=ns.CellSettings(cells_per_axis=1), device="cpu")
    plan = BlendPlan.of(cloud, cloud.box, kernel, 0.02, settings, compute, torch.Generator().manual_seed(0))
    problem = plan.problem_of(plan.cells(100), 100, gradients=gradients > 0.0)
    free = FreePlaces(
        torch.tensor([[0.0, 0.0, 0.2], [0.3, 0.0, 0.0], [9.0, 0.0, 0.0]]).double(),
        torch.tensor([0.1, 5.0, 1.0]).double(),
    )
    problem = replace(problem, ties=Ties(None, False, free.of(problem.cells)))
    smoothing = Smoothing(1e-4, 1.0, 0, gradients)
    found = fit_cells(problem, smoothing, Silent())
    scale, middle = float(problem.cells.scales[0]), problem.cells.centers[0].numpy()
    c = np.hstack([found.centers.numpy(), np.ones((len(found.centers), 1))])
    x = np.hstack([(plan.cloud.points.numpy() - middle) * scale, np.ones((60, 1))])
    n = plan.cloud.normals.numpy()

    def k(a, b):
        size = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
        t = np.arccos(np.clip(a @ b.T / size, -1, 1))
        return size * (np.sin(t) + (np.pi - t) * np.cos(t)) / np.pi

    def moved(way):
        return x + np.hstack([way, np.zeros((60, 1))])

    if gradients:
        slopes = [
            (k(moved(1e-6 * e), c) - k(moved(-1e-6 * e), c)) / 2e-6 for e in np.eye(3)[:, None] * np.ones((1, 60, 1))
        ]
        K, y = np.concatenate([k(x, c), *slopes]), np.concatenate([np.zeros(60), *n.T])
        w = np.r_[np.ones(60), np.full(180, gradients**2)] / 240
    else:
        eps = 0.02 * scale
        K, y = np.concatenate([k(moved(s * eps * n), c) for s in (0, 1, -1)]), np.repeat([0, eps, -eps], 60)
        w = np.full(180, 1 / 180)
    t = np.hstack([(free.points[:2].numpy() - middle) * scale, np.ones((2, 1))])
    T, z = k(t, c), np.array([0.1 * scale, HIGHEST])
    A = (K.T * w) @ K + 1e-4 * k(c, c) + WEIGHT / 60 * T.T @ T
    a = np.linalg.solve(A, (K.T * w) @ y + WEIGHT / 60 * T.T @ z)
    assert np.allclose(T @ found.coefficients.numpy(), T @ a, atol=2e-6 if gradients else 1e-7)
    without = np.linalg.solve(A - WEIGHT / 60 * T.T @ T, (K.T * w) @ y)
    assert (T @ a > T @ without + 0.1 * z).all()


def test_no_sheet_crosses_what_was_looked_through():
    points, normals, sensors = plates()
    options = FAST | {"fill_holes": True, "grid_size": 32}
    with warnings.catch_warnings():  # of a surface that leaves the box behind the plates
        warnings.simplefilter("ignore", ns.ReconstructionWarning)
        before = ns.reconstruct(points, normals, **options).mesh
        after = ns.reconstruct(points, normals, free_space=sensors, **options).mesh
    spacing = 1 / 16
    assert pierced(before, points, sensors, 2 * spacing) > 20
    assert pierced(after, points, sensors, 2 * spacing) <= 1


def test_an_envelope_has_all_of_the_surface():
    cloud, box = sphere(500), trimesh.creation.box((1.2, 3.0, 3.0))
    envelope = Mesh(np.array(box.vertices), np.empty((0, 3)), np.array(box.faces)[:, ::-1])  # inside out, too
    with pytest.warns(ns.ReconstructionWarning, match="faces outside of envelope were left out"):
        result = ns.reconstruct(cloud.points.numpy(), cloud.normals.numpy(), envelope=envelope, **FAST)
    assert np.abs(result.mesh.vertices[:, 0]).max() < 0.6 + 0.51 * result.lattice.voxel_size
    assert np.abs(result.mesh.vertices[:, 1]).max() > 0.9
    opened = Mesh(envelope.vertices, envelope.normals, envelope.faces[1:])
    with pytest.raises(ns.CloudError, match=r"is no closed mesh \(3 edges have one face\), which envelope needs"):
        ns.reconstruct(cloud.points.numpy(), cloud.normals.numpy(), envelope=opened, **FAST)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"free_space": [0.0, 1.0]}, "free_space needs one place"),
        ({"free_space": [np.nan] * 3}, "no point has a place that it was seen from"),
        ({"free_space": [0.0, 0.0, 0.01]}, "most points look away from where they were seen from"),
        ({"free_space": [0.0, 0.0, 9.0], "cells": None}, "need cells, but this run fits one spline"),
    ],
)
def test_what_cannot_be_is_one_line(given, line):
    cloud = sphere(300)
    options = {k: v for k, v in FAST.items() if k != "points_per_cell"} if "cells" in given else FAST
    with pytest.raises(ns.NeuralSplinesError, match=line):
        ns.reconstruct(cloud.points.numpy(), cloud.normals.numpy(), **options | given)


def test_the_command_takes_places_ids_and_viewpoints(tmp_path):
    """The same mesh, whichever way a file says who saw which point; without, or with wrong ids, one line each."""
    points, normals, _ = plates(8)
    side = (points[:, 1] > 0).astype(float)
    places = np.array([[5.0, -9.0, 0.0], [5.0, 9.0, 0.0]])
    head, table = "x,y,z,nx,ny,nz", np.hstack([points, normals])
    for name, column, more in (("ids", "sensor_id", side), ("bad", "sensor_id", side + 1), ("plain", "other", side)):
        np.savetxt(tmp_path / f"{name}.csv", np.c_[table, more], delimiter=",", header=f"{head},{column}", comments="")
    seen = np.c_[table, places[side.astype(int)]]
    np.savetxt(tmp_path / "views.csv", seen, delimiter=",", header=f"{head},vp_x,vp_y,vp_z", comments="")
    fixed = ["--regularization", 1e-6, "--points-per-cell", 100, "--fill-holes", "--seed", 0, "--device", "cpu"]
    given = [word for place in places for word in ("--sensor-position", *place)]

    def done(name, *more):
        return run(
            "fit-grid.py",
            tmp_path / f"{name}.csv",
            "auto",
            "auto",
            16,
            "auto",
            *fixed,
            *more,
            "--out",
            tmp_path / f"{name}.ply",
        )

    assert done("ids", *given, "--free-space").code == 0
    assert done("views", "--free-space").code == 0
    assert (tmp_path / "ids.ply").read_bytes() == (tmp_path / "views.ply").read_bytes()
    frames = [{"transform_matrix": [[1, 0, 0, x], [0, 1, 0, y], [0, 0, 1, z], [0, 0, 0, 1]]} for x, y, z in places]
    cameras = tmp_path / "transforms.json"
    cameras.write_text(json.dumps({"frames": frames}))
    assert done("ids", "--cameras", cameras, "--free-space").code == 0
    assert (tmp_path / "ids.ply").read_bytes() == (tmp_path / "views.ply").read_bytes()
    found = done("plain", *given, "--free-space", "--verbose")
    assert found.code == 0
    assert "was not used" not in found.err
    assert "--free-space" in next(line for line in found.out.splitlines() if line.startswith("repeat:"))
    for name, more, line in (
        ("bad", given, "sensor_id must be a whole number from 0 to 1, of 2 times --sensor-position; it has 1 to 2"),
        ("bad", ["--cameras", cameras], f"sensor_id must be a whole number from 0 to 1, of 2 cameras of {cameras}; it"),
        (
            "plain",
            [],
            "--free-space asks where points were seen from; give --sensor-position, --cameras, or a file that",
        ),
        ("views", ["--max-memory", "2GB"], "--free-space fits all cells again; drop it, or work without parts"),
    ):
        found = done(name, *more, "--free-space")
        assert (found.code, found.err.count("\n")) == (2, 1), found.err
        assert line in found.err
    found = captured(fit_command.main, tmp_path / "ids.csv", "auto", 50, 16, "--free-space")
    assert found.code == 2
    assert "--free-space needs cells, but this run fits one spline; use fit-grid.py" in found.err


def test_the_command_keeps_to_an_envelope(tmp_path):
    cloud = write_cloud(tmp_path / "c.ply", sphere(300))
    box = trimesh.creation.box((1.2, 3.0, 3.0))
    save_mesh(tmp_path / "box.ply", np.array(box.vertices), None, np.array(box.faces))
    save_mesh(tmp_path / "open.ply", np.array(box.vertices), None, np.array(box.faces)[1:])
    words = ["fit-grid.py", cloud, "auto", "auto", 16, "auto", "--regularization", 1e-6, "--out", tmp_path / "a.ply"]
    found = run(*words, "--envelope", tmp_path / "box.ply")
    assert found.code == 0, found.err
    assert float(load_mesh(tmp_path / "a.ply")[0][:, 0].abs().max()) < 0.75
    found = run(*words, "--envelope", tmp_path / "open.ply")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "open.ply: is no closed mesh (3 edges have one face), which --envelope needs; close it" in found.err
