"""From a cloud to a field and a mesh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch

from ..cells.blending import BlendedField
from ..cloud.clouds import clean
from ..creases.field import SharpField
from ..errors import CloudError, NeuralSplinesError, SettingsError, first_line
from ..files.arrays import load_arrays
from ..files.atomic import PathLike, shown
from ..files.scans import ScannedCloud
from ..kernels.products import resolve
from ..normals.kept import kept_of
from ..normals.orient import Orientation, device_of, orient, unused_sides
from ..run.empty import EmptySpace, Envelope, Rays
from ..run.extract import mesh_of
from ..run.whole import Reconstruction, fit_cloud, mesh_cloud
from ..runtime.arrays import as_rows
from ..runtime.interchange import taken_apart
from ..runtime.monitor import Monitor, PhaseTimer
from ..settings import AUTO, CellSettings, NormalSettings, Settings
from ..spline.contract import Field
from ..spline.spline import NeuralSpline
from ..surface.lattice import Lattice
from ..surface.mesh import Mesh
from ..words import in_python
from .clouds import warn_all

NEAR = 0.7  # of names that may be meant, by difflib
FIELDS = {cls.kind: cls for cls in (NeuralSpline, BlendedField, SharpField)}


def reconstruct(
    points: Any,
    normals: Any = None,
    settings: Settings | None = None,
    *,
    sensor_positions: Any = None,
    free_space: Any = None,
    envelope: Mesh | PathLike | None = None,
    monitor: Monitor | None = None,
    **options: Any,
) -> Reconstruction:
    r"""A triangle mesh of the surface $\{f = 0\}$ that an oriented point cloud samples.

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
    sensor_positions : [s, 3], places that the surface was seen from, as `load_cameras` reads them: estimated normals
        look to their side.
    free_space : [3] or [n, 3], the place that all points, or each, were seen from: no surface where these looked
        through. Places that are not finite say nothing. True: those of `sensor_positions`, each of the points that look
        at it and that nothing hides. Of cells.
    envelope : a closed mesh or its file: no surface outside of it. Of cells.
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
    through = isinstance(free_space, bool)
    sides = _sides(sensor_positions, through and free_space, chosen.device)
    found = _cloud(points, normals, sides)
    if through:
        rays = Rays.from_places(np.array(sides.sensor_positions), found.cloud) if free_space else None
    else:
        rays = None if free_space is None else Rays.of(free_space, points)
    around = None if envelope is None else Envelope.of(envelope)
    empty = EmptySpace(rays, around) if rays or around else None
    result = mesh_cloud(found.cloud, chosen, monitor, empty)
    result = replace(result, warnings=[line for line in result.warnings if line not in found.notes])  # once
    warn_all(result.warnings)
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


def fit(
    points: Any,
    normals: Any = None,
    settings: Settings | None = None,
    *,
    monitor: Monitor | None = None,
    **options: Any,
) -> NeuralSpline:
    r"""One neural spline of an oriented cloud, $f(x) = \sum_j k(x, c_j) a_j$, without a mesh; negative inside.

    f minimizes $\sum_i |f(x_i) - y_i|^2 / n + \lambda |f|^2$, where y is 0 at a point $x_i$ and $\pm\epsilon$ at
    $x_i \pm \epsilon n_i$. Parameters and errors are those of `reconstruct`, the default `Settings(cells=None)`.
    Returns a Field: `evaluate`, `gradient`, `save`.

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
    r"""The blend of local splines of an oriented cloud, $F(x) = \sum_c w_c(x) f_c(x) / \sum_c w_c(x)$, without a mesh.

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
            raise SettingsError(f"{next(iter(cells))} needs cells, but cells=None fits one spline; drop one of them")
        own["cells"] = replace(before, **cells)
    return Settings(**usual | own) if given is None else replace(given, **own)


def _sides(sensor_positions: Any, free_space: bool, device: str) -> NormalSettings:
    """What is known of the sides of a cloud."""
    if sensor_positions is None:
        if free_space:
            raise SettingsError("free_space=True needs sensor_positions; give these, or the places themselves")
        return NormalSettings(device=device)
    places = as_rows(sensor_positions, "sensor_positions")[0].tolist()
    return NormalSettings(sensor_positions=tuple(map(tuple, places)), free_space=free_space, device=device)


def _cloud(points: Any, normals: Any, sides: NormalSettings) -> Orientation:
    """The cleaned cloud of two arrays, and what is known of its normals; what was said about it is issued."""
    x, _ = as_rows(points)
    if normals is None:
        found = orient(ScannedCloud(x.double().cpu().numpy(), None), sides, "the cloud")
    else:
        n, _ = as_rows(normals, "normals")
        if len(x) != len(n):
            raise CloudError(f"{len(x)} points but {len(n)} normals; give one normal for each point")
        cloud, cleaning = clean(x, n, "the cloud", device_of(sides.device))
        found = Orientation(cloud, cleaning, None, sides, [*cleaning.notes(), *unused_sides(sides)])
    warn_all(found.notes)
    return found


def _fit(points: Any, normals: Any, settings: Settings, monitor: Monitor | None) -> Any:
    points, normals = (points, normals) if normals is not None else taken_apart(points)
    fitted = fit_cloud(_cloud(points, normals, NormalSettings(device=settings.device)).cloud, settings, monitor)
    warn_all(fitted.warnings)
    return fitted.field
