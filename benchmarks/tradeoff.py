"""Error against time: whole processes, from the file of a cloud to the file of a mesh, ours beside screened Poisson's.

    python benchmarks/tradeoff.py CLOUD TRUTH --json benchmarks/results/tradeoff.json --svg docs/images/tradeoff.svg

`fit-grid.py CLOUD auto auto GRID auto` for several grids; Open3D's Poisson (requirements/requirements-bench.txt) for
several depths, without the vertices of the lowest 2 % of the density. Medians of `--repeat` runs on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
GRIDS, DEPTHS = (64, 96, 128, 192, 256), (6, 7, 8, 9)
POISSON = """
import sys, numpy, open3d
cloud = open3d.io.read_point_cloud(sys.argv[1])
mesh, density = open3d.geometry.TriangleMesh.create_from_point_cloud_poisson(cloud, depth=int(sys.argv[2]))
density = numpy.asarray(density)
mesh.remove_vertices_by_mask(density < numpy.quantile(density, 0.02))
open3d.io.write_triangle_mesh(sys.argv[3], mesh)
"""
WIDTH, HEIGHT, LEFT, BASE = 640, 400, 60, 350


def run(command: list[str]) -> dict[str, float]:
    """Wall and CPU seconds and the peak of memory, in GB, of a process that must succeed."""
    start = time.perf_counter()
    pid = os.posix_spawn(
        command[0], command, os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)],
    )  # fmt: skip
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"failed ({status}): {' '.join(command)}")
    wall = time.perf_counter() - start
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "GB": usage.ru_maxrss / 1e6}


def measure(cloud: str, truth: str, repeat: int) -> list[dict]:
    """A row for every setting of both methods."""
    import measures

    from neural_splines.files.meshes import load_mesh

    rows, true = [], tuple(map(lambda t: t.numpy(), load_mesh(truth)))
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/mesh.ply"
        script, options = str(ROOT / "fit-grid.py"), ["--seed", "0", "--device", "cpu", "--out", out]
        ours = [
            ("Neural Splines", f"grid {g}", [script, cloud, "auto", "auto", str(g), "auto", *options]) for g in GRIDS
        ]
        peers = [("Poisson, Open3D", f"depth {d}", ["-c", POISSON, cloud, str(d), out]) for d in DEPTHS]
        for method, setting, words in ours + peers:
            runs = [run([sys.executable, *words]) for _ in range(repeat)]
            found = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
            quality = measures.measure(true, tuple(t.numpy() for t in load_mesh(out)))
            rows.append({"method": method, "setting": setting, **found,
                         "cd": 1e4 * quality.cd, "nc": quality.normal_consistency})  # fmt: skip
            print(line(rows[-1]), flush=True)
    return rows


def line(row: dict) -> str:
    return (
        f"| {row['method']} | {row['setting']} | {row['wall']:.1f} | {row['cpu']:.1f} | {row['GB']:.2f} "
        f"| {row['cd']:.2f} | {row['nc']:.4f} |"
    )


def chart(rows: list[dict]) -> str:
    """An SVG: seconds to the right, error upwards (lower is better)."""
    right, top = 1.1 * max(r["wall"] for r in rows), 1.1 * max(r["cd"] for r in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        "<style>text { font-size: 12px }</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<path d="M{LEFT} 20V{BASE}H{WIDTH - 20}" fill="none" stroke="#333"/>',
        f'<text x="{WIDTH - 20}" y="{BASE + 35}" text-anchor="end">seconds of the whole process</text>',
        '<text x="10" y="14">cd, 1e-4 of the diagonal (lower is better)</text>',
    ]

    def at(seconds: float, error: float) -> tuple[float, float]:
        return LEFT + (WIDTH - 20 - LEFT) * seconds / right, BASE - (BASE - 20) * error / top

    for k in range(1, 5):
        x, y = at(right * k / 5, top * k / 5)
        parts.append(f'<text x="{x:.0f}" y="{BASE + 16}" text-anchor="middle">{right * k / 5:.1f}</text>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{top * k / 5:.1f}</text>')
    for colour, method in zip(("#c33", "#36c"), dict.fromkeys(r["method"] for r in rows), strict=False):
        points = [(*at(r["wall"], r["cd"]), r["setting"]) for r in rows if r["method"] == method]
        parts.append(
            f'<path d="M{" L".join(f"{x:.0f} {y:.0f}" for x, y, _ in points)}" fill="none" stroke="{colour}"/>'
        )
        for x, y, setting in points:
            parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{colour}"/>')
            parts.append(f'<text x="{x + 7:.0f}" y="{y - 5:.0f}" fill="{colour}">{setting}</text>')
        x, y, _ = points[0]
        parts.append(f'<text x="{x + 60:.0f}" y="{y - 5:.0f}" fill="{colour}" font-weight="bold">{method}</text>')
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cloud")
    p.add_argument("truth")
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--json", default="tradeoff.json")
    p.add_argument("--svg", default="tradeoff.svg")
    args = p.parse_args()
    print("| | | wall, s | CPU, s | GB | cd, 1e-4 | nc |\n|---|---|---|---|---|---|---|")
    rows = measure(args.cloud, args.truth, args.repeat)
    Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")
    Path(args.svg).write_text(chart(rows))


if __name__ == "__main__":
    main()
