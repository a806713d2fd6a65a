"""Clouds: files of points, normals of those that have none, values carried to other places."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..cloud.clouds import clean_points
from ..errors import CloudError, SettingsError, warn
from ..files import point_clouds
from ..files.atomic import PathLike, shown
from ..files.scans import ALL
from ..normals.orient import estimated
from ..normals.repair import repaired
from ..ranges import check_bounds, check_classes
from ..runtime.arrays import as_rows
from ..runtime.monitor import Monitor
from ..settings import AUTO, NormalSettings
from ..surface import attributes


def load_point_cloud(
    path: PathLike, *, columns: str = "", classes: Iterable[int] = (), bounds: Iterable[float] = ()
) -> tuple[Any, Any]:  # fmt: skip
    """Points [n, 3] and unit normals [n, 3], numpy float64, of a file, cleaned; None for no normals.

    columns: what those of a table without names are, as "x y z i r g b"; by their values where it is empty.
    classes: only the points of these, as (2, 6); none for all.
    bounds: only the points in this box, as (x0, y0, x1, y1) or (x0, y0, z0, x1, y1, z1); of COPC, no other nodes are
    read. A box is a closed one.

    Raises CloudError, which names the path, for whatever is no such cloud (docs/results/messages.md has all cases).
    """
    box = check_bounds("bounds", bounds)
    scanned = point_clouds.load_scanned_cloud(path, (), columns, check_classes("classes", classes), box)
    if scanned.normals is not None:
        normals, lines = repaired(scanned.points, scanned.normals)
        warn_all(lines)
        scanned = replace(scanned, normals=normals)
    if scanned.normals is None:
        kept, _, cleaning = clean_points(torch.from_numpy(scanned.points), shown(path))
        warn_all(cleaning.notes())
        return kept.points.numpy(), None
    cloud, cleaning = point_clouds.oriented(scanned, shown(path))
    warn_all(cleaning.notes())
    return cloud.points.numpy(), cloud.normals.numpy()


def load_attributes(path: PathLike) -> tuple[Any, Any, dict[str, Any]]:
    """The points [n, 3] of a file that are finite, their colours [n, 3] in 0..255 or None, and all other numbers [n] by
    name: what `carry` takes to a mesh.
    """
    scanned = point_clouds.load_scanned_cloud(path, (ALL,))
    rows = np.isfinite(scanned.points).all(1)
    colours = None if scanned.colours is None else scanned.colours[rows]
    return scanned.points[rows], colours, {name: values[rows] for name, values in scanned.scalars.items()}


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
    warn_all(notes)
    return back(torch.from_numpy(normals))


def carry(points: Any, values: Any, places: Any) -> Any:
    r"""Values [n] or [n, k] at points [n, 3], carried to places [q, 3] such as vertices, in the array type they have.

    Means of the nearest points with smooth weights $(1 - (d / R)^2)^2$, R the distance of the 9th; floating point.
    """
    x, _ = as_rows(points)
    y, back = as_rows(places, "places")
    v = np.asarray(values.cpu() if isinstance(values, torch.Tensor) else values, np.float64)
    if len(v) != len(x):
        raise SettingsError(f"{len(x)} points but {len(v)} values; give one for each point")
    found = attributes.carry(x.double().cpu().numpy(), v.reshape(len(v), -1), y.double().cpu().numpy())
    return back(torch.from_numpy(found.reshape(len(found), *v.shape[1:])))


def warn_all(lines: list[str]) -> None:
    """Issue each line as a ReconstructionWarning."""
    for line in lines:
        warn(line)
