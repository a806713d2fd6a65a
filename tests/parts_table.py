"""Every option and every format of fit-grid.py, and arguments that ask for it: what `test_parts_table.py` goes through.

An option stands in a group, whose options are asked for together, or among those that cannot work in parts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cloud_bytes import N, P, ply
from format_bytes import e57, las, numpy_bytes, pcd, text
from openmvs_bytes import scene

POSITIONAL = ("eps", "num_nystrom_samples", "grid_size", "cells_per_axis")
PLAIN = {"eps": "auto", "num_nystrom_samples": "40", "grid_size": "20", "cells_per_axis": "auto"}
PLAIN |= {"regularization": "--regularization 1e-7", "seed": "--seed 3", "device": "--device cpu"}

CAMERAS = Path(__file__).parent / "cameras.json"  # some about what is seen
LINES = Path(__file__).parent / "breaklines.geojson"  # the top of a torus
# Values of positional arguments, and the words of options; {} is the folder of the run.
GROUPS: dict[str, dict[str, str]] = {
    "constraints off the surface": {
        "eps": "0.05", "num_nystrom_samples": "80", "grid_size": "24", "cells_per_axis": "auto",
        "overlap": "--overlap 0.3", "min_pts_per_cell": "--min-pts-per-cell 4",
        "points_per_cell": "--points-per-cell 60", "depth": "--depth local", "regularization": "--regularization 1e-7",
        "offset_weight": "--offset-weight 0.5", "robust_passes": "--robust-passes 1", "normals": "--normals file",
        "up": "--up z", "classes": "--classes 1", "kernel": "--kernel spherical-laplace",
        "voxel_downsample_threshold": "--voxel-downsample-threshold 300", "remove_outliers": "--remove-outliers none",
        "seed": "--seed 3", "scale": "--margin 1.2", "refine_vertices": "--no-refine-vertices", "trim": "--trim 3",
        "min_component": "--min-component 0.1", "out": "--out {}/mesh.ply", "report": "--report {}/report.json",
        "save_points": "--save-points", "preview": "--preview {}/a.png", "html": "--html {}/a.html",
        "verbose": "--verbose", "device": "--device cpu", "backend": "--backend torch", "solver": "--solver builtin",
        "crs": "--crs EPSG:25833", "dem": "--dem {}/a.tif", "contours": "--contours {}/a.geojson",
        "breaklines": f"--breaklines {LINES}",
        "resolution": "--resolution 0.1", "interval": "--interval 0.1", "shift": "--shift 1 2 -3",
    },
    "slopes": PLAIN | {
        "gradient_length": "--gradient-length 0.1", "outer_layer_variance": "--outer-layer-variance 0",
        "weight_type": "--weight-type none", "dtype": "--dtype float32", "cg_max_iters": "--cg-max-iters 9",
        "cg_stop_thresh": "--cg-stop-thresh 1e-4", "out_dir": "--out-dir {}", "format": "--format obj",
        "strict": "--strict", "quiet": "--quiet", "units": "--units in",
        "cloud_units": "--cloud-units cm",
    },
    "uniform cells": PLAIN | {
        "cells_per_axis": "5", "nystrom_mode": "--nystrom-mode random", "fill_holes": "--fill-holes",
        "size": "--size 120", "to_origin": "--to-origin", "out": "--out {}/mesh.ply",
    },
    "two tables as one cloud": PLAIN | {
        "merge": "--merge", "columns": "--columns x,y,z,nx,ny,nz,r,g,b,classification",
        "attributes": "--attributes classification", "quality": "--quality density",
        "out": "--out {}/mesh.ply",
    },
    "estimated from above": PLAIN | {
        "normals": "--normals estimate", "aerial": "--aerial", "up": "--up z", "flip_normals": "--flip-normals",
        "out": "--out {}/mesh.ply",
    },
    "seen from a place": PLAIN | {
        "normals": "--normals estimate", "sensor_position": "--sensor-position 9 0 0",
        "bounds": "--bounds -9 -9 9 0.9", "out": "--out {}/mesh.ply",
    },
    "seen by cameras": PLAIN | {
        "normals": "--normals estimate", "cameras": f"--cameras {CAMERAS}", "out": "--out {}/mesh.ply",
    },
    "for a printer": PLAIN | {
        "printable": "--printable", "flat_bottom": "--flat-bottom", "cut_plane": "--cut-plane 0 0 1 0",
        "out": "--out {}/mesh.stl",
    },
    "seen from within": PLAIN | {"normals": "--normals estimate", "inside": "--inside", "out": "--out {}/mesh.ply"},
}  # fmt: skip
ALONE = {"help": "--help"}  # does nothing else
SHARES = {
    "max_memory": "--max-memory 2GB",
    "work_dir": "--work-dir {}/work",
    "workers": "--workers 2",
    "scheduler": "--scheduler tcp://127.0.0.1:8786",
}
# What cannot work in parts.
REFUSED = {
    "dense": "--dense",
    "save_grid": "--save-grid",
    "faces": "--faces 500",
    "max_error": "--max-error 0.1",
    "texture": "--texture 64",
    "normal_map": "--normal-map",
    "sharp_edges": "--sharp-edges",
    "free_space": "--free-space",
    "envelope": "--envelope {}/mesh.ply",
}

COLOURS = np.tile(np.array([[9, 99, 199]]), (len(P), 1))
COLUMNS = {name: np.asarray(column, np.float32) for name, column in zip("xyz", P.T, strict=True)}
COLUMNS |= {f"normal_{name}": np.asarray(column, np.float32) for name, column in zip("xyz", N.T, strict=True)}
HEADER = "x,y,z,nx,ny,nz\n"
PTX = f"{len(P)}\n1\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n".encode()


def off(kind: str, rows: list[np.ndarray]) -> bytes:
    return f"{kind}\n{len(P)} 0 0\n".encode() + text(rows)


def obj() -> bytes:
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in P.tolist()]
    return "\n".join([*lines, *(f"vn {x:.9g} {y:.9g} {z:.9g}" for x, y, z in N.tolist()), ""]).encode()


# The bytes of the same cloud in every format that is read.
INPUTS = {
    ".ply": lambda: ply(),
    ".obj": obj,
    ".off": lambda: off("NOFF", [P, N]),
    ".ptx": lambda: PTX + text([P, np.full(len(P), 0.5)]),
    ".npz": lambda: numpy_bytes(np.savez, points=P, normals=N),
    ".pcd": lambda: pcd("binary", COLUMNS),
    **{suffix: lambda: text([P, N]) for suffix in (".xyz", ".xyzn", ".pts", ".txt", ".asc")},
    ".pwn": lambda: f"{len(P)}\n".encode() + text([P]) + text([N]),
    ".csv": lambda: text([P, N], ",", header=HEADER),
    ".xyzrgb": lambda: text([P, COLOURS]),
    ".npy": lambda: numpy_bytes(np.save, np.hstack([P, N])),
    ".mvs": lambda: scene(P, [[0]] * len(P), [(np.eye(3), np.array([0.0, 0, 9]))], normals=N),
    ".las": lambda: las(P, N),
    ".laz": lambda: las(P, N, compressed=True),
    ".e57": lambda: e57([(P, COLOURS, np.zeros(3))]),
}


def words(asked: dict[str, str], cloud: Path | list[Path], folder: Path) -> list[str]:
    """The command line that asks for values of positional arguments and for options."""
    inputs = [str(path) for path in (cloud if isinstance(cloud, list) else [cloud])]
    values = PLAIN | asked
    options = [word for name, value in asked.items() if name not in POSITIONAL for word in value.split()]
    return [*inputs, *(values[name] for name in POSITIONAL), *(word.replace("{}", str(folder)) for word in options)]
