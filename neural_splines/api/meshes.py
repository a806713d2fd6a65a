"""Meshes to files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..errors import PrintError, SettingsError, said
from ..files import meshes
from ..files.atomic import PathLike
from ..files.mesh_content import TextureMap
from ..placement import Placement, Printing
from ..ranges import UPS, check_choice
from ..run.printing import printable as made_printable
from ..run.upright import looks_upright
from ..run.whole import Reconstruction
from ..runtime.arrays import as_rows
from ..settings import AUTO
from ..surface.charts import check_charts
from ..surface.mesh import Mesh
from .clouds import carry, warn_all


def save_mesh(
    path: PathLike,
    mesh: Mesh | Reconstruction,
    *,
    colours: Any = None,
    scalars: Mapping[str, Any] | None = None,
    voxel_size: float | None = None,
    up: str = AUTO,
    units: str | None = None,
    cloud_units: str | None = None,
    size: float | None = None,
    to_origin: bool = False,
    shift: str | Sequence[float] | None = None,
    printable: bool = False,
    flat_bottom: bool = False,
    cut_plane: Sequence[float] | None = None,
    texture: int | None = None,
    normal_map: bool = False,
    point_colours: Sequence[Any] | None = None,
) -> None:
    """Write a mesh, of numpy or torch, as PLY, OBJ, STL, 3MF, OFF or GLB by its extension: all of the file or nothing.

    Per vertex, where the format has them: colours [v, 3] in 0..255, scalars [v] by name. Vertices are float32 where
    that moves none by 0.01 of `voxel_size`, else float64; a Reconstruction knows its own voxel size, so that the file
    is byte for byte the command's. GLB turns the direction that is `up`, x, y, z or one with a minus, to y; auto: z of
    what is flat or far from the origin, as maps are, else y.

    units : mm, cm, m or in, of the file, to which the numbers are converted from cloud_units, metres if not given.
    size : instead, the longest side of the mesh in the file. to_origin : the lower corner of its box moves to 0.
    shift : x, y, z that are subtracted from the coordinates, or "auto": round ones, in all formats but PLY, whose
        readers lose digits of large coordinates. They are written to {path}.offset.xyz.
    printable : of a Reconstruction with `fill_holes=True`, what a printer takes: closed, oriented, manifold, no faces
        that meet, in float32 at the origin; flat rims of what was scanned are closed by their planes. Colours and
        scalars, which are those of `mesh`, are carried to its vertices. flat_bottom : and cut across `up` at the lowest
        point. cut_plane : a, b, c, d, and cut so that what has a x + b y + c z >= d is kept.
    texture : of a Reconstruction, texels along the side of pictures on its mesh, in GLB, or beside OBJ: of
        point_colours, points [n, 3] with their colours [n, 3] in 0..255, which take the place of `colours`; and with
        normal_map the normals of the field, for a mesh of few `faces`. It needs xatlas.

    Raises OutputError for another extension and for what cannot be written, PrintError for what cannot be printed,
    SettingsError for arguments that do not go together, BackendError where xatlas is not installed.
    """
    check_choice("up", up, (AUTO, *UPS))
    printing = Printing(printable=printable, flat_bottom=flat_bottom, cut_plane=cut_plane)
    placement = Placement(
        units=units,
        cloud_units=cloud_units,
        size=size,
        to_origin=to_origin or printing.asked,
        shift=shift,
        single=printing.asked,
    )
    _check_pictures(path, mesh, texture, normal_map, point_colours)
    if printing.asked:
        meshes.check_format(path)
        mesh, colours, scalars = _printed(path, mesh, printing, placement, up, colours, scalars)
    pictures = None if texture is None else _pictures(mesh, texture, normal_map, point_colours)
    if isinstance(mesh, Reconstruction):
        voxel_size = voxel_size or mesh.lattice.voxel_size
        shape, mesh = mesh.kept.points, mesh.mesh
    else:
        shape = mesh.vertices
    meshes.check_format(path)
    meshes.save_mesh(
        path, mesh.vertices, mesh.normals, mesh.faces, colours=colours, scalars=scalars, voxel_size=voxel_size,
        up=UPS[up] if up in UPS else looks_upright(torch.as_tensor(shape)),
        placement=placement, texture=pictures,
    )  # fmt: skip


def _printed(
    path: PathLike, given: Any, printing: Printing, placement: Placement, up: str, colours: Any, scalars: Any
) -> tuple[Reconstruction, Any, Any]:
    """What a printer takes of a result, with what its vertices have."""
    if not isinstance(given, Reconstruction):
        raise SettingsError("printable needs what reconstruct returned, which knows the points, and not a mesh alone")
    axis = UPS[up] if up in UPS else looks_upright(given.kept.points)
    try:
        sure = given.estimated.confidence if given.estimated else 1.0
        result = made_printable(given, printing, placement.of_format(meshes.suffix_of(path) or ""), axis, sure)
    except PrintError as error:
        cells = given.settings and given.settings.cell_settings
        if cells and not cells.fill_holes:
            raise PrintError(f"{said(error).split(';')[0]}; reconstruct it with --fill-holes") from None
        raise
    warn_all([line for line in result.warnings if line not in given.warnings])
    old, new = given.mesh.numpy().vertices, result.mesh.numpy().vertices
    found = {name: carry(old, values, new) for name, values in (scalars or {}).items()}
    return result, None if colours is None else carry(old, colours, new), found if scalars else scalars


def _check_pictures(path: PathLike, given: Any, size: int | None, normal_map: bool, point_colours: Any) -> None:
    """Refuse pictures that cannot be, before any work."""
    check_charts(size, normal_map)
    if size is None:
        if point_colours is not None:
            raise SettingsError("point_colours are for a texture; give its size too, as texture=2048")
        return
    meshes.check_texture(path, meshes.suffix_of(path) or ".ply")
    if not isinstance(given, Reconstruction):
        raise SettingsError("--texture needs what reconstruct returned, which knows the field, and not a mesh alone")
    if point_colours is None and not normal_map:
        raise SettingsError("--texture is a picture of colours; give point_colours=(points, colours), or --normal-map")
    if point_colours is not None:
        _coloured(point_colours)


def _pictures(result: Any, size: int, normal_map: bool, point_colours: Any) -> TextureMap:
    """The pictures of a result's mesh."""
    from ..run.texturing import as_map, texture_of  # not before: Numba takes memory and a second

    points, colours = (np.zeros((0, 3)), None) if point_colours is None else _coloured(point_colours)
    return as_map(texture_of(result, points, colours, size, normal_map))


def _coloured(given: Any) -> tuple[np.ndarray, np.ndarray]:
    """Points and colours that count: those whose places are finite."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise SettingsError("point_colours must be two arrays, (points, colours)")
    x, tints = (as_rows(part, name)[0] for part, name in zip(given, ("points", "colours"), strict=True))
    if len(x) != len(tints):
        raise SettingsError(f"{len(x)} points but {len(tints)} colours in point_colours; give one for each point")
    rows = x.isfinite().all(1)
    if not rows.any():
        raise SettingsError("no point of point_colours is finite; check the array")
    return x[rows].double().cpu().numpy(), tints[rows.to(tints.device)].double().cpu().numpy()
