"""Make a scan to try things on: a pumpkin of 30 cm as a surveyor's LAS file, in UTM metres, coloured, no normals.

    python examples/make_scan.py scan.las [--points 6000] [--noise 0.0002] [--seed 0]

In spherical coordinates about its middle the surface is

    r / R = (1 - cos(t)^2 / 4) (1 - 0.07 sin(t)^2 (1 - |sin 5p|)^2) + 0.45 exp(-(t / 0.16)^2) - 0.15 exp(-(t / 0.45)^2),

t from the vertical, p around it, R = 0.15 m. Points are uniform by area, moved along the view by a Gaussian of --noise
metres. What stands on the ground the scanner does not see: nothing is below z = -0.08 m, so that the surface is open.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

RADIUS, GROUND = 0.15, -0.08
ORIGIN = np.array([512_345.0, 4_567_890.0, 812.0])  # easting, northing, height: where it stands
ORANGE, VALLEY, STEM = np.array([235, 120, 30]), np.array([170, 70, 15]), np.array([90, 120, 50])


def radius(t, p):
    """r [n] of the angles t from the vertical and p around it."""
    ribs = 1 - 0.07 * np.sin(t) ** 2 * (1 - abs(np.sin(5 * p))) ** 2
    stem = 0.45 * np.exp(-((t / 0.16) ** 2)) - 0.15 * np.exp(-((t / 0.45) ** 2))
    return RADIUS * ((1 - 0.25 * np.cos(t) ** 2) * ribs + stem)


def surface(t, p):
    """Points [n, 3]."""
    return radius(t, p)[..., None] * np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], -1)


def colours(t, p):
    """Colours [n, 3] of uint8."""
    share = (1 - abs(np.sin(5 * p)))[:, None] ** 2 * np.sin(t)[:, None] ** 2
    skin = (1 - share) * ORANGE + share * VALLEY
    return np.where((t < 0.22)[:, None], STEM, skin).astype(np.uint8)


def scan(count: int, noise: float, seed: int):
    """Points [n, 3] about the middle and their colours."""
    rng = np.random.default_rng(seed)
    t, p = np.meshgrid(np.linspace(1e-4, np.pi - 1e-4, 401), np.linspace(0, 2 * np.pi, 801), indexing="ij")
    x = surface(t, p)
    area = np.linalg.norm(np.cross(x[1:, :-1] - x[:-1, :-1], x[:-1, 1:] - x[:-1, :-1]), axis=-1)
    cell = rng.choice(area.size, 2 * count, p=area.reshape(-1) / area.sum())
    i, j = np.unravel_index(cell, area.shape)
    a, b = rng.random((2, len(cell)))
    t, p = t[i, 0] + a * (t[1, 0] - t[0, 0]), p[0, j] + b * (p[0, 1] - p[0, 0])
    x = surface(t, p)
    seen = (x[:, 2] > GROUND).nonzero()[0][:count]
    x, t, p = x[seen], t[seen], p[seen]
    x += noise * rng.standard_normal((len(x), 1)) * x / np.linalg.norm(x, axis=1, keepdims=True)
    return x, colours(t, p)


def main(argv=None) -> None:
    import laspy

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="FILE.las")
    parser.add_argument("--points", type=int, default=6000)
    parser.add_argument("--noise", type=float, default=0.0002, help="metres")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    x, rgb = scan(args.points, args.noise, args.seed)
    las = laspy.LasData(laspy.LasHeader(point_format=2, version="1.2"))
    las.header.offsets, las.header.scales = np.floor(ORIGIN), [1e-5] * 3
    las.x, las.y, las.z = (x + ORIGIN).T
    las.red, las.green, las.blue = 257 * rgb.T.astype(np.uint16)
    las.intensity = rgb.sum(1)
    las.write(str(args.out))
    print(f"{len(x)} points -> {args.out}")


if __name__ == "__main__":
    main()
