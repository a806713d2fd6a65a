"""Triangle meshes in and out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CloudError, OutputError
from ..placement import AS_IT_IS, Placed, Placement
from ..ranges import UPS, Axis
from ..settings import MESH_FORMATS
from . import obj_off, ply, records, stl
from .arrays import as_array
from .atomic import STANDARD, PathLike, atomic, shown
from .glb_reader import read_glb
from .mesh_content import Content, TextureMap
from .placing import check_offset, offset_bytes, offset_path, placed
from .polygons import triangles
from .reading import COORDINATES, errors_name, read_bytes, require
from .textured_obj import check_beside, written_beside
from .threemf_reader import read_3mf
from .writers import WRITERS

TEXTURE_FORMATS = (".glb", ".obj")


def load_mesh(path: PathLike) -> tuple[Tensor, Tensor]:
    """Vertices [v, 3] float64 and faces [f, 3] int64 of a PLY, OBJ, STL, 3MF or GLB mesh; polygons become fans."""
    vertices, faces, _ = load_mesh_numbers(path, ())
    return vertices, faces


def load_mesh_numbers(path: PathLike, names: Sequence[str]) -> tuple[Tensor, Tensor, dict[str, np.ndarray]]:
    """The same, and those of the named numbers [v] that its vertices have; only PLY and GLB have some."""
    return load_upright(path, names)[:3]


def load_upright(path: PathLike, names: Sequence[str]) -> tuple[Tensor, Tensor, dict[str, np.ndarray], Axis | None]:
    """The same, and the axis that is up where the file says it, which GLB does."""
    with errors_name(path):
        data, suffix, numbers = read_bytes(path), suffix_of(path), dict[str, np.ndarray]()
        up: Axis | None = None
        if suffix == ".obj":
            vertices, faces = obj_off.read_obj_mesh(data)
        elif suffix == ".stl":
            vertices, faces = stl.read_stl(path, data)
        elif suffix == ".3mf":
            vertices, faces = read_3mf(data)
        elif suffix == ".glb":
            vertices, faces, numbers, up = read_glb(data, names)
        else:
            vertices, faces, numbers = _read_ply(data, names)
        if len(faces) == 0:
            raise CloudError("the mesh has no faces; check how it was made")
        if not np.isfinite(vertices).all():
            raise CloudError("the mesh has vertices that are not finite; remove them, e.g. with MeshLab")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise CloudError(f"faces refer to vertices that are not there; {ply.TRUNCATED}")
        return torch.from_numpy(vertices), torch.from_numpy(faces), numbers, up


def _read_ply(data: bytes, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    header = ply.parse_header(data)
    face = header.find("face")
    corners = face.find("vertex_indices", "vertex_index")
    if corners is None or corners.count_type is None:
        raise CloudError("its faces have no list vertex_indices; export it as a triangle mesh")
    vertex = header.find("vertex")
    require(vertex, COORDINATES)
    found = [name for name in names if (number := vertex.find(name)) is not None and number.count_type is None]
    columns, _ = records.read(data, header, {"vertex": (*COORDINATES, *found), "face": (corners.name,)})
    numbers = {name: np.asarray(columns["vertex"][name], np.float64) for name in found}
    return records.block(columns["vertex"], COORDINATES), triangles(columns["face"][corners.name]), numbers


def check_format(path: PathLike, formats: Sequence[str] = MESH_FORMATS) -> None:
    """Raise OutputError where the extension is of no format that can be written; pipes and /dev/stdout have none."""
    suffix = suffix_of(path)
    if path != STANDARD and suffix not in formats and not (os.path.exists(path) and not os.path.isfile(path)):
        what = suffix or "files without extension"
        raise OutputError(f"{shown(path)}: cannot write {what}; use {', '.join(formats)}")


def check_texture(path: PathLike, suffix: str) -> None:
    """Raise OutputError where a file of that format cannot have a texture."""
    if suffix not in TEXTURE_FORMATS:
        raise OutputError(f"{shown(path)}: {suffix} has no texture; use {' or '.join(TEXTURE_FORMATS)}")
    if suffix == ".obj":
        check_beside(path)


def save_mesh(
    path: PathLike,
    vertices: Any,
    normals: Any,
    faces: Any,
    *,
    colours: Any = None,
    scalars: Mapping[str, Any] | None = None,
    voxel_size: float | None = None,
    suffix: str | None = None,
    up: Axis = UPS["y"],
    placement: Placement = AS_IT_IS,
    texture: TextureMap | None = None,
) -> Placed:
    """A mesh as `suffix` says, else the extension (PLY where there is none): vertices [v, 3], triangles [f, 3].

    Per vertex where given and where the format has it: unit normals [v, 3], colours [v, 3] in 0..255, scalars [v] by
    name. Vertices are float, but double (in GLB an offset) where rounding to float would move one by more than 0.01
    voxels, or at all if `voxel_size` is not given. GLB turns the axis `up` to y. Returns how `placement`
    brought them to the file. Tensors, arrays or lists. texture: in the place of colours, in TEXTURE_FORMATS; in OBJ
    the material and the pictures are further files, and so is what a shift of `placement` was; all appear or none.
    """
    suffix = suffix or suffix_of(path)
    more: dict[str, bytes] = {}
    if texture is not None:
        check_texture(path, suffix)
        if suffix == ".obj":
            more = written_beside(path, texture)
            texture = replace(texture, material=os.path.basename(next(iter(more))))
    content = Content(
        as_array(vertices).astype(np.float64, copy=False),
        None if normals is None else as_array(normals),
        None if faces is None else as_array(_narrow(faces, len(vertices))),
        None if colours is None else as_array(colours).astype(np.uint8),
        {name: as_array(values) for name, values in (scalars or {}).items()},
        voxel_size,
        up=up,
        texture=texture,
    )
    placement = placement.of_format(suffix)
    check_offset(path, placement)
    content, found = placed(content, placement)
    if placement.shift is not None:
        more[offset_path(path)] = offset_bytes(found)
    with atomic(*more, path) as (*others, stream):
        for other, data in zip(others, more.values(), strict=True):
            other.write(data)
        for part in WRITERS.get(suffix, WRITERS[".ply"])(content, shown(path)):
            stream.write(part)
    return found


def _narrow(faces: Any, vertices: int) -> Any:
    """Half as many bytes on their way from a GPU, where they are enough."""
    on_gpu = isinstance(faces, Tensor) and faces.device.type != "cpu"
    return faces.int() if on_gpu and vertices < 2**31 - 1 else faces


def suffix_of(path: PathLike) -> str:
    return os.path.splitext(os.fspath(path))[1].lower()
