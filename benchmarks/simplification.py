"""Fewer faces for the same surface, beside trimesh's, Open3D's and PyMeshLab's collapse.

    python benchmarks/simplification.py [knot statue CLOUD.ply CLOUD.ply:TRUTH.ply ...] [--grid 192] [--share 5]

Clouds are reconstructed in this process, then each program takes the mesh in memory and is timed alone. Errors are
|f| / |grad f| of the field at the same number of places for all, in voxels; normals against the truth where there is
one, else against the mesh before. The table is docs/simplification.md's.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import truths
from clouds import sampled
from measures import measure

import neural_splines as ns
from neural_splines.files.meshes import load_mesh
from neural_splines.surface.checks import Checked, checked
from neural_splines.surface.mesh import Mesh
from neural_splines.surface.simplification import measured, simplified, within

MADE = {"knot": (truths.example_knot, 30_000), "statue": (truths.scales, 250_000)}
MORE = 1.5  # times the error of a fifth of the faces: what is promised
FAULTS = ("components", "border_loops", "genus")
WORSE = ("nonmanifold_edges", "nonmanifold_vertices", "turned_edges", "flat_faces", "intersecting")


def by_trimesh(vertices: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """fast-simplification's collapse; it has thresholds in units of 1."""
    import trimesh

    middle, size = vertices.mean(0), np.ptp(vertices, axis=0).max()
    mesh = trimesh.Trimesh((vertices - middle) / size, faces, process=False)
    found = mesh.simplify_quadric_decimation(face_count=count)
    return np.asarray(found.vertices) * size + middle, np.asarray(found.faces, np.int64)


def by_open3d(vertices: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    import open3d

    mesh = open3d.geometry.TriangleMesh(
        open3d.utility.Vector3dVector(vertices), open3d.utility.Vector3iVector(faces.astype(np.int32))
    )
    found = mesh.simplify_quadric_decimation(count)
    return np.asarray(found.vertices), np.asarray(found.triangles).astype(np.int64)


def by_pymeshlab(vertices: np.ndarray, faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """With all that it has to keep topology, borders and normals."""
    import pymeshlab

    meshes = pymeshlab.MeshSet()
    meshes.add_mesh(pymeshlab.Mesh(vertices, faces.astype(np.int32)))
    meshes.meshing_decimation_quadric_edge_collapse(
        targetfacenum=count, preservetopology=True, preserveboundary=True, preservenormal=True
    )
    found = meshes.current_mesh()
    return found.vertex_matrix(), found.face_matrix().astype(np.int64)


PEERS = {"trimesh": by_trimesh, "Open3D": by_open3d, "PyMeshLab": by_pymeshlab}


def faults(before: Checked, after: Checked) -> str:
    """What a mesh has changed of its topology, and what it has more of than before."""
    words = [f"{name} {getattr(before, name)} -> {getattr(after, name)}" for name in FAULTS]
    words = [words[k] for k, name in enumerate(FAULTS) if getattr(before, name) != getattr(after, name)]
    more = {name: getattr(after, name) - getattr(before, name) for name in WORSE}
    return ", ".join([*words, *(f"{count} more {name}" for name, count in more.items() if count > 0)]) or "none"


def cloud_of(name: str) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """Points, normals, and the true mesh if there is one."""
    if name in MADE:
        make, count = MADE[name]
        shape = make()
        cloud = sampled(shape, count, np.random.default_rng(0))
        return cloud.points, cloud.normals, (shape.vertices, shape.faces)
    path, _, truth = name.partition(":")
    points, normals = ns.load_point_cloud(path)
    return points, normals, tuple(part.numpy() for part in load_mesh(truth)) if truth else None


def compared(name: str, grid: int | str, share: float) -> None:
    """The rows of one cloud."""
    points, normals, truth = cloud_of(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ns.ReconstructionWarning)
        result = ns.reconstruct(points, normals, ns.Settings(grid_size=grid, seed=0))
    gradient, voxel, phase = result.field.gradient, result.lattice.voxel_size, result.seconds["mesh"]
    mesh = result.mesh.numpy()
    vertices, faces = mesh.vertices.astype(np.float64), mesh.faces
    mesh = Mesh(*(torch.from_numpy(part) for part in (vertices, vertices, faces)))
    before, count = checked(vertices, faces, intersecting=True), int(len(faces) / share)
    truth = truth or (vertices, faces)

    def row(program: str, found: Mesh, seconds: float | None) -> None:
        off = measured(found, gradient, 0)
        v, f = found.vertices.numpy(), found.faces.numpy()
        nc = measure(truth, (v, f)).normal_consistency
        took = "" if seconds is None else f"{seconds:.2f} ({seconds / phase:.1f})"
        wrong = faults(before, checked(v, f, intersecting=True))
        errors = f"{off.mean / voxel:.4f} | {off.largest / voxel:.2f}"
        print(f"| {Path(name).stem} | {program} | {len(f)} | {took} | {errors} | {nc:.4f} | {wrong} |", flush=True)

    row(f"before (mesh phase {phase:.2f} s)", mesh, None)
    simplified(mesh, gradient, count)  # compiles, or loads what is compiled
    start = time.perf_counter()
    found = simplified(mesh, gradient, count)
    error = measured(found, gradient, 0)
    row("`--faces`", found, time.perf_counter() - start)
    promise = MORE * error.largest
    start = time.perf_counter()
    found, off = within(mesh, gradient, promise, 0)
    seconds = time.perf_counter() - start
    assert off.largest <= promise
    row(f"`--max-error` {promise / voxel:.2f} voxels", found, seconds)
    for program, collapse in PEERS.items():
        start = time.perf_counter()
        v, f = collapse(vertices, faces, count)
        seconds = time.perf_counter() - start
        v = torch.from_numpy(np.ascontiguousarray(v))
        row(program, Mesh(v, v, torch.from_numpy(f)), seconds)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("clouds", nargs="*", default=list(MADE), help="made clouds by name, or files, with `:` and a truth")
    p.add_argument("--grid", default="auto", help="GRID_SIZE (default: %(default)s)")
    p.add_argument("--share", type=float, default=5.0, help="so many times fewer faces (default: %(default)s)")
    args = p.parse_args()
    print("| cloud | by | faces | seconds (of the mesh phase) | mean error, voxels | largest | nc | faults |")
    print("|---|---|---|---|---|---|---|---|")
    for name in args.clouds:
        compared(name, args.grid if args.grid == "auto" else int(args.grid), args.share)


if __name__ == "__main__":
    main()
