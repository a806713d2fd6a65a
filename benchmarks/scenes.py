"""What scanners deliver, meshed with nothing chosen by hand: which side, how near, and whether doubt is well placed.

    python benchmarks/scenes.py [--split tune|held|all] [--scenes WORDS] [--signs] [--out FILE] ...
    python benchmarks/scenes.py --peers-only
    python benchmarks/scenes.py --out FILE --document docs/scenes.md

Scenes (scene_list.py) are clouds without normals, with what their files say, of places whose surface and seen side are
known. Ours is `orient` and `mesh_cloud` at `auto`. A peer is Open3D's Poisson at depths 7 to 9, closed or without the
sparsest twentieth; its normals are made consistent by tangent planes of 15 and 30 neighbours, or turned to the camera
where that is known; the best by cd counts. Its rows are stored in benchmarks/results/scene_peers.json, so that a
machine without open3d compares too.

cd: mean distance of mesh and truth from each other. seen: the same, but of the truth only what is within REACH spacings
of a point: a surface that no ray met can be made up well or badly, and an open mesh leaves it out.
right: share of the mesh's area whose normal has a positive product with that of the nearest point of the truth.
signs: the same of the area that the cloud's points stand for, of the estimated normals (all there is with --signs).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import peers  # noqa: E402
from documents import of_data  # noqa: E402
from measures import judged, measure, nearest, welded  # noqa: E402
from results import RESULTS, Results  # noqa: E402
from scene_list import SCENES, built  # noqa: E402
from scene_makers import Scene, held_out  # noqa: E402

PEERS = RESULTS / "scene_peers.json"
HEAD = """# Scanned scenes: every scene

Made by `benchmarks/scenes.py`. [Scanned scenes](../scenes.md) says what the columns mean. Scenes where ours is worst
come first; held-out scenes had no part in the choice of constants.
"""
DEPTHS, TRIMS, COUNTS = (7, 8, 9), (0.05,), (15, 30)
REACH = 3.0  # distances of points to their 6th neighbour, in the median
RIGHT = 0.95  # of the area, and the confidence above which nothing is said


def right_area(mesh, truth) -> float:
    """Share of the area of (vertices, faces) on the side of the nearest points of the truth."""
    vertices, faces = mesh
    corners = vertices[faces]
    return _right(corners.mean(1), np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), truth)


def _right(points: np.ndarray, normals: np.ndarray, truth) -> float:
    """Share of the lengths of normals [n, 3] at points [n, 3] that look to the side of the truth."""
    v, f = truth
    corners = v[nearest(np.ascontiguousarray(points), v, f)[1]]
    there = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1)
    return float(length[(normals * there).sum(1) > 0.0].sum() / length.sum())


def ours(scene: Scene, truth, options) -> dict:
    """Signs, mesh and what was said of them."""
    from scipy.spatial import cKDTree

    import neural_splines as ns
    from neural_splines.files.scans import from_columns
    from neural_splines.normals.areas import disc_areas
    from neural_splines.normals.orient import orient
    from neural_splines.run.whole import mesh_cloud
    from neural_splines.settings import NormalSettings, Settings

    scanned, start = from_columns(scene.columns), time.perf_counter()
    sides = NormalSettings(device=options.device, **scene.options)
    found = orient(scanned, sides, "scene")
    seconds = time.perf_counter() - start
    points, normals = found.cloud.points.cpu().numpy(), found.cloud.normals.cpu().numpy()
    areas = disc_areas(cKDTree(points).query(points, 9)[0][:, -1])
    row = {
        "points": len(points),
        "signs": _right(points - _origin(truth), normals * areas[:, None], _at_origin(truth)),
        "confidence": found.estimated.confidence.value,
        "notes": found.notes,
        "source": found.estimated.known.source,
        "seconds_normals": seconds,
    }
    if options.signs:
        return row
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ns.ReconstructionWarning)
            result = mesh_cloud(found.cloud, Settings(grid_size=options.grid, device=options.device))
    except ns.NeuralSplinesError as error:
        return {**row, "error": str(error)}
    mesh = result.mesh.vertices.cpu().numpy(), result.mesh.faces.cpu().numpy()
    told = {"seconds": time.perf_counter() - start, "warnings": result.warnings}
    return {**row, **_judged(mesh, scene, truth, options.samples), **told}


def _origin(truth) -> np.ndarray:
    return truth[0].mean(0)


def _at_origin(truth):
    return truth[0] - _origin(truth), truth[1]


def _judged(mesh, scene: Scene, truth, samples: int) -> dict:
    """Near the origin: the judge has single precision."""
    mesh, local = (mesh[0] - _origin(truth), mesh[1]), _at_origin(truth)
    row = judged(local, mesh, samples)
    return {**row, "seen": _seen(row["accuracy"], mesh, scene, truth, samples), "right": right_area(mesh, local)}


def _seen(accuracy: float, mesh, scene: Scene, truth, samples: int) -> float:
    """The mean of the accuracy and the completeness of what was seen, in diagonals of the truth."""
    from scipy.spatial import cKDTree

    tree, (vertices, faces) = cKDTree(scene.points), truth
    reach = REACH * np.median(tree.query(scene.points[:: max(1, len(scene.points) // 2000)], 7)[0][:, -1])
    there = faces[tree.query(vertices[faces].mean(1))[0] < reach]
    part, diagonal = vertices[there] - _origin(truth), np.linalg.norm(np.ptp(vertices, axis=0))
    seen = part.reshape(-1, 3), np.arange(3 * len(there)).reshape(-1, 3)
    completeness = measure(seen, mesh, samples).completeness * np.linalg.norm(np.ptp(seen[0], axis=0)) / diagonal
    return (accuracy + completeness) / 2.0


def peer_rows(scene: Scene, truth, samples: int) -> dict[str, dict]:
    """Each way to normals, depth and trim."""
    points, rows = scene.points - _origin(truth), {}
    points = np.unique(points, axis=0)
    camera = None if scene.camera is None else scene.camera - _origin(truth)
    for k in COUNTS if camera is None else COUNTS[1:]:
        normals = _peer_normals(points, k, camera)
        way = "camera" if camera is not None else f"tangent {k}"
        for depth in DEPTHS:
            for quantile, *mesh in peers.poisson(points, normals, depth, TRIMS):
                name = f"{way} depth {depth}" + (f" trimmed {quantile:g}" if quantile else "")
                mesh = welded(*mesh)
                quality, right = measure(_at_origin(truth), mesh, samples), right_area(mesh, _at_origin(truth))
                row = {"cd": quality.cd, "seen": _seen(quality.accuracy, mesh, scene, truth, samples), "right": right}
                rows[name] = {**row, "normal_consistency": quality.normal_consistency}
    return rows


def _peer_normals(points: np.ndarray, k: int, camera: np.ndarray | None) -> np.ndarray:
    import open3d as o3d

    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(k))
    if camera is None:
        cloud.orient_normals_consistent_tangent_plane(k)
    else:
        cloud.orient_normals_towards_camera_location(camera)
    return np.asarray(cloud.normals)


def fingerprint(scene: Scene) -> list[float]:
    """Numbers that differ where two scenes do by more than rays of two machines."""
    points = scene.points
    numbers = [len(points) / 100, len(scene.truth.faces) / 1000, *np.ptp(points, axis=0), *points.std(0)]
    return [float(f"{number:.2g}") for number in numbers]


def best(rows: dict[str, dict], by: str = "cd") -> tuple[str, dict]:
    return min(rows.items(), key=lambda item: item[1][by])


# -- what is printed ----------------------------------------------------------------------------------


def line(name: str, row: dict, rows: dict[str, dict]) -> str:
    mark = "held" if held_out(name) else ""
    start = f"{name:20} {mark:4} signs {row['signs']:.3f} confidence {row['confidence']:.2f}"
    if "error" in row:
        return f"{start} {row['error']}"
    if "cd" not in row:
        return start
    text = f"{start} right {row['right']:.3f} cd {1e4 * row['cd']:6.1f} nc {row['normal_consistency']:.3f}"
    if rows:
        peer, other = best(rows)
        text += f" ratio {row['cd'] / other['cd']:.2f} ({peer}: right {other['right']:.2f})"
        text += f" seen {row['seen'] / best(rows, 'seen')[1]['seen']:.2f}"
    return f"{text} {row['seconds_normals']:.0f}+{row['seconds']:.0f} s, {len(row['warnings'])} warnings"


def summary(title: str, rows: dict[str, dict], stored: dict[str, dict[str, dict]]) -> str:
    """Shares of scenes, and by name those that fail."""
    side = "signs" if any("right" not in row and "error" not in row for row in rows.values()) else "right"
    right = {name: row.get(side, 0.0) for name, row in rows.items()}
    good = [name for name in rows if right[name] >= RIGHT]
    wrong = [name for name in rows if name not in good]
    silent = [name for name in wrong if rows[name]["confidence"] > RIGHT]
    warned = [name for name in good if rows[name]["confidence"] < RIGHT]
    lines = [
        f"{title}: {len(rows)} scenes; {side} {RIGHT} or more in {len(good)} ({len(good) / max(len(rows), 1):.0%})",
        f"  less: {', '.join(f'{name} {right[name]:.2f}' for name in wrong) or 'none'}",
        f"  of these with a confidence above {RIGHT}: {', '.join(silent) or 'none'}",
        f"  right ones with less: {len(warned)} ({', '.join(warned) or 'none'})",
    ]
    for by in ("cd", "seen") if side == "right" else ():
        known = {name: row.get(by, math.inf) for name, row in rows.items() if stored[name]}
        ratio = {name: value / best(stored[name], by)[1][by] for name, value in known.items()}
        worse = sorted((name for name in ratio if ratio[name] >= 1.0), key=lambda name: -ratio[name])
        lines.append(f"  {by} better in {len(ratio) - len(worse)} of {len(ratio)}; above 1.1 in "
                     f"{sum(value > 1.1 for value in ratio.values())}")  # fmt: skip
        lines.append(f"  worse: {', '.join(f'{name} {ratio[name]:.2f}' for name in worse) or 'none'}")
    return "\n".join(lines)


def table(ours_of: dict[str, dict], stored: Results) -> list[str]:
    """A row of a page for each scene, the largest ratios of cd first."""
    lines = [
        "| scene | points | right | confidence | cd | best Poisson, ratio | ratio of what was seen |",
        "|" + "---|" * 7,
    ]
    rows = {}
    for name, row in ours_of.items():
        peers_of = {way: peer for way, peer in stored.cases[name].items() if way != "fingerprint"}
        rows[name] = row, best(peers_of), row["seen"] / best(peers_of, "seen")[1]["seen"]
    for name, (row, (way, peer), seen) in sorted(
        rows.items(), key=lambda item: -item[1][0]["cd"] / item[1][1][1]["cd"]
    ):
        ratio = row["cd"] / peer["cd"]
        bold = "**" if ratio < 1.0 else ""
        mark = " (held out)" if held_out(name) else ""
        start = f"| {name}{mark} | {row['points']} | {row['right']:.3f} | {row['confidence']:.2f} | "
        poisson = f"{1e4 * peer['cd']:.1f} ({way}), {bold}{ratio:.2f}{bold}"
        lines.append(f"{start}{1e4 * row['cd']:.1f} | {poisson} | {seen:.2f} |")
    return lines


def main(argv=None) -> None:
    options = parse(argv)
    if options.document:
        found = {name: case["ours"] for name, case in Results(options.out).cases.items()}
        of_data(options.document, "\n".join([HEAD, *table(found, Results(options.peers))]))
        return
    wanted = [word for word in options.scenes.split(",") if word]
    names = [name for name in SCENES if not wanted or any(word in name for word in wanted)]
    names = [name for name in names if options.split == "all" or held_out(name) == (options.split == "held")]
    results, stored, known, rows = Results(options.out), Results(options.peers), {}, {}
    for name in names:
        scene = built(name)
        truth, mark = (scene.truth.vertices, scene.truth.faces), fingerprint(scene)
        known[name] = stored.known(name, mark)
        if options.peers_only:
            if not known[name]:
                stored.add(name, mark, peer_rows(scene, truth, options.samples))
                print(name, *best(stored.known(name, mark)), flush=True)
            continue
        rows[name] = ours(scene, truth, options)
        results.add(name, mark, {"ours": rows[name]})
        print(line(name, rows[name], known[name]), flush=True)
        for note in [*rows[name]["notes"], *rows[name].get("warnings", ())] if options.verbose else ():
            print("   ", note)
    for title, half in (("tuning", False), ("held out", True)):
        part = {name: row for name, row in rows.items() if held_out(name) == half}
        if part:
            print(summary(title, part, known))


def parse(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--scenes", default="", metavar="WORDS", help="parts of names, by commas")
    p.add_argument("--split", choices=("tune", "held", "all"), default="tune", help="half is held out (%(default)s)")
    p.add_argument("--signs", action="store_true", help="the normals alone, no mesh")
    p.add_argument("--grid", type=lambda text: text if text == "auto" else int(text), default="auto")
    p.add_argument("--samples", type=int, default=20_000, help="of the judge, on each mesh (%(default)s)")
    p.add_argument("--device", default="auto", help="of ours (%(default)s)")
    p.add_argument("--out", type=Path, metavar="FILE", help="JSON of ours; scenes that are there already are replaced")
    p.add_argument("--peers", type=Path, default=PEERS, metavar="FILE", help="JSON of the peers (%(default)s)")
    p.add_argument(
        "--document",
        type=Path,
        metavar="PAGE",
        help="write the table of what --out holds into its folder results; run nothing",
    )
    p.add_argument("--peers-only", action="store_true", help="compute the peers that are not stored yet")
    p.add_argument("--verbose", action="store_true", help="what is said of each scene, too")
    return p.parse_args(argv)


if __name__ == "__main__":
    main()
