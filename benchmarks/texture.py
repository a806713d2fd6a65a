"""Colours of a texture and of vertices at held-out points, its seams, and a picture of both; what a normal map shows.

    python benchmarks/texture.py [--out docs/images/texture.png] [--shapes knot ball shell] [--size 2048]

A cloud with five times more points than the mesh has vertices, coloured by a fine pattern that is a function of
place. Both meshes are files that fit-grid.py wrote, read by trimesh; a renderer's rules say what they show at a place:
means of the corners' colours, or of four texels.

Normals: a mesh with a tenth of the faces, and --normal-map or not, beside the mesh that was not simplified.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import point_cloud_utils as pcu
import trimesh
from scipy.ndimage import map_coordinates

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import truths
from clouds import sampled

from neural_splines.files.meshes import save_mesh
from neural_splines.pictures.camera import Camera, good_views
from neural_splines.pictures.shading import draw_mesh

ROOT = Path(__file__).resolve().parents[1]
SHAPES = {"knot": truths.example_knot, "ball": truths.scales, "shell": truths.thin_shell}
SHARE = 5  # points for each vertex
TENTH = 10  # faces for each of a mesh with a normal map
HELD_OUT = 50_000
PARTS = 6  # of a side of a triangle, drawn


def pattern(x: np.ndarray, spacing: float) -> np.ndarray:
    """Colours [n, 3] in 0..255 of places: blots with soft edges, 8 to 20 spacings wide, and slow shades."""
    k = 2 * np.pi / (16 * spacing)
    turned = x @ np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    blots = np.tanh(4.0 * (np.sin(k * turned[:, 0]) * np.sin(k * turned[:, 1]) * np.cos(k * turned[:, 2]) + 0.1))
    lines = np.tanh(3.0 * (np.cos(0.7 * k * (turned[:, 0] + turned[:, 2])) - 0.6))
    slow = np.sin(0.05 * k * turned)
    return np.clip(np.stack([140 + 90 * blots, 120 + 60 * lines + 30 * slow[:, 0], 110 - 70 * blots], 1), 5, 250)


def made(folder: Path, points: np.ndarray, normals: np.ndarray, colours: np.ndarray, size: int) -> dict[str, float]:
    """vertex.glb and texture.glb, full.glb and tenth.glb; seconds of these runs."""
    save_mesh(folder / "cloud.ply", points, normals, None, colours=np.round(colours))
    words = ["fit-grid.py", folder / "cloud.ply", "auto", "auto", "256", "auto", "--seed", "0", "--up", "y", "--quiet"]
    fewer = ["--faces", 2 * len(points) // SHARE]
    seconds = {}
    for name, more in (("full", []), ("vertex", fewer), ("texture", [*fewer, "--texture", size]), ("tenth", [])):
        if name == "tenth":
            more = ["--faces", len(faces_of(folder / "full.glb")) // TENTH, "--texture", size, "--normal-map"]
        start = time.perf_counter()
        out = ["--out", folder / f"{name}.glb"]
        subprocess.run([sys.executable, *map(str, [*words, *more, *out])], cwd=ROOT, check=True)
        seconds[name] = time.perf_counter() - start
    return seconds


def faces_of(path: Path) -> np.ndarray:
    """The faces of a file, by corners."""
    return np.array(trimesh.load(path, force="mesh", process=False).faces)


def turned(folder: Path) -> list[float]:
    """Degrees between the normals that tenth.glb shows at places of its surface and those of full.glb at the nearest
    place: the mean and the 95th percentile without its map, and with it.
    """
    mesh = trimesh.load(folder / "tenth.glb", force="mesh", process=False)
    faces, uv = np.array(mesh.faces), np.stack([mesh.visual.uv[:, 0], 1.0 - mesh.visual.uv[:, 1]], 1)
    image = np.asarray(mesh.visual.material.normalTexture, float)[..., :3]
    x, n, t = (attribute(folder / "tenth.glb", name) for name in ("POSITION", "NORMAL", "TANGENT"))
    _, face = trimesh.sample.sample_surface(mesh, HELD_OUT, seed=0)
    weights = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], HELD_OUT)

    def mixed(values: np.ndarray) -> np.ndarray:
        return np.einsum("nk,nkd->nd", weights, values[faces[face]])

    axes = [mixed(t[:, :3]), mixed(t[:, 3:] * np.cross(n, t[:, :3])), mixed(n)]
    colour = 2.0 * looked_up(image, mixed(uv)) / 255.0 - 1.0
    shown = sum(colour[:, k, None] * unit(axis) for k, axis in enumerate(axes))
    vertices, normals = (attribute(folder / "full.glb", name) for name in ("POSITION", "NORMAL"))
    corners = faces_of(folder / "full.glb")
    _, near, at = pcu.closest_points_on_mesh(mixed(x), vertices, corners)
    truth = unit(np.einsum("nk,nkd->nd", at, normals[corners[near]]))
    off = [np.degrees(np.arccos(np.clip((unit(one) * truth).sum(1), -1.0, 1.0))) for one in (axes[2], shown)]
    return [float(value) for one in off for value in (one.mean(), np.quantile(one, 0.95))]


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


class Shown:
    """A mesh as a renderer shows it."""

    def __init__(self, path: Path):
        mesh = trimesh.load(path, force="mesh", process=False)
        self.vertices, self.faces = np.array(mesh.vertices), np.array(mesh.faces)
        self.textured = getattr(mesh.visual, "uv", None) is not None
        if self.textured:
            self.uv = np.stack([mesh.visual.uv[:, 0], 1.0 - mesh.visual.uv[:, 1]], 1)
            self.image = np.asarray(mesh.visual.material.baseColorTexture, float)
        else:  # light, of which the file has 16 bits, and trimesh keeps 8
            self.tints = colours_of(path)

    def at(self, face: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """sRGB [n, 3] in 0..255 at places of faces."""
        values = self.uv if self.textured else self.tints
        mixed = np.einsum("nk,nkd->nd", weights, values[self.faces[face]])
        return looked_up(self.image, mixed) if self.textured else mixed


def colours_of(path: Path) -> np.ndarray:
    """sRGB [v, 3] in 0..255 of the vertices of a GLB."""
    sys.path.append(str(ROOT / "tests"))
    from glb import shown

    return shown(attribute(path, "COLOR_0")[:, :3])


def attribute(path: Path, name: str) -> np.ndarray:
    """Numbers of the vertices of a GLB; their places as its node moves them."""
    sys.path.append(str(ROOT / "tests"))
    from glb import placed, values

    return placed(path) if name == "POSITION" else values(path, name)


def looked_up(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Colours [n, 3] by the means of four texels."""
    at = (uv * (image.shape[1], image.shape[0]) - 0.5)[:, ::-1].T
    return np.stack(
        [map_coordinates(layer, at, float, order=1, mode="nearest") for layer in np.moveaxis(image, 2, 0)], 1
    )


def peak_ratio(found: np.ndarray, true: np.ndarray) -> float:
    """PSNR, in dB."""
    return float(20 * np.log10(255 / np.sqrt(np.mean((found - true) ** 2))))


def seams(mesh: Shown) -> tuple[float, float, int]:
    """The largest difference of the two sides of a seam, the 99th percentile, and the number of seam edges."""
    _, place = np.unique(mesh.vertices, axis=0, return_inverse=True)
    faces, at = mesh.faces, place.reshape(-1)[mesh.faces]
    pairs = np.concatenate([np.stack([faces[:, k], faces[:, (k + 1) % 3]], 1) for k in range(3)])
    ends = np.concatenate([np.stack([at[:, k], at[:, (k + 1) % 3]], 1) for k in range(3)])
    pairs = np.where((ends[:, 0] > ends[:, 1])[:, None], pairs[:, ::-1], pairs)
    ends = np.sort(ends, 1)
    order = np.lexsort(ends.T)
    pairs, ends = pairs[order], ends[order]
    twice = np.flatnonzero((ends[1:] == ends[:-1]).all(1))
    one, other = pairs[twice], pairs[twice + 1]
    cut = (one != other).any(1)
    one, other = one[cut], other[cut]
    off = []
    for t in np.linspace(0, 1, 9):
        left, right = ((1 - t) * mesh.uv[side[:, 0]] + t * mesh.uv[side[:, 1]] for side in (one, other))
        off.append(np.abs(looked_up(mesh.image, left) - looked_up(mesh.image, right)))
    return float(np.max(off)), float(np.quantile(np.max(off, axis=2), 0.99)), len(one)


def finely(mesh: Shown) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, faces and colours in 0..1 of a mesh whose triangles are cut, so that a picture has its texels."""
    n, place, faces = PARTS, {}, []
    weights = [(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)]
    place = {(i, j): k for k, (i, j, _) in enumerate(weights)}
    for i, j in place:
        if i + j < n:
            faces.append((place[i, j], place[i + 1, j], place[i, j + 1]))
        if i + j < n - 1:
            faces.append((place[i + 1, j], place[i + 1, j + 1], place[i, j + 1]))
    w = np.array(weights) / n
    face = np.arange(len(mesh.faces)).repeat(len(w))
    every = np.tile(w, (len(mesh.faces), 1))
    x = np.einsum("nk,nkd->nd", every, mesh.vertices[mesh.faces[face]])
    f = (np.array(faces)[None] + len(w) * np.arange(len(mesh.faces))[:, None, None]).reshape(-1, 3)
    return x, f, mesh.at(face, every) / 255


def picture(meshes: list[Shown], size: int = 224) -> np.ndarray:
    """The middle of a good view of all, side by side."""
    camera = good_views(meshes[0].vertices, 1, faces=meshes[0].faces)[0]
    close = Camera(camera.axes, camera.centre, 0.36 * camera.radius)
    cut = [finely(mesh) for mesh in meshes]
    return np.hstack([draw_mesh(v, f, close, size, colours=c, borders=False) for v, f, c in cut])


def main() -> None:
    from skimage.io import imsave

    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--shapes", nargs="+", choices=SHAPES, default=["knot", "ball", "shell"])
    p.add_argument("--points", type=int, default=200_000)
    p.add_argument("--noise", type=float, default=0.0, help="of colours, 0..255 (%(default)s)")
    p.add_argument("--size", type=int, default=2048)
    p.add_argument("--out", type=Path, default=None, metavar="PNG", help="picture of the first shape")
    args = p.parse_args()
    print(
        "| shape | points / vertices | vertex colours, dB | texture, dB | seams: largest, 99 % | normals of a tenth of "
        "the faces, degrees: mean, 95 % | with the map | seconds: vertex colours, texture, normal map |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in args.shapes:
        rng, shape = np.random.default_rng(0), SHAPES[name]()
        cloud = sampled(shape, args.points, rng)
        points, normals = cloud.points, cloud.normals
        corners = shape.vertices[shape.faces]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
        spacing = float(np.sqrt(area / args.points))
        colours = pattern(points, spacing) + args.noise * rng.normal(size=points.shape)
        held = sampled(shape, HELD_OUT, rng).points
        with tempfile.TemporaryDirectory() as folder:
            seconds = made(Path(folder), points, normals, np.clip(colours, 0, 255), args.size)
            both = [Shown(Path(folder) / f"{kind}.glb") for kind in ("vertex", "texture")]
            off = turned(Path(folder))
        ratios = []
        for mesh in both:
            _, face, weights = pcu.closest_points_on_mesh(held, mesh.vertices, mesh.faces)
            ratios.append(peak_ratio(mesh.at(face, weights), pattern(held, spacing)))
        most, usual, count = seams(both[1])
        print(
            f"| {name} | {args.points} / {len(both[0].vertices)} | {ratios[0]:.1f} | {ratios[1]:.1f} | {most:.1f}, "
            f"{usual:.1f} of {count} edges | {off[0]:.2f}, {off[1]:.2f} | {off[2]:.2f}, {off[3]:.2f} | "
            f"{seconds['vertex']:.0f}, {seconds['texture']:.0f}, {seconds['tenth']:.0f} |",
            flush=True,
        )
        if args.out is not None and name == args.shapes[0]:
            imsave(args.out, picture(both), check_contrast=False)


if __name__ == "__main__":
    main()
