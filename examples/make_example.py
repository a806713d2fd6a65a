"""Make examples/knot.ply: an oriented cloud of a trefoil knot with one twisted, one studded and one polished loop.

    python examples/make_example.py [--out examples/knot.ply] [--radius 0.0235] [--seed 0]

The shape is closed, of one piece and of genus one, and known exactly. Its axis is the trefoil

    c(t) = ((R + a cos 3t) cos 2t, (R + a cos 3t) sin 2t, a sin 3t),      0 <= t < 2 pi,

on a torus. For a point x let c(t) be the nearest point of the axis, d = x - c(t), and psi the angle of d about the
axis, counted from the torus's normal N(t) towards B = T x N. The surface is the zero set of

    F(x) = |d| - r(t, psi),
    r    = r0 (1 + twist b0(t) cos(3 psi + 36 t) + studs b1(t) cos(3 psi + 36 t) cos(3 psi - 36 t)),
    b_i  = exp(k (cos(t - 2 pi i / 3) - 1)),

so F < 0 inside. Normals are grad F / |grad F| in closed form. Points are random, moved onto F = 0 by Newton's method,
and thinned to blue noise (no two closer than --radius, no gap much wider), which makes them uniform in area whatever
the random start. NumPy and SciPy only; one seed gives one file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

MAJOR, MINOR = 1.0, 0.55  # R, a
TUBE, TWIST, STUDS, SHARPNESS = 0.27, 0.17, 0.12, 3.0  # r0, twist, studs, k


def axis(t):
    """c, c', c'' [n, 3] of the trefoil."""
    c3, s3, c2, s2 = np.cos(3 * t), np.sin(3 * t), np.cos(2 * t), np.sin(2 * t)
    w, w1, w2 = MAJOR + MINOR * c3, -3 * MINOR * s3, -9 * MINOR * c3  # distance from the z axis and derivatives
    c = np.stack([w * c2, w * s2, MINOR * s3], -1)
    c_t = np.stack([w1 * c2 - 2 * w * s2, w1 * s2 + 2 * w * c2, 3 * MINOR * c3], -1)
    c_tt = np.stack(
        [(w2 - 4 * w) * c2 - 4 * w1 * s2, (w2 - 4 * w) * s2 + 4 * w1 * c2, -9 * MINOR * s3],
        -1,
    )
    return c, c_t, c_tt


def frame(t, c_t):
    """N and B across the axis, and the rate N' . B at which they turn about it."""
    c3, s3, c2, s2 = np.cos(3 * t), np.sin(3 * t), np.cos(2 * t), np.sin(2 * t)
    n = np.stack([c3 * c2, c3 * s2, s3], -1)
    n_t = np.stack([-3 * s3 * c2 - 2 * c3 * s2, -3 * s3 * s2 + 2 * c3 * c2, 3 * c3], -1)
    b = np.cross(c_t / np.linalg.norm(c_t, axis=-1, keepdims=True), n)
    return n, b, dot(n_t, b)


def tube_radius(t, psi):
    """r, dr/dt, dr/dpsi [n]."""
    b0, b1 = np.exp(SHARPNESS * (np.cos(t) - 1)), np.exp(SHARPNESS * (np.cos(t - 2 * np.pi / 3) - 1))
    b0_t, b1_t = -SHARPNESS * np.sin(t) * b0, -SHARPNESS * np.sin(t - 2 * np.pi / 3) * b1
    twist, twist_1 = np.cos(3 * psi + 36 * t), -np.sin(3 * psi + 36 * t)
    # cos(A + B) cos(A - B) = (cos 2A + cos 2B) / 2
    studs = 0.5 * (np.cos(6 * psi) + np.cos(72 * t))
    r = 1 + TWIST * b0 * twist + STUDS * b1 * studs
    r_t = TWIST * (b0_t * twist + 36 * b0 * twist_1) + STUDS * (b1_t * studs - 36 * b1 * np.sin(72 * t))
    r_psi = 3 * TWIST * b0 * twist_1 - 3 * STUDS * b1 * np.sin(6 * psi)
    return TUBE * r, TUBE * r_t, TUBE * r_psi


def nearest_parameter(x):
    """t of the nearest point of the axis: the nearest of many samples, then Newton on (x - c) . c' = 0."""
    samples = np.arange(8192) * (2 * np.pi / 8192)
    t = samples[cKDTree(axis(samples)[0]).query(x)[1]]
    for _ in range(5):
        c, c_t, c_tt = axis(t)
        t = t + dot(x - c, c_t) / (dot(c_t, c_t) - dot(x - c, c_tt))
    return t


def field(x):
    """F [n] and its gradient [n, 3] at x [n, 3]; smooth within 0.06 of the surface and beyond."""
    t = nearest_parameter(x)
    c, c_t, c_tt = axis(t)
    n, b, turn = frame(t, c_t)
    d = x - c
    distance, u, v = np.linalg.norm(d, axis=-1), dot(d, n), dot(d, b)
    r, r_t, r_psi = tube_radius(t, np.arctan2(v, u))
    grad_t = c_t / (dot(c_t, c_t) - dot(d, c_tt))[:, None]
    grad_psi = (u[:, None] * b - v[:, None] * n) / (distance**2)[:, None] - turn[:, None] * grad_t
    gradient = d / distance[:, None] - r_t[:, None] * grad_t - r_psi[:, None] * grad_psi
    return distance - r, gradient


def dot(a, b):
    return np.einsum("ni,ni->n", a, b)


def blue_noise(x, radius):
    """Mask [n]: the points that stay when each in turn removes all later ones within `radius`."""
    first, second = cKDTree(x).query_pairs(radius, output_type="ndarray").T  # first < second
    undecided, kept = np.ones(len(x), bool), np.zeros(len(x), bool)
    while undecided.any():
        waits = np.zeros(len(x), bool)
        waits[second] = True  # an earlier neighbour is undecided
        new = undecided & ~waits
        kept |= new
        gone = new.copy()
        gone[second[new[first]]] = True
        undecided &= ~gone
        open_ = ~gone[first] & ~gone[second]
        first, second = first[open_], second[open_]
    return kept


def make_cloud(radius, seed):
    """Points and unit normals [n, 3], float64."""
    rng = np.random.default_rng(seed)
    tries = round(12 * 29.0 / radius**2 / 1.4)  # 12 times as many as will stay; 29 is the area
    t, psi = 2 * np.pi * rng.random((2, tries))
    c, c_t, _ = axis(t)
    n, b, _ = frame(t, c_t)
    x = c + TUBE * (np.cos(psi)[:, None] * n + np.sin(psi)[:, None] * b)
    x = x[blue_noise(x, radius / 4)]  # close pairs cannot both stay: they only cost time
    for _ in range(8):
        value, gradient = field(x)
        x = x - (value / dot(gradient, gradient))[:, None] * gradient
    x = x[blue_noise(x, radius)]
    gradient = field(x)[1]
    return x, gradient / np.linalg.norm(gradient, axis=-1, keepdims=True)


def write_ply(path, points, normals):
    properties = "".join(f"property float {name}\n" for name in ("x", "y", "z", "nx", "ny", "nz"))
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(points)}\n{properties}end_header\n"
    Path(path).write_bytes(header.encode() + np.hstack([points, normals]).astype("<f4").tobytes())


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=Path(__file__).with_name("knot.ply"), help="default: %(default)s")
    parser.add_argument("--radius", type=float, default=0.0235, help="least distance of two points (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    args = parser.parse_args(argv)
    points, normals = make_cloud(args.radius, args.seed)
    write_ply(args.out, points, normals)
    stored = points.astype("f4").astype(float)
    diagonal = np.linalg.norm(np.ptp(stored, axis=0))
    print(f"{args.out}: {len(points)} points, {Path(args.out).stat().st_size} bytes")
    print(f"largest |F| / diagonal of the stored points: {abs(field(stored)[0]).max() / diagonal:.1e}")


if __name__ == "__main__":
    main()
