"""CAD parts from scans without normals, by the protocol of Points2Surf for the ABC data; or your own ABC files.

    python benchmarks/abc_parts.py [DATA] [--noise none,med,var,max] [--shapes plate,gear] [--jobs 2] [--resume]
                                   [--no-peers] [--out abc.json] [--document PAGE.md]

Without DATA: twelve parts (cad_shapes.py), scanned as tof_scans.py says, with noise of the standard deviations 0
(none), 0.01 L (med), one between 0 and 0.05 L (var), 0.05 L (max); L is the longest side of the part. With DATA: a
folder, and what is below it, of clouds (.npy, .xyz, .ply) and of meshes (.ply, .obj, .stl) of the same name up to the
first dot, which are their truths. Normals of a cloud are not used.

Ours: `auto` and `filled` (--fill-holes), at grid 256 as in the protocol. Peers, if installed: Poisson of Open3D and of
PyMeshLab on the normals that each estimates, at depths 5 to 8.

Two measures. Chamfer as in the program of Points2Surf: 10,000 points of each mesh, distances to the nearest of the
other's, not squared, and here their means, added, in percent of L; squared ones are stored, too. Distances between
samples never reach zero: the truth against itself is given as the floor. And cd and normal consistency as in
measures.py, exact.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import cad_shapes  # noqa: E402
import closed_peers  # noqa: E402
import quality  # noqa: E402
from abc_files import pairs, read  # noqa: E402
from cases import fingerprint  # noqa: E402
from clouds import Cloud  # noqa: E402
from measures import judged, sample, welded  # noqa: E402
from results import Results  # noqa: E402
from scipy.spatial import cKDTree  # noqa: E402
from tof_scans import NOISE, scanned  # noqa: E402
from truths import Shape  # noqa: E402

DEPTHS = (5, 6, 7, 8)
SAMPLES, EXACT_SAMPLES = 10_000, 20_000  # of the protocol's measure, and of the exact one
GRID = 256
NEIGHBOURS, LINKS = 30, 15  # of the peers' normals: points of a plane; points that a normal is made consistent with


def chamfer(truth, mesh, samples: int = SAMPLES, seed: int = 1) -> tuple[float, float]:
    """Of two meshes (vertices, faces): the means of both ways added, times 100, of distances and of squares; L = 1."""
    size = np.ptp(truth[0], axis=0).max()
    there, here = sample(*truth, samples, seed)[0] / size, sample(*mesh, samples, seed + 1)[0] / size
    out, back = cKDTree(here).query(there)[0], cKDTree(there).query(here)[0]
    return 100 * float(out.mean() + back.mean()), 100 * float((out**2).mean() + (back**2).mean())


def row_of(truth: Shape, mesh) -> dict:
    mesh, true = welded(*mesh), (truth.vertices, truth.faces)
    if not len(mesh[1]):
        return {"error": "no face"}
    distance, squared = chamfer(true, mesh)
    return {"chamfer": distance, "chamfer_squared": squared, **judged(true, mesh, EXACT_SAMPLES)}


def open3d_normals(points: np.ndarray) -> np.ndarray:
    import open3d

    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(np.ascontiguousarray(points, float)))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(NEIGHBOURS))
    cloud.orient_normals_consistent_tangent_plane(LINKS)
    return np.array(cloud.normals)


def pymeshlab_normals(points: np.ndarray) -> np.ndarray:
    import pymeshlab

    meshes = pymeshlab.MeshSet(verbose=False)
    meshes.add_mesh(pymeshlab.Mesh(vertex_matrix=np.ascontiguousarray(points, float)))
    meshes.compute_normal_for_point_clouds(k=NEIGHBOURS)
    return np.array(meshes.current_mesh().vertex_normal_matrix())


ESTIMATES = {"Open3D": open3d_normals, "PyMeshLab": pymeshlab_normals}


def evaluated(points: np.ndarray, truth: Shape, device: str, with_peers: bool) -> dict[str, dict]:
    """The rows of all methods for a cloud [n, 3]."""
    import neural_splines as ns

    rows = {}
    true = truth.vertices, truth.faces
    rows["floor"] = dict(zip(("chamfer", "chamfer_squared"), chamfer(true, true), strict=True))
    for name, fill in (("auto", False), ("filled", True)):
        settings = ns.Settings(grid_size=GRID, device=device, cells=ns.CellSettings(fill_holes=fill))
        told, mesh = quality.ours(Cloud(points, None), settings)
        rows[name] = told if mesh is None else {**row_of(truth, mesh), "seconds": told["seconds"]}
    for name, program in closed_peers.installed().items() if with_peers else ():
        if name not in ESTIMATES:
            continue
        start = time.perf_counter()
        normals = ESTIMATES[name](points)
        seconds = time.perf_counter() - start
        for depth in DEPTHS:
            start = time.perf_counter()
            mesh = program(points, normals, depth)
            spent = seconds + time.perf_counter() - start
            rows[f"{name} {depth}"] = {**row_of(truth, mesh), "seconds": spent}
    return rows


def case_of(name: str, noise: str) -> tuple[np.ndarray, Shape, float]:
    """The cloud [n, 3] of a part, its truth and the noise, the same at every call."""
    truth = cad_shapes.normalised(cad_shapes.SHAPES[name]())
    points, sigma = scanned(truth, noise, np.random.default_rng(zlib.crc32(f"{name} {noise}".encode())))
    return points, truth, sigma


def work(task) -> tuple[str, list[float], dict]:
    """One case in a process of its own: its name, its fingerprint and its rows."""
    name, source, device, with_peers = task
    if isinstance(source, str):
        points, truth, sigma = case_of(name.rsplit("_", 1)[0], source)
    else:
        (points, truth), sigma = read(*source), None
    mark = fingerprint(Cloud(points, np.zeros_like(points)), truth)
    rows = {"case": {"points": len(points), "sigma": sigma}, **evaluated(points, truth, device, with_peers)}
    return name, mark, rows


def line(name: str, method: str, row: dict) -> str:
    if "error" in row:
        return f"{name:20} {method:12} {row['error']}"
    exact = f"{1e4 * row['cd']:7.1f}  {row['normal_consistency']:.4f}  {row['components']:3d} components"
    return f"{name:20} {method:12} {row['chamfer']:6.2f}  {exact}  {row['seconds']:.1f} s"


def main(argv=None) -> None:
    options = parse(argv)
    results = Results(options.out)
    cases = [case for case in options.cases if not (options.resume and case[0] in results.cases)]
    tasks = [(name, source, options.device, not options.no_peers) for name, source in cases]
    print("Chamfer, % of L; cd, 1e-4 D; normal consistency")
    if options.jobs > 1:
        with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
            collect(pool.map(work, tasks), results)
    else:
        collect(map(work, tasks), results)
    import abc_page

    found = abc_page.tables(results.cases)
    print(found)
    if options.document:
        abc_page.put(options.document, found)


def collect(found, results: Results) -> None:
    for name, mark, rows in found:
        results.add(name, mark, rows)
        for method, row in rows.items():
            if method not in ("case", "floor"):
                print(line(name, method, row), flush=True)


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", nargs="?", type=Path, metavar="DATA", help="a folder of clouds and meshes (default: none)")
    p.add_argument("--noise", default=",".join(NOISE), help="of the parts made here (%(default)s)")
    p.add_argument("--shapes", default=",".join(cad_shapes.SHAPES), help="of the parts made here (%(default)s)")
    p.add_argument("--no-peers", action="store_true", help="ours alone")
    p.add_argument("--resume", action="store_true", help="leave out cases that --out holds already")
    p.add_argument("--jobs", type=int, default=2, help="processes (%(default)s)")
    p.add_argument("--device", default="auto", help="of ours (%(default)s)")
    p.add_argument("--out", type=Path, default=Path("abc.json"), metavar="FILE", help="JSON of all rows (%(default)s)")
    p.add_argument("--document", type=Path, metavar="FILE", help="put the tables between the marks of this page")
    options = p.parse_args(argv)
    if options.data:
        try:
            options.cases = [(name, files) for name, *files in pairs(options.data)]
        except ValueError as error:
            p.error(str(error))
        return options
    for words, known in ((options.noise, NOISE), (options.shapes, cad_shapes.SHAPES)):
        unknown = sorted(set(words.split(",")) - set(known))
        if unknown:
            p.error(f"{', '.join(unknown)}: name some of {', '.join(known)}")
    options.cases = [
        (f"{shape}_{noise}", noise) for noise in options.noise.split(",") for shape in options.shapes.split(",")
    ]
    return options


if __name__ == "__main__":
    main()
