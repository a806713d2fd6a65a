"""Signs and directions of estimated normals against the truth, beside other programs.

    python benchmarks/normals.py [--data FOLDER] [--cases bunny knot ...] [--others] [--device cuda]
    python benchmarks/normals.py --sizes 40000 1000000 [--device cuda]
    python benchmarks/normals.py --confidence [--data FOLDER]

Cases are shapes made here, and, with --data, clouds of a folder: those with a mesh as truth are compared with its
normals at the nearest points, others with those of the file. A row: points; share of signs that are right, up to a
global flip; mean angle between directions in degrees; seconds, without compiling; confidence.
--others adds the best of Open3D's consistent tangent planes (10, 15 and 30 neighbours), PyMeshLab's point-cloud normals
(10 and 30), and a plain minimum spanning tree of 1 - |n . n'| over 10 neighbours, all by share of signs; each has
five minutes of one core for a number of neighbours.
--sizes: time and memory of knots of so many points, each in a process of its own, with the seconds of every phase;
on a GPU the medians of three runs after a first.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "benchmarks"))

from machine import peak_bytes  # noqa: E402
from normal_peers import OTHERS, best_of, score  # noqa: E402
from shapes import hemisphere, knot, sphere, torus  # noqa: E402

from neural_splines.files.meshes import load_mesh  # noqa: E402
from neural_splines.files.point_clouds import load_point_cloud  # noqa: E402
from neural_splines.normals.confidence import SURE_ENOUGH  # noqa: E402
from neural_splines.normals.estimate import estimate  # noqa: E402
from neural_splines.normals.evidence import Guidance  # noqa: E402
from neural_splines.runtime.monitor import PhaseTimer  # noqa: E402

Case = tuple[np.ndarray, np.ndarray]  # points and true normals [n, 3]
TRUTHS = {"bunny_oriented_36k": "bunny_gt", "bunny_rangescan_60k": "bunny_gt", "anchor_scan_85k": "anchor_gt"}
GROWTH = ("points", "signs / angle", "seconds", "a million", "CPU s a million", "GB", "GPU GB", "phases")
RUNS = 3  # of which a GPU's time is the median
RIGHT = 0.995  # of the signs: fewer must not go with a high confidence
CLOUDS = (*TRUTHS, "room_rgbd_250k", "office_chair_15k")


def box(n: int, *sides: float, seed: int = 0) -> Case:
    rng, lengths = np.random.default_rng(seed), np.array(sides)
    areas = lengths.prod() / lengths
    axis = rng.choice(3, n, p=areas / areas.sum())
    points, normals, rows = (rng.random((n, 3)) - 0.5) * lengths, np.zeros((n, 3)), np.arange(n)
    normals[rows, axis] = rng.choice([-1.0, 1.0], n)
    points[rows, axis] = 0.5 * normals[rows, axis] * lengths[axis]
    return points, normals


def shells(n: int) -> Case:
    """A hollow ball with another ball in it."""
    parts = [(sphere(n * 6 // 10), 1.0), (sphere(n * 3 // 10, 0.8), -1.0), (sphere(n // 10, 0.4), 1.0)]
    points = np.concatenate([cloud.points.numpy() for cloud, _ in parts])
    return points, np.concatenate([side * cloud.normals.numpy() for cloud, side in parts])


def sheet(n: int) -> Case:
    """An open, wavy sheet."""
    u, v = np.random.default_rng(3).random((2, n))
    normals = np.stack([-0.6 * np.cos(6 * u) * np.cos(5 * v), 0.5 * np.sin(6 * u) * np.sin(5 * v), 1 + 0 * u], 1)
    points = np.stack([u, v, 0.1 * np.sin(6 * u) * np.cos(5 * v)], 1)
    return points, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def arrays(cloud) -> Case:
    return cloud.points.numpy(), cloud.normals.numpy()


def cut(case: Case, axis: int) -> Case:
    """The half above the median along an axis."""
    kept = case[0][:, axis] > np.median(case[0][:, axis])
    return case[0][kept], case[1][kept]


def noisy(case: Case, sigma: float) -> Case:
    """sigma: in parts of the diagonal."""
    points, normals = case
    diagonal = np.linalg.norm(np.ptp(points, axis=0))
    return points + sigma * diagonal * np.random.default_rng(1).normal(size=points.shape), normals


def sampled(mesh: Path, n: int) -> Case:
    """Points of a mesh, uniform by area, with the normals of their faces."""
    from measures import sample

    vertices, faces = (part.numpy() for part in load_mesh(mesh))
    return sample(vertices, faces, n, np.random.default_rng(0))


def scan(folder: Path, name: str) -> Case:
    """A cloud of the folder with the normals of its truth at the nearest points, or its own."""
    points, normals = arrays(load_point_cloud(folder / f"{name}.ply")[0])
    if name in TRUTHS:
        import point_cloud_utils as pcu
        from measures import _normals

        vertices, faces = (part.numpy() for part in load_mesh(folder / f"{TRUTHS[name]}.ply"))
        _, face, weights = pcu.closest_points_on_mesh(points, vertices, faces)
        of_faces, areas = _normals(vertices, faces)
        smooth = np.zeros_like(vertices)
        for corner in range(3):
            np.add.at(smooth, faces[:, corner], of_faces * areas[:, None])
        normals = (smooth[faces[face]] * weights[..., None]).sum(1)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    return points, normals


def cases(folder: Path | None) -> dict[str, Callable[[], Case]]:
    found: dict[str, Callable[[], Case]] = {
        "knot": lambda: arrays(knot(20000)),
        "knot, noise .2 %": lambda: noisy(arrays(knot(20000)), 0.002),
        "knot, noise .5 %": lambda: noisy(arrays(knot(20000)), 0.005),
        "half a knot": lambda: cut(arrays(knot(40000)), 0),
        "torus, sparse": lambda: arrays(torus(1500)),
        "box": lambda: box(10000, 1.0, 1.0, 1.0),
        "plate, 3 spacings": lambda: box(20000, 1.0, 1.0, 0.03),
        "plate, 1 spacing": lambda: box(20000, 1.0, 1.0, 0.01),
        "shells": lambda: shells(20000),
        "open sheet": lambda: sheet(10000),
    }
    for name in CLOUDS if folder else ():
        found[name] = lambda name=name: scan(folder, name)
    for mesh in ("bunny_gt", "anchor_gt") if folder else ():
        path = folder / f"{mesh}.ply"
        found[f"{mesh} 40k"] = lambda path=path: sampled(path, 40000)
        found[f"{mesh} 2k"] = lambda path=path: sampled(path, 2000)
        found[f"{mesh}, noise .5 %"] = lambda path=path: noisy(sampled(path, 40000), 0.005)
        for axis in range(3):
            found[f"half {mesh}, axis {axis}"] = lambda path=path, axis=axis: cut(sampled(path, 40000), axis)
    return found


def further(folder: Path | None) -> dict[str, Callable[[], Case]]:
    """Cases that no constant was chosen by, for the confidence."""
    found: dict[str, Callable[[], Case]] = {
        "knot, 2,000": lambda: arrays(knot(2000)),
        "knot, noise .1 %": lambda: noisy(arrays(knot(20000)), 0.001),
        "knot, noise 1 %": lambda: noisy(arrays(knot(20000)), 0.01),
        "half a knot, noise .3 %": lambda: noisy(cut(arrays(knot(40000)), 2), 0.003),
        "torus, noise 2 %": lambda: noisy(arrays(torus(8000)), 0.02),
        "hemisphere": lambda: arrays(hemisphere(8000)),
        "plate, 2 spacings": lambda: box(20000, 1.0, 1.0, 0.02),
        "plate, 1.5 spacings": lambda: box(20000, 1.0, 1.0, 0.015),
        "plate, 3 spacings, noise .3 %": lambda: noisy(box(20000, 1.0, 1.0, 0.03), 0.003),
        "half a box, open": lambda: cut(box(20000, 1.0, 1.0, 0.5), 2),
        "half of shells, open": lambda: cut(shells(20000), 0),
        "open sheet, noise .5 %": lambda: noisy(sheet(10000), 0.005),
    }
    for name in CLOUDS if folder else ():
        for share in (4, 16):
            found[f"{name}, one of {share}"] = lambda name=name, share=share: subset(scan(folder, name), share)
    return found


def subset(case: Case, share: int) -> Case:
    """One of so many points, drawn at random."""
    kept = np.random.default_rng(share).permutation(len(case[0]))[: len(case[0]) // share]
    return case[0][kept], case[1][kept]


def confidences(folder: Path | None, device: str) -> None:
    """All cases by confidence, least first; a `!` where it is high and the signs are not right."""
    rows = []
    for name, make in (cases(folder) | further(folder)).items():
        points, truth = make()
        found = estimate(points, Guidance(), device)
        rows.append((found.confidence.value, score(found.normals, truth)[0], name, len(points)))
    print("| confidence | signs right | case | points | |\n|---|---|---|---|---|")
    for value, right, name, n in sorted(rows):
        silent = "!" if value >= SURE_ENOUGH and right < RIGHT else ""
        print(f"| {value:.2f} | {right:.4f} | {name} | {n} | {silent} |")


def row(name: str, case: Case, others: bool, device: str) -> str:
    points, truth = case
    guidance = Guidance()
    estimate(points[:: max(1, len(points) // 2000)], guidance, device)
    start, busy = time.perf_counter(), time.process_time()
    found = estimate(points, guidance, device)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    right, angle = score(found.normals, truth)
    cells = [
        name,
        f"{len(points)}",
        f"{right:.4f}",
        f"{angle:.1f}",
        f"{seconds:.1f}",
        f"{busy:.1f}",
        f"{found.confidence.value:.2f}",
    ]
    cells += [best_of(peer, points, truth) for peer in OTHERS] if others else []
    return f"| {' | '.join(cells)} |"


def growth(n: int, device: str) -> None:
    """A row of GROWTH: a knot of n points after one of 2,000 for which everything is compiled.

    On a GPU the medians of RUNS after a first run at this size.
    """
    points, truth = arrays(knot(n))
    on_gpu = device.startswith("cuda")
    estimate(arrays(knot(2000))[0], Guidance(), device)
    if on_gpu:
        estimate(points, Guidance(), device)
    before, rows = peak_bytes(torch.device("cpu")), []
    for _ in range(RUNS if on_gpu else 1):
        timer = PhaseTimer(synchronize=torch.cuda.synchronize if on_gpu else lambda: None)
        start, busy = time.perf_counter(), time.process_time()
        found = estimate(points, Guidance(), device, timer)
        rows.append({"": time.perf_counter() - start, "CPU": time.process_time() - busy, **timer.seconds})
    spent = {name: float(np.median([row[name] for row in rows])) for name in rows[0]}
    seconds, busy = spent.pop(""), spent.pop("CPU")
    digits = 3 if on_gpu else 1
    cells = [
        f"{n}",
        "{:.4f} / {:.1f}".format(*score(found.normals, truth)),
        f"{seconds:.{digits}f}",
        f"{1e6 * seconds / n:.{digits}f}",
        f"{1e6 * busy / n:.1f}",
        f"{peak_bytes(torch.device('cpu')) / 1e9:.2f} (before {before / 1e9:.2f})",
        f"{peak_bytes(torch.device(device)) / 1e9:.2f}" if on_gpu else "",
        ", ".join(f"{name} {value:.{digits}f}" for name, value in spent.items()),
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, default=None)
    p.add_argument("--cases", nargs="*", default=None, help="names that begin so; all if none is given")
    p.add_argument("--others", action="store_true")
    p.add_argument("--sizes", type=int, nargs="*", default=None, help="points of a knot, for time and memory")
    p.add_argument("--confidence", action="store_true", help="confidence against truth, over these and further cases")
    p.add_argument("--device", default="cpu")
    args = p.parse_args()
    if args.sizes:
        print(f"| {' | '.join(GROWTH)} |\n|{'---|' * len(GROWTH)}", flush=True)
        context = multiprocessing.get_context("spawn")  # a peak of memory is that of a whole process
        for n in args.sizes:
            process = context.Process(target=growth, args=(n, args.device))
            process.start()
            process.join()
        return
    if args.confidence:
        confidences(args.data, args.device)
        return
    heads = ["case", "points", "signs", "angle", "seconds", "CPU s", "confidence", *(OTHERS if args.others else ())]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, make in cases(args.data).items():
        if args.cases is None or any(name.startswith(start) for start in args.cases):
            print(row(name, make(), args.others, args.device), flush=True)


if __name__ == "__main__":
    main()
