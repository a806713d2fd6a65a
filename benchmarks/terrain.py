"""A large flat scene, as from the air: hills over a square, sampled evenly at random, written row by row.

    python benchmarks/terrain.py 100000000 /tmp/terrain.ply [--seed 0]

Binary PLY of floats with normals, 24 bytes a point, in pieces: no memory to speak of. The square's side is 1.
"""

from __future__ import annotations

import argparse

import numpy as np

ROWS = 1 << 20
WAVES = ((3.0, 2.0, 0.02), (11.0, -7.0, 0.006), (-29.0, 31.0, 0.002), (97.0, 61.0, 0.0006))  # of x, of y, height


def surface(x: np.ndarray, y: np.ndarray, waves=WAVES) -> tuple[np.ndarray, np.ndarray]:
    """Heights [n] and unit normals [n, 3] at places in the unit square."""
    z, dx, dy = np.zeros((3, len(x)))
    for a, b, height in waves:
        phase = 2.0 * np.pi * (a * x + b * y)
        z += height * np.sin(phase)
        slope = 2.0 * np.pi * height * np.cos(phase)
        dx, dy = dx + a * slope, dy + b * slope
    normals = np.stack([-dx, -dy, np.ones_like(dx)], 1)
    return z, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def main(argv=None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("points", type=int)
    p.add_argument("out")
    p.add_argument("--seed", type=int, default=0)
    options = p.parse_args(argv)
    rng, n = np.random.default_rng(options.seed), options.points
    with open(options.out, "wb") as file:
        names = "".join(f"property float {name}\n" for name in ("x", "y", "z", "nx", "ny", "nz"))
        file.write(f"ply\nformat binary_little_endian 1.0\nelement vertex {n}\n{names}end_header\n".encode())
        for start in range(0, n, ROWS):
            rows = min(ROWS, n - start)
            x = (start + rows * rng.random(rows)) / n  # strips, one after another
            y = rng.random(rows)
            z, normals = surface(x, y)
            file.write(np.concatenate([np.stack([x, y, z], 1), normals], 1).astype("<f4").tobytes())
    print(f"{n} points -> {options.out}")


if __name__ == "__main__":
    main()
