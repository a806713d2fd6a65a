"""The public functions: numpy in gives numpy out, torch in gives torch out, on its device.

Points, normals, lengths and values are in world units, the units of the cloud. Results are float64, faces int64.
Errors are NeuralSplinesError with one line that says what is wrong and what to do; what a user should know of a result
is a ReconstructionWarning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch

from .cells.blending import BlendedField
from .cloud.clouds import clean, clean_points
from .creases.field import SharpField
from .errors import CloudError, NeuralSplinesError, PrintError, SettingsError, first_line, said, warn
from .files import meshes, point_clouds
from .files.arrays import load_arrays
from .files.atomic import PathLike, shown
from .files.scans import ALL, ScannedCloud
from .kernels.products import resolve
from .normals.kept import kept_of
from .normals.orient import Orientation, device_of, estimated, orient
from .normals.repair import repaired
from .placement import Placement, Printing
from .ranges import UPS, check_choice, check_classes
from .run.extract import mesh_of
from .run.printing import printable as made_printable
from .run.upright import looks_upright
from .run.whole import Reconstruction, fit_cloud, mesh_cloud
from .runtime.arrays import as_rows
from .runtime.interchange import taken_apart
from .runtime.monitor import Monitor, PhaseTimer
from .settings import AUTO, CellSettings, NormalSettings, Settings
from .spline.contract import Field
from .spline.spline import NeuralSpline
from .surface import attributes
from .surface.lattice import Lattice
from .surface.mesh import Mesh
from .words import in_python

NEAR = 0.7  # of names that may be meant, by difflib
FIELDS = {cls.kind: cls for cls in (NeuralSpline, BlendedField, SharpField)}


def reconstruct(
    points: Any,
    normals: Any = None,
    settings: Settings | None = None,
    *,
    monitor: Monitor | None = None,
    **options: Any,
) -> Reconstruction:
    """A triangle mesh of the surface {f = 0} that an oriented point cloud samples.

    Parameters
    ----------
    points, normals : arrays [n, 3] of numpy or torch, or nested lists; world units. Points that are not finite, have
        no normal or repeat another one are dropped, with a warning; normals need not have unit length. Without normals
        they are estimated, as by `estimate_normals`. As `points` alone also a cloud of Open3D, trimesh or PyVista, a
        table with columns x y z and nx ny nz (pandas, structured arrays), or what has `__dlpack__`: its normals are
        used where it has some.
    settings : `Settings()`, the default, is `fit-grid.py CLOUD auto auto 256 auto --seed 0`; with `cells=None` it is
        `fit.py`.
    options : settings by name, of `Settings` and of its cells, as `grid_size=128` or `fill_holes=True`; they replace
        those of `settings`.
    monitor : is told of phases and progress.

    Returns
    -------
    Reconstruction : `mesh`, arrays of the kind that `points` is: vertices [v, 3], unit normals [v, 3] pointing
        outwards, faces [f, 3]; `field`, the function that it is the zero set of; `grid`, its values [nx, ny, nz] where
        `settings.dense`; `warnings`, which are also issued; `seconds` of each phase; `estimated`, the normals where the
        cloud had none, and how sure they are. `report()`, `show()`.

    Raises
    ------
    CloudError : no two points can be used, or there are not as many normals as points.
    SettingsError : an array of another shape, or settings that cannot work together.
    EmptySurfaceError : no face is left.
    OutOfMemoryBudgetError, BackendError, NotPositiveDefiniteError : the machine, the backend or the numbers say no.

    Source: F. Williams, M. Trager, J. Bruna, D. Zorin, Neural Splines, CVPR 2021.
    """
    chosen = _settings(settings, options)
    points, normals = (points, normals) if normals is not None else taken_apart(points)
    found = _cloud(points, normals, chosen.device)
    result = mesh_cloud(found.cloud, chosen, monitor)
    _warn(result.warnings)
    rows, back = as_rows(points)
    mesh = Mesh(*(back(part) for part in (result.mesh.vertices, result.mesh.normals, result.mesh.faces)))
    grid = None if result.grid is None else back(result.grid)
    estimated = kept_of(rows, found)
    if estimated:
        estimated = replace(estimated, normals=back(estimated.normals), doubted=back(estimated.doubted))
    warnings = [in_python(line) for line in (*found.notes, *result.warnings)]
    return replace(
        result, mesh=mesh, grid=grid, warnings=warnings, settings=chosen, cleaning=found.cleaning, estimated=estimated
    )


def estimate_normals(
    points: Any,
    *,
    sensor_positions: Any = None,
    viewpoints: Any = None,
    inside: bool = False,
    flip: bool = False,
    device: str = AUTO,
    monitor: Monitor | None = None,
) -> Any:
    """Unit normals [n, 3] of points [n, 3] alone, that point outwards, or to what is known to have seen the surface.

    Directions are least-squares planes of neighbours on one side of the surface; signs those that agree best with the
    gradient of the winding number that they make, of several that respect continuity.

    Parameters
    ----------
    points : array [n, 3] of numpy or torch, or nested lists; at least 4 distinct ones. A point that is not finite gets
        the normal NaN; points at one place get the same.
    sensor_positions : [s, 3], places that the surface was seen from; or viewpoints : [n, 3], of each point.
    inside : the cloud is a room seen from within.
    flip : turn all normals round at the end.
    device : auto, cpu, cuda or cuda:1.
    monitor : is told of phases.

    Returns
    -------
    array of the kind that `points` is. A ReconstructionWarning says where signs are uncertain, and what would help.

    Raises
    ------
    CloudError : fewer than 4 distinct points. SettingsError : an array of another shape; sensors and inside at once.

    Source: S. Lin, Z. Shi, Y. Liu, Fast and Globally Consistent Normal Orientation based on the Winding Number Normal
    Consistency, ACM TOG 2024, for the field; docs/normals.md for the rest.
    """
    x, back = as_rows(points)
    sensors = () if sensor_positions is None else as_rows(sensor_positions, "sensor_positions")[0].tolist()
    views = None if viewpoints is None else as_rows(viewpoints, "viewpoints")[0].double().cpu().numpy()
    if views is not None and len(views) != len(x):
        raise CloudError(f"{len(x)} points but {len(views)} viewpoints; give one viewpoint for each point")
    settings = NormalSettings(
        source="estimate",
        sensor_positions=tuple(map(tuple, sensors)),
        inside=inside,
        flip=flip,
        device=device,
    )
    normals, notes = estimated(x.double().cpu().numpy(), views, settings, "the cloud", monitor)
    _warn(notes)
    return back(torch.from_numpy(normals))


def fit(
    points: Any,
    normals: Any = None,
    settings: Settings | None = None,
    *,
    monitor: Monitor | None = None,
    **options: Any,
) -> NeuralSpline:
    """One neural spline f(x) = sum_j k(x, c_j) a_j of an oriented cloud, without a mesh; negative inside.

    f minimizes |f(x_i) - y_i|^2 / n + lambda |f|^2 over x_i -> 0 and x_i +- eps n_i -> +-eps. Parameters and errors are
    those of `reconstruct`, the default `Settings(cells=None)`. Returns a Field: `evaluate`, `gradient`, `save`.

    Source: A. Rudi, L. Carratino, L. Rosasco, FALKON: An Optimal Large Scale Kernel Method, NIPS 2017.
    """
    chosen = _settings(settings, options, cells=None)
    if chosen.cell_settings:
        raise SettingsError("fit makes one spline; use Settings(cells=None), or fit_cells")
    return _fit(points, normals, chosen, monitor)


def fit_cells(
    points: Any,
    normals: Any = None,
    settings: Settings | None = None,
    *,
    monitor: Monitor | None = None,
    **options: Any,
) -> BlendedField | SharpField:
    """The blend F(x) = sum_c w_c(x) f_c(x) / sum_c w_c(x) of local splines of an oriented cloud, without a mesh.

    F is NaN where no cell is, unless `CellSettings(fill_holes=True)`. Parameters and errors are those of `reconstruct`.
    Returns a Field: `evaluate`, `gradient`, `save`.
    """
    chosen = _settings(settings, options)
    if not chosen.cell_settings:
        raise SettingsError("fit_cells makes many splines; use Settings(cells=CellSettings()), or fit")
    return _fit(points, normals, chosen, monitor)


def extract_mesh(
    field: Field, settings: Settings | None = None, *, monitor: Monitor | None = None, **options: Any
) -> Mesh:
    """The zero set of a fitted field as a mesh of numpy arrays, untrimmed.

    settings : of these `grid_size`, `scale` (of the box around the fitted cloud), `dense` and `refine_vertices` matter.

    Raises EmptySurfaceError where the zero set crosses no lattice edge.
    """
    chosen = _settings(settings, options)
    if isinstance(chosen.grid_size, str):
        raise SettingsError("GRID_SIZE auto looks at the points, and a field has none; give a number")
    lattice = Lattice.around(field.box, chosen.scale, chosen.grid_size)
    return mesh_of(field, lattice, chosen, PhaseTimer(monitor, field.compute.synchronize)).numpy()


def load(path: PathLike, *, device: str = AUTO, backend: str = AUTO) -> Field:
    """The field that `Field.save` wrote to an .npz file; it gives the same values on the same backend.

    Raises CloudError, which names the path, where the file is no saved field; nothing in it is executed.
    """
    state = load_arrays(path)
    try:
        kind = FIELDS[str(state["kind"])]
        dtype = {"float64": torch.float64, "float32": torch.float32}[str(state["centers"].dtype)]
        return kind.from_state(state, resolve(device, backend, dtype))
    except NeuralSplinesError:
        raise
    except Exception as error:
        raise CloudError(
            f"{shown(path)}: is not a field that this program saved ({first_line(error)}); save it again"
        ) from error


def load_point_cloud(path: PathLike, *, columns: str = "", classes: Iterable[int] = ()) -> tuple[Any, Any]:
    """Points [n, 3] and unit normals [n, 3], numpy float64, of a file, cleaned; None for no normals.

    columns: what those of a table without names are, as "x y z i r g b"; by their values where it is empty.
    classes: only the points of these, as (2, 6); none for all.

    Raises CloudError, which names the path, for whatever is no such cloud (docs/input.md has all cases).
    """
    scanned = point_clouds.load_scanned_cloud(path, (), columns, check_classes("classes", classes))
    if scanned.normals is not None:
        normals, lines = repaired(scanned.points, scanned.normals)
        _warn(lines)
        scanned = replace(scanned, normals=normals)
    if scanned.normals is None:
        kept, _, cleaning = clean_points(torch.from_numpy(scanned.points), shown(path))
        _warn(cleaning.notes())
        return kept.points.numpy(), None
    cloud, cleaning = point_clouds.oriented(scanned, shown(path))
    _warn(cleaning.notes())
    return cloud.points.numpy(), cloud.normals.numpy()


def load_attributes(path: PathLike) -> tuple[Any, Any, dict[str, Any]]:
    """The points [n, 3] of a file that are finite, their colours [n, 3] in 0..255 or None, and all other numbers [n] by
    name: what `carry` takes to a mesh.
    """
    scanned = point_clouds.load_scanned_cloud(path, (ALL,))
    rows = np.isfinite(scanned.points).all(1)
    colours = None if scanned.colours is None else scanned.colours[rows]
    return scanned.points[rows], colours, {name: values[rows] for name, values in scanned.scalars.items()}


def carry(points: Any, values: Any, places: Any) -> Any:
    """Values [n] or [n, k] at points [n, 3], carried to places [q, 3] such as vertices, in the kind of array they have.

    Means of the nearest points with smooth weights (1 - (d / R)^2)^2, R the distance of the 9th; floating point.
    """
    x, _ = as_rows(points)
    y, back = as_rows(places, "places")
    v = np.asarray(values.cpu() if isinstance(values, torch.Tensor) else values, np.float64)
    if len(v) != len(x):
        raise SettingsError(f"{len(x)} points but {len(v)} values; give one for each point")
    found = attributes.carry(x.double().cpu().numpy(), v.reshape(len(v), -1), y.double().cpu().numpy())
    return back(torch.from_numpy(found.reshape(len(found), *v.shape[1:])))


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
    printable: bool = False,
    flat_bottom: bool = False,
    cut_plane: Sequence[float] | None = None,
) -> None:
    """Write a mesh, of numpy or torch, as PLY, OBJ, STL, 3MF, OFF or GLB by its extension: all of the file or nothing.

    Per vertex, where the format has them: colours [v, 3] in 0..255, scalars [v] by name. Vertices are float32 where
    that moves none by 0.01 of `voxel_size`, else float64; a Reconstruction knows its own voxel size, so that the file
    is byte for byte the command's. GLB turns the direction that is `up`, x, y, z or one with a minus, to y; auto: z of
    what is flat or far from the origin, as maps are, else y.

    units : mm, cm, m or in, of the file, to which the numbers are converted from cloud_units, metres if not given.
    size : instead, the longest side of the mesh in the file. to_origin : the lower corner of its box moves to 0.
    printable : of a Reconstruction with `fill_holes=True`, what a printer takes: closed, oriented, manifold, no faces
        that meet, in float32 at the origin; flat rims of what was scanned are closed by their planes. Colours and
        scalars, which are those of `mesh`, are carried to its vertices. flat_bottom : and cut across `up` at the lowest
        point. cut_plane : a, b, c, d, and cut so that what has a x + b y + c z >= d is kept.

    Raises OutputError for another extension and for what cannot be written, PrintError for what cannot be printed.
    """
    check_choice("up", up, (AUTO, *UPS))
    printing = Printing(printable=printable, flat_bottom=flat_bottom, cut_plane=cut_plane)
    placement = Placement(
        units=units, cloud_units=cloud_units, size=size, to_origin=to_origin or printing.asked, single=printing.asked
    )
    if printing.asked:
        meshes.check_format(path)
        mesh, colours, scalars = _printed(path, mesh, printing, placement, up, colours, scalars)
    if isinstance(mesh, Reconstruction):
        voxel_size = voxel_size or mesh.lattice.voxel_size
        shape, mesh = mesh.kept.points, mesh.mesh
    else:
        shape = mesh.vertices
    meshes.check_format(path)
    meshes.save_mesh(
        path, mesh.vertices, mesh.normals, mesh.faces, colours=colours, scalars=scalars, voxel_size=voxel_size,
        up=UPS[up] if up in UPS else looks_upright(torch.as_tensor(shape)),
        placement=placement,
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
    _warn([line for line in result.warnings if line not in given.warnings])
    old, new = given.mesh.numpy().vertices, result.mesh.numpy().vertices
    found = {name: carry(old, values, new) for name, values in (scalars or {}).items()}
    return result, None if colours is None else carry(old, colours, new), found if scalars else scalars


def _settings(given: Settings | None, options: Mapping[str, Any], **usual: Any) -> Settings:
    """The settings that are given, else the usual ones, with others by name, of which some are those of cells."""
    if given is not None and not isinstance(given, Settings):
        raise SettingsError(f"settings must be a Settings, such as Settings(grid_size=128), got {type(given).__name__}")
    known, of_cells = ([f.name for f in fields(kind)] for kind in (Settings, CellSettings))
    for name in options:
        if name not in (*known, *of_cells):
            near = get_close_matches(name.lower().replace("-", "_"), [*known, *of_cells], 1, NEAR)
            hint = f"did you mean {near[0]}?" if near else "help(neural_splines.Settings) lists them"
            raise SettingsError(f"there is no setting {name!r}; {hint}")
    own = {name: value for name, value in options.items() if name in known}
    if cells := {name: value for name, value in options.items() if name in of_cells}:
        before = own.get("cells", given.cells if given else usual.get("cells", CellSettings()))
        if before is None:
            raise SettingsError(f"{next(iter(cells))} is of cells, and cells=None is one spline; drop one of them")
        own["cells"] = replace(before, **cells)
    return Settings(**usual | own) if given is None else replace(given, **own)


def _cloud(points: Any, normals: Any, device: str) -> Orientation:
    """The cleaned cloud of two arrays, and what is known of its normals; what was said about it is issued."""
    x, _ = as_rows(points)
    if normals is None:
        found = orient(ScannedCloud(x.double().cpu().numpy(), None), NormalSettings(device=device), "the cloud")
    else:
        n, _ = as_rows(normals, "normals")
        if len(x) != len(n):
            raise CloudError(f"{len(x)} points but {len(n)} normals; give one normal for each point")
        cloud, cleaning = clean(x, n, "the cloud", device_of(device))
        found = Orientation(cloud, cleaning, None, NormalSettings(device=device), cleaning.notes())
    _warn(found.notes)
    return found


def _fit(points: Any, normals: Any, settings: Settings, monitor: Monitor | None) -> Any:
    points, normals = (points, normals) if normals is not None else taken_apart(points)
    fitted = fit_cloud(_cloud(points, normals, settings.device).cloud, settings, monitor)
    _warn(fitted.warnings)
    return fitted.field


def _warn(lines: list[str]) -> None:
    for line in lines:
        warn(line)
