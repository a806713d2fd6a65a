"""Rasters of heights of hills that are known, by --dem and of Poisson's mesh, and of the ground without its buildings.

    python benchmarks/dem.py [--points 22500] [--seed 0] [--folder FOLDER] [--no-poisson]

Hills (the two longest waves of terrain.py, 41 and 11.5 m of 150 m) as a LAS of EPSG:25833, a point a square metre at
random, seen from above: without noise, with 3 cm of it, with ripples of 3.5 m (its third wave), which so few points
hardly show, and with flat-roofed houses of class 6 in the place of ground of class 2. `fit-grid CLOUD auto auto auto
auto --dem`, squares of half a metre. Poisson is Open3D's at depths 7 to 10, with true normals or those of tangent
planes of 15 or 30 neighbours turned upwards, its mesh met by the same vertical rays in double precision; the best of
all by RMSE, chosen with the truth in hand. Squares nearer than 2 m to the rim are left out, where Poisson's mesh rises
beyond the data.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

import numpy as np  # noqa: E402
import peers  # noqa: E402
import terrain  # noqa: E402

HILLS, RIPPLES = 2, 3  # waves
CRS, CORNER, BASE = "EPSG:25833", np.array([410_000.0, 5_650_000.0]), 120.0
RESOLUTION, RIM, NOISE = 0.5, 2.0, 0.03  # metres
NORMALS = ("nx", "ny", "nz")
GROUND, BUILDING = 2, 6  # classes
HOUSES = ((0.2, 0.3, 0.1, 0.07), (0.55, 0.2, 0.08, 0.12), (0.4, 0.7, 0.12, 0.08), (0.75, 0.65, 0.07, 0.09))
ROOF = 7.0  # metres above the ground in the middle
AROUND = [RIM * np.array([i, j]) for i in (-1, 0, 1) for j in (-1, 0, 1)]
DEPTHS, NEIGHBOURS = (7, 8, 9, 10), (15, 30)


def heights(xy: np.ndarray, side: float, waves: int = HILLS) -> tuple[np.ndarray, np.ndarray]:
    """Of the hills [n], and their normals [n, 3], at places in metres from the corner."""
    z, normals = terrain.surface(*(xy / side).T, terrain.WAVES[:waves])
    return BASE + side * z, normals


def houses(xy: np.ndarray, side: float) -> np.ndarray:
    """The height of the roof above each place [n], NaN where there is none."""
    roofs = np.full(len(xy), np.nan)
    for x, y, wide, deep in HOUSES:
        here = (np.abs(xy / side - (x, y)) < (wide / 2, deep / 2)).all(1)
        roofs[here] = heights(side * np.array([[x, y]]), side)[0] + ROOF
    return roofs


def save_las(path: Path, xyz: np.ndarray, classes: np.ndarray, normals: np.ndarray | None = None) -> None:
    import laspy
    import pyproj

    header = laspy.LasHeader(point_format=6, version="1.4")
    header.scales, header.offsets = [1e-3] * 3, [*CORNER, 0.0]
    header.add_crs(pyproj.CRS(CRS))
    if normals is not None:
        header.add_extra_dims([laspy.ExtraBytesParams(name=name, type=np.float64) for name in NORMALS])
    file = laspy.LasData(header)
    file.x, file.y, file.z = (xyz + np.append(CORNER, 0.0)).T
    file.classification = classes
    for name, values in zip(NORMALS, () if normals is None else normals.T, strict=normals is not None):
        file[name] = values
    file.write(path)


def raster(cloud: Path, *options: str) -> tuple[np.ndarray, np.ndarray]:
    """Places of squares [n, 2] in metres from the corner, and heights there [n], NaN for none."""
    import rasterio

    dem = cloud.with_suffix(".tif")
    words = [str(cloud), *4 * ["auto"], "--seed", "0", "--quiet", "--resolution", str(RESOLUTION), "--dem", str(dem)]
    command = [sys.executable, str(ROOT / "fit-grid.py"), *words, *options, "--out", str(cloud.with_suffix(".ply"))]
    subprocess.run(command, check=True)
    with rasterio.open(dem) as file:
        assert file.crs.to_string() == CRS
        row, column = (index.reshape(-1) for index in np.mgrid[: file.height, : file.width])
        x, y = file.transform * (column + 0.5, row + 0.5)
        return np.stack([x, y], 1) - CORNER, file.read(1, masked=True).astype(float).filled(np.nan).reshape(-1)


def poissons(xyz: np.ndarray, normals: np.ndarray | None):
    """Name, vertices and faces of each mesh, with these normals or estimated ones."""
    import open3d

    kinds = {} if normals is None else {"given": normals}
    for neighbours in NEIGHBOURS if normals is None else ():
        cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(xyz))
        cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(neighbours))
        cloud.orient_normals_to_align_with_direction([0.0, 0.0, 1.0])
        kinds[f"tangent {neighbours}"] = np.asarray(cloud.normals)
    for name, found in kinds.items():
        for depth in DEPTHS:
            (_, vertices, faces), *_ = peers.poisson(xyz, found, depth)
            yield f"{name}, depth {depth}", vertices, faces


def rmse(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean((found - true) ** 2)))


def inner(xy: np.ndarray, side: float) -> np.ndarray:
    return ((xy > RIM) & (xy < side - RIM)).all(1)


def compare(
    name: str, xyz: np.ndarray, normals: np.ndarray, side: float, folder: Path, poisson: bool, waves: int
) -> None:
    """Rows: ours and the best Poisson on open ground, without normals and with the true ones."""
    from neural_splines.files.rasters import Squares
    from neural_splines.surface.heights import topmost

    for given in (None, normals):
        cloud = folder / "hills.las"
        save_las(cloud, xyz, np.full(len(xyz), GROUND, np.uint8), given)
        places, found = raster(cloud)
        here = inner(places, side)
        ours, there = rmse(found[here], heights(places[here], side, waves)[0]), np.isfinite(found[here]).mean()
        best, which = np.nan, "not run"
        for kind, vertices, faces in poissons(xyz, given) if poisson else ():
            squares = Squares.covering([0.0, 0.0], [side, side], RESOLUTION)
            row, column = (index.reshape(-1) for index in np.mgrid[: squares.rows, : squares.columns])
            spots = squares.middles(row, column)
            met, keep = topmost(vertices, faces, squares).values.reshape(-1), inner(spots, side)
            error = rmse(met[keep], heights(spots[keep], side, waves)[0])
            best, which = (error, kind) if not error >= best else (best, which)
        row = [name, "estimated" if given is None else "true", f"{1000 * ours:.1f}", f"{100 * there:.1f} %"]
        print("|", " | ".join([*row, f"{1000 * best:.1f} ({which})", f"{ours / best:.2f}"]), "|", flush=True)


def buildings(xyz: np.ndarray, side: float, folder: Path) -> None:
    """Rows: with the houses, and the ground alone, open and filled."""
    roofs = houses(xyz[:, :2], side)
    built = np.isfinite(roofs)
    xyz = np.column_stack([xyz[:, :2], np.where(built, roofs, xyz[:, 2])])
    cloud = folder / "houses.las"
    save_las(cloud, xyz, np.where(built, BUILDING, GROUND).astype(np.uint8))
    print("\n| points | heights below houses | above the ground there, median and most, m | RMSE elsewhere, mm |")
    print("|---|---|---|---|")
    choices = {"all": (), "`--classes 2`": ("--classes", "2")}
    choices["`--classes 2 --fill-holes`"] = ("--classes", "2", "--fill-holes")
    for name, options in choices.items():
        places, found = raster(cloud, *options)
        true = heights(places, side)[0]
        house, near = np.isfinite(houses(places, side)), np.isfinite(found)
        open_ = inner(places, side) & np.all([~np.isfinite(houses(places + step, side)) for step in AROUND], axis=0)
        above = (found - true)[house & near]
        listed = f"{np.median(above):.2f}, {np.abs(above).max():.2f}" if len(above) else "-"
        elsewhere = 1000.0 * rmse(found[open_], true[open_])
        print(f"| {name} | {100 * near[house].mean():.1f} % | {listed} | {elsewhere:.1f} |", flush=True)


def main(argv=None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--points", type=int, default=22500)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--folder", type=Path, default=None)
    p.add_argument("--no-poisson", action="store_true")
    options = p.parse_args(argv)
    rng, side = np.random.default_rng(options.seed), float(np.sqrt(options.points))
    xy = side * rng.random((options.points, 2))
    z, normals = heights(xy, side)
    ripples, turned = heights(xy, side, RIPPLES)
    clean, rippled = np.column_stack([xy, z]), np.column_stack([xy, ripples])
    noisy = clean + np.array([0.0, 0.0, NOISE]) * rng.standard_normal((len(xy), 1))
    rows = {"no noise": (clean, normals, HILLS), f"{100 * NOISE:g} cm noise": (noisy, normals, HILLS)}
    rows["ripples of 3.5 m, no noise"] = (rippled, turned, RIPPLES)
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder or Path(made)
        print("| hills | normals | RMSE, mm | heights | best Poisson, mm | ratio |\n|---|---|---|---|---|---|")
        for name, (xyz, given, waves) in rows.items():
            compare(name, xyz, given, side, folder, not options.no_poisson, waves)
        buildings(clean, side, folder)


if __name__ == "__main__":
    main()
