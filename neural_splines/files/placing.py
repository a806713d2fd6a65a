"""The arrays of a mesh brought to where it lies in its file, a bounded number of rows at a time."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from ..errors import CloudError, OutputError
from ..placement import Placed, Placement
from .atomic import STANDARD, PathLike
from .mesh_content import Content, chunks
from .reading import errors_name

OFFSET = ".offset.xyz"


def placed(content: Content, placement: Placement) -> tuple[Content, Placed]:
    """The content as its file has it, and how it came there. Mapped arrays are scratch files, and overwritten."""
    vertices = content.vertices
    bounds = [(vertices[rows].min(0), vertices[rows].max(0)) for rows in chunks(0, len(vertices))]
    lower, upper = np.zeros(3), np.zeros(3)
    if bounds:
        lower, upper = np.min([low for low, _ in bounds], 0), np.max([high for _, high in bounds], 0)
    factor = placement.factor(float((upper - lower).max()))
    shift = np.array(placement.moved(lower.tolist(), upper.tolist()))
    found = Placed(factor, _three(shift), _three(factor * (upper - lower)), placement.unit)
    content = replace(content, unit=placement.unit)
    if factor == 1.0 and not shift.any() and not placement.single:
        return content, found
    moved = vertices if isinstance(vertices, np.memmap) else np.empty_like(vertices)
    for rows in chunks(0, len(vertices)):
        numbers = factor * (vertices[rows] - shift)
        moved[rows] = numbers.astype(np.float32) if placement.single else numbers
    size = None if content.voxel_size is None else factor * content.voxel_size
    return replace(content, vertices=moved, voxel_size=size, fits_single=None), found


def offset_path(path: PathLike) -> str:
    """The file beside a mesh that says by what --shift moved it."""
    return f"{os.fspath(path)}{OFFSET}"


def offset_bytes(found: Placed) -> bytes:
    """Three numbers, in the manner of photogrammetry programs: what is to be added to those of the mesh."""
    return (" ".join(map(repr, found.shift)) + "\n").encode()


def check_offset(path: PathLike, placement: Placement) -> None:
    """OutputError where there is no place beside a mesh that is moved."""
    if placement.shift is not None and path == STANDARD:
        raise OutputError("--shift writes its numbers beside the mesh; name a file with --out, or drop it")


def _three(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


def read_offset(path: PathLike) -> np.ndarray:
    """The three numbers [3] of such a file."""
    with errors_name(path):
        with open(path, encoding="ascii") as file:
            numbers = np.array(file.read(1000).split(), np.float64)
        if numbers.shape != (3,) or not np.isfinite(numbers).all():
            raise CloudError("has no three numbers that --shift moved a mesh by; repair or remove it")
        return numbers
