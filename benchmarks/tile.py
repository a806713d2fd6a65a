"""A large cloud: copies of one, each turned at random, in the cells of a cube.

python benchmarks/tile.py CLOUD POINTS OUT
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import neural_splines as ns


def tiled(points: np.ndarray, normals: np.ndarray, count: int) -> np.ndarray:
    """About `count` rows x y z nx ny nz."""
    rng = np.random.default_rng(0)
    copies = max(1, round(count / len(points)))
    side, spacing = math.ceil(copies ** (1 / 3) - 1e-9), 1.05 * float(np.linalg.norm(np.ptp(points, 0)))
    points = points - 0.5 * (points.min(0) + points.max(0))
    rows = np.empty((copies, len(points), 6), np.float32)
    for copy in range(copies):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        turn[:, 0] *= np.sign(np.linalg.det(turn))
        place = np.array([copy % side, copy // side % side, copy // side**2])
        rows[copy, :, :3], rows[copy, :, 3:] = points @ turn.T + spacing * place, normals @ turn.T
    return rows.reshape(-1, 6)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cloud")
    p.add_argument("points", type=int)
    p.add_argument("out")
    args = p.parse_args()
    rows = tiled(*ns.load_point_cloud(args.cloud), args.points)
    names = "\n".join(f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz"))
    with open(args.out, "wb") as stream:
        stream.write(
            f"ply\nformat binary_little_endian 1.0\nelement vertex {len(rows)}\n{names}\nend_header\n".encode()
        )
        stream.write(rows)
    print(f"{len(rows)} points -> {args.out}")


if __name__ == "__main__":
    main()
