"""Meshes for printers: files of many cases, read back and judged by programs that share no code with this one.

    python benchmarks/printing.py [--data FOLDER] [--every 10] [--sets 200] [--only cases sets tables] [--out FILE]

Each cloud becomes STL, 3MF and GLB, 120 mm or m long. Files are read by trimesh, and 3MF by Python's own XML; borders,
edges and vertices are counted here, faces that meet by PyMeshLab, bodies by manifold3d; admesh, lib3mf (strict) and the
Khronos validator say what they find where they are installed. A line of JSON for each case, and one of counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import manifold3d
import numpy as np
import pymeshlab
import trimesh
from scipy.ndimage import gaussian_filter
from skimage.measure import marching_cubes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cases import SHAPES, all_cases
from clouds import Cloud, sampled
from truths import Shape

import neural_splines as ns
from neural_splines.files.meshes import save_mesh
from neural_splines.placement import Placement, Printing
from neural_splines.ranges import UPS
from neural_splines.run.printing import printable
from neural_splines.run.upright import looks_upright

SIZE = 120.0
CORE = "{http://schemas.microsoft.com/3dmanufacturing/core/2015/02}"
BELOW = 0.03  # of the height: so far below the lowest point there may be something
FORMATS = (".stl", ".3mf", ".glb")
STANDING = ("knot", "torus", "scales", "gyroid", "spring", "bracket", "gear", "cube", "vase", "nested")


def random_set(seed: int, n: int = 32) -> Shape:
    """A closed level set of smoothed noise, with handles and several components."""
    values = gaussian_filter(np.random.default_rng(seed).standard_normal((n, n, n)), 3.5)
    values = np.pad(values / values.std(), 2, constant_values=-2.0)
    vertices, faces, _, _ = marching_cubes(gaussian_filter(values, 0.8), 0.5, gradient_direction="ascent")
    return Shape(vertices.astype(float), faces.astype(int))


def on_table(name: str, table: bool) -> Cloud:
    """What a scanner sees of a shape that stands on a table: not where it stands; with the table around it."""
    shape, rng = SHAPES[name](), np.random.default_rng(len(name))
    cloud = sampled(shape, 25_000, rng)
    low, sides = shape.vertices.min(0), np.ptp(shape.vertices, axis=0)
    points = cloud.points - low - [*(0.5 * sides[:2]), 0.0]
    seen = (points[:, 2] > 0.02 * sides[2]) & ~((cloud.normals[:, 2] < -0.7) & (points[:, 2] < 0.08 * sides[2]))
    points, normals = points[seen], cloud.normals[seen]
    if table:
        flat = np.concatenate([(rng.random((15_000, 2)) - 0.5) * 1.6 * sides[:2].max(), np.zeros((15_000, 1))], 1)
        inside = np.zeros(len(flat), bool)
        cells = np.unique(np.floor(points[points[:, 2] < 0.15 * sides[2], :2] * 40 / sides.max()), axis=0)
        keys = np.floor(flat[:, :2] * 40 / sides.max())
        inside = np.isin(keys @ [1.0, 1e4], cells @ [1.0, 1e4])
        flat = flat[~inside]
        points = np.concatenate([points, flat])
        normals = np.concatenate([normals, np.tile([0.0, 0.0, 1.0], (len(flat), 1))])
    return Cloud(points, normals)


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of a file in float32; vertices at one place are one."""
    if path.suffix == ".3mf":
        root = ElementTree.fromstring(zipfile.ZipFile(path).read("3D/3dmodel.model"))
        vertices = np.array([[v.get(k) for k in "xyz"] for v in root.iter(f"{CORE}vertex")], np.float32)
        faces = np.array([[t.get(f"v{k}") for k in (1, 2, 3)] for t in root.iter(f"{CORE}triangle")], int)
    else:
        found = trimesh.load(path, force="mesh", process=False)
        vertices, faces = np.asarray(found.vertices, np.float32), np.asarray(found.faces)
    used, place = np.unique(vertices, axis=0, return_inverse=True)
    return used.astype(float), place.reshape(-1)[faces]


def faults(vertices: np.ndarray, faces: np.ndarray) -> dict[str, int]:
    """What a body does not have."""
    pairs = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    _, edge, uses = np.unique(np.sort(pairs, 1), axis=0, return_inverse=True, return_counts=True)
    turns = np.bincount(edge.reshape(-1), np.where(pairs[:, 0] < pairs[:, 1], 1, -1))
    across = np.linalg.norm(np.cross(*(vertices[faces[:, k]] - vertices[faces[:, 0]] for k in (1, 2))), axis=1)
    meshes = pymeshlab.MeshSet()
    meshes.add_mesh(pymeshlab.Mesh(vertices, faces.astype(np.int32)))
    meshes.compute_selection_by_self_intersections_per_face()
    meeting = meshes.current_mesh().selected_face_number()
    meshes.compute_selection_by_non_manifold_per_vertex()
    body = manifold3d.Manifold(manifold3d.Mesh64(vertices, faces.astype(np.uint64)))
    return {
        "border": int((uses == 1).sum()),
        "edges": int((uses > 2).sum()),
        "turned": int(((uses == 2) & (turns != 0)).sum()),
        "vertices": int(meshes.current_mesh().selected_vertex_number()),
        "flat": int((across == 0).sum()),
        "meeting": int(meeting),
        "no body": int(body.status() != manifold3d.Error.NoError or body.volume() <= 0.0),
    }


def said_by_others(path: Path, gltf: Path | None) -> dict[str, int]:
    """What the slicers' checks of STL, of 3MF and of GLB complain about, where they are installed."""
    if path.suffix == ".stl" and shutil.which("admesh"):
        lines = subprocess.run(["admesh", path], capture_output=True, text=True, check=True).stdout.splitlines()
        numbers = {
            line.split(":")[0].strip(): (line.split(":")[1].split() or ["0"])[0] for line in lines if ":" in line
        }
        wrong = ("Total disconnected facets", "Degenerate facets", "Backwards edges", "Facets removed", "Normals fixed")
        return {f"admesh {name}": int(numbers[name]) for name in wrong if int(numbers[name])}
    if path.suffix == ".3mf" and importlib.util.find_spec("lib3mf"):
        from lib3mf import get_wrapper

        model = get_wrapper().CreateModel()
        reader = model.QueryReader("3mf")
        reader.SetStrictModeActive(True)
        reader.ReadFromFile(str(path))
        return {"lib3mf warnings": reader.GetWarningCount()} if reader.GetWarningCount() else {}
    if path.suffix == ".glb" and gltf:
        script = "require('gltf-validator').validateBytes(new Uint8Array(require('fs').readFileSync(process.argv[1])))"
        script += ".then(r => console.log(r.issues.numErrors + r.issues.numWarnings + r.issues.numHints))"
        found = subprocess.run(["node", "-e", script, path], cwd=gltf, capture_output=True, text=True, check=True)
        return {"glTF issues": int(found.stdout)} if int(found.stdout) else {}
    return {}


def judged(cloud: Cloud, up: str | None, folder: Path, grid: int | str, gltf: Path | None) -> dict:
    """What became of a cloud."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ns.ReconstructionWarning)
        result = ns.reconstruct(cloud.points, cloud.normals, grid_size=grid, fill_holes=True, seed=0)
    axis = UPS[up] if up else looks_upright(result.kept.points)
    found, wrong = {"faces": 0}, {}
    for suffix in FORMATS:
        placement = Placement(size=SIZE, to_origin=True, single=True).of_format(suffix)
        if suffix != ".3mf":  # as that of STL
            made = printable(result, Printing(printable=True), placement, axis)
        path, mesh = folder / f"a{suffix}", made.mesh.numpy()
        save_mesh(path, mesh.vertices, mesh.normals, mesh.faces, placement=placement, up=UPS["y"])
        vertices, faces = read(path)
        sides, true = np.ptp(vertices, axis=0), np.ptp(mesh.vertices, axis=0)
        off = float(np.abs(sides - true * SIZE / true.max()).max() / SIZE)
        wrong |= {f"{name} {suffix}": n for name, n in faults(vertices, faces).items() if n}
        wrong |= {f"size {suffix}": off} if off > 1e-6 else {}
        wrong |= said_by_others(path, gltf)
        found["faces"] = len(faces)
    heights, seen = mesh.vertices @ np.asarray(axis, float), result.kept.points.cpu().numpy() @ np.asarray(axis, float)
    found["below"] = round(float((seen.min() - heights.min()) / np.ptp(seen)), 4)
    found["lines"] = [line for line in made.warnings if "printable" in line or "walls" in line]
    return found | {"wrong": wrong}


def clouds(args: argparse.Namespace) -> Iterator[tuple[str, Cloud, str | None, int | str]]:
    """Name, cloud, what is up if that is known, grid."""
    if "tables" in args.only:
        for name in STANDING:
            yield f"table/{name}", on_table(name, True), "z", args.grid
            yield f"off-table/{name}", on_table(name, False), "z", args.grid
    if "sets" in args.only:
        for seed in range(args.first, args.sets, args.every):
            yield f"set/{seed}", sampled(random_set(seed), 5_000, np.random.default_rng(seed)), None, 56
    if "cases" in args.only:
        for case in all_cases(args.data)[args.first :: args.every]:
            yield f"case/{case.name}", case.build()[0], None, args.grid


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, help="folder of the scans")
    p.add_argument("--every", type=int, default=1, help="every n-th case (default: all)")
    p.add_argument("--first", type=int, default=0, help="the first case (default: %(default)s)")
    p.add_argument("--sets", type=int, default=200, help="random level sets (default: %(default)s)")
    p.add_argument("--gltf", type=Path, help="a folder with node_modules/gltf-validator, by which GLB is judged")
    p.add_argument("--grid", default="auto", help="GRID_SIZE of cases and tables (default: %(default)s)")
    p.add_argument("--only", nargs="+", default=["tables", "sets", "cases"], help="which groups (default: all)")
    p.add_argument("--names", nargs="+", help="only these")
    args = p.parse_args()
    args.grid = args.grid if args.grid == "auto" else int(args.grid)
    counts = {"files without fault": 0, "files with faults": 0, "refused": 0, "far below": 0}
    with tempfile.TemporaryDirectory() as folder:
        for name, cloud, up, grid in clouds(args):
            if args.names and name not in args.names:
                continue
            start = time.perf_counter()
            try:
                found = judged(cloud, up, Path(folder), grid, args.gltf)
                counts["files with faults" if found["wrong"] else "files without fault"] += 1
                counts["far below"] += found["below"] > BELOW
            except ns.NeuralSplinesError as error:
                counts["refused"] += 1
                found = {"refused": str(error)}
            print(json.dumps({"name": name, **found, "s": round(time.perf_counter() - start, 1)}), flush=True)
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
