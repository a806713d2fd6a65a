"""Make the pictures of the manual: docs/images/tutorial_*.png, mapping_*, parameter_* and, with scans, gallery_*.

    python examples/make_pictures.py [tutorial] [mapping] [parameters] [gallery --data SCANS --meshes FOLDER]

The pictures of the tutorial and of the tile come from the commands of docs/tutorial.md and docs/mapping.md. Those of
the parameters are one pumpkin with one option changed from left to right. The gallery's come from meshes that its
commands made.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]
IMAGES = ROOT / "docs" / "images"
SIZE = 230  # pixels of a picture's side
LARGEST = 150_000  # bytes of a file


def save(name: str, rows) -> None:
    """Write rows of pictures as one file."""
    from neural_splines.pictures import png

    data = png.encode(np.vstack([np.hstack(row) for row in rows]))
    assert len(data) < LARGEST, f"{name} has {len(data)} bytes"
    (IMAGES / name).write_bytes(data)
    print(f"{name}: {len(data) // 1000} kB")


def load(path: Path):
    """Vertices, faces and colours in [0, 1] or None of a mesh, z upwards."""
    import trimesh
    from glb import shown, values

    mesh = trimesh.load(path, force="mesh", process=False)
    if path.suffix == ".glb":  # y upwards, colours as light
        return (
            mesh.vertices[:, [0, 2, 1]] * (1, -1, 1),
            np.array(mesh.faces),
            shown(values(path, "COLOR_0")[:, :3]) / 255,
        )
    return np.array(mesh.vertices), np.array(mesh.faces), None


def tutorial() -> None:
    from run_page import run_page

    from neural_splines.files.point_clouds import load_scanned_cloud
    from neural_splines.pictures.camera import Camera, good_views
    from neural_splines.pictures.shading import draw_mesh, draw_points

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_page(ROOT / "docs" / "tutorial.md", folder)
        scan = load_scanned_cloud(folder / "scan.las")
        vertices, faces, colours = load(folder / "scan.glb")
        closed = load(folder / "closed.ply")
    above = good_views(vertices, 1)[0]
    below = Camera.looking((1, 0.3, -0.8), (0, 0, 1), above.centre, above.radius)
    save(
        "tutorial_scan.png",
        [[
            draw_points(scan.points, above, SIZE, colours=scan.colours / 255.0),
            draw_mesh(vertices, faces, above, SIZE, colours=colours),
        ]],
    )  # fmt: skip
    save("tutorial_closed.png", [[draw_mesh(*part[:2], below, SIZE) for part in ((vertices, faces), closed)]])


def mapping() -> None:
    from run_page import run_page

    from neural_splines.files.point_clouds import load_scanned_cloud
    from neural_splines.pictures.camera import Camera
    from neural_splines.pictures.shading import draw_mesh, draw_points

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def first_mesh(words):
            made = words[0].startswith("examples/") or "tile.glb" in words
            return words if made else None

        run_page(ROOT / "docs" / "mapping.md", folder, first_mesh, languages=("bash",))
        cloud = load_scanned_cloud(folder / "tile.laz")
        vertices, faces, colours = load(folder / "tile.glb")
    middle = (vertices.min(0) + vertices.max(0)) / 2
    view = Camera.looking((0.35, -1, 0.75), (0, 0, 1), middle, 68.0)
    points = draw_points(cloud.points, view, 360, colours=cloud.colours / 255.0)
    both = points, draw_mesh(vertices, faces, view, 360, colours=colours)
    save("mapping_tile.png", [[picture[70:300] for picture in both]])


def parameters() -> None:
    from make_scan import scan

    import neural_splines as ns
    from neural_splines.pictures.camera import Camera
    from neural_splines.pictures.shading import draw_mesh

    def row(name, points, normals, view, settings):
        camera = Camera.looking(view, (0, 0, 1), points.mean(0), 0.17)
        meshes = [ns.reconstruct(points, normals, one).mesh for one in settings]
        save(name, [[draw_mesh(mesh.vertices, mesh.faces, camera, SIZE) for mesh in meshes]])

    def settings(grid=96, smoothing=1e-7, points=200, **more):
        more.setdefault("cells", ns.CellSettings(points_per_cell=points))
        return ns.Settings(grid_size=grid, regularization=smoothing, **more)

    clean, noisy = (scan(6000, noise, 0)[0] for noise in (0.0, 0.0015))
    normals, rough = ns.estimate_normals(clean), ns.estimate_normals(noisy)
    above, below = (1, 0.3, 0.7), (1, 0.3, -0.8)
    row("parameter_grid.png", clean, normals, above, [settings(grid) for grid in (16, 32, 96)])
    row("parameter_regularization.png", noisy, rough, above, [settings(smoothing=s) for s in (1e-9, 1e-4, 1e-1)])
    row("parameter_cells.png", noisy, rough, above, [settings(smoothing=1e-4, points=p) for p in (50, 200, 1600)])
    trims = [settings(trim=t, min_component=0.0) for t in ("none", "auto", 0.9)]
    row("parameter_trim.png", clean, normals, below, trims)
    holes = [
        settings(grid=128, scale=1.5, cells=ns.CellSettings(points_per_cell=200, fill_holes=fill))
        for fill in (False, 5.0, True)
    ]
    row("parameter_holes.png", clean, normals, below, holes)


def gallery(data: Path, meshes: Path) -> None:
    from neural_splines.files.point_clouds import load_scanned_cloud
    from neural_splines.pictures.camera import Camera, good_views
    from neural_splines.pictures.shading import draw_mesh, draw_points

    shots = {  # file: view, up, centre as fractions of the box, radius as a fraction of its longest side
        "bunny_oriented_36k": ((-0.2, 0.35, 1.0), (0, 1, 0), (0.27, 0.75, 0.55), 0.3),
        "bunny_rangescan_60k": ((-0.2, 0.35, 1.0), (0, 1, 0), (0.5, 0.5, 0.5), 0.56),
        "office_chair_15k": None,
        "anchor_scan_85k": None,
    }
    for name, shot in shots.items():
        points = load_scanned_cloud(data / f"{name}.ply").points
        vertices, faces, _ = load(meshes / f"{name}.ply")
        camera = good_views(vertices, 1)[0]
        if shot:
            view, up, place, radius = shot
            low, side = vertices.min(0), np.ptp(vertices, axis=0)
            camera = Camera.looking(view, up, low + place * side, radius * side.max())
        pictures = [draw_points(points, camera, SIZE), draw_mesh(vertices, faces, camera, SIZE)]
        other = meshes / f"poisson_{name}.ply"
        if other.exists():
            pictures.append(draw_mesh(*load(other)[:2], camera, SIZE))
        save(f"gallery_{name}.png", [pictures])


def main(argv=None) -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument(
        "what", nargs="*", default=["tutorial", "mapping", "parameters"], help="tutorial, mapping, parameters, gallery"
    )
    p.add_argument("--data", type=Path, help="folder of scans, for the gallery")
    p.add_argument("--meshes", type=Path, help="folder of the meshes that were made from them")
    args = p.parse_args(argv)
    for name in args.what:
        if name == "gallery":
            gallery(args.data, args.meshes)
        else:
            {"tutorial": tutorial, "mapping": mapping, "parameters": parameters}[name]()


if __name__ == "__main__":
    main()
