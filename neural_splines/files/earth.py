"""Places in a projected coordinate system as places on the earth, by pyproj, an extra."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from ..errors import CloudError, SettingsError, first_line
from .georeference import NEEDS, CoordinateSystem
from .mesh_content import chunks

RADIUS, FLATTENING = 6378137.0, 1.0 / 298.257223563  # of the ellipsoid of WGS 84, in metres
SQUARE = FLATTENING * (2.0 - FLATTENING)  # of its eccentricity
DEGREE, NODES = 3, 6  # of the polynomial back to a system, and places along each axis that it is fitted at
EXACT = 1e-3  # units of the system, that it may be off
OnEarth = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def geocentric(longitude: np.ndarray, latitude: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Places [n, 3] about the earth's centre in metres (EPSG:4978), of angles [n] in radians and heights [n] above the
    ellipsoid: ((N + h) cos b cos l, (N + h) cos b sin l, (N (1 - e^2) + h) sin b) with N = a / sqrt(1 - e^2 sin^2 b).
    """
    sine, cosine = np.sin(latitude), np.cos(latitude)
    across = RADIUS / np.sqrt(1.0 - SQUARE * sine**2)
    out = (across + height) * cosine
    return np.stack([out * np.cos(longitude), out * np.sin(longitude), (across * (1.0 - SQUARE) + height) * sine], -1)


def east_north_up(points: np.ndarray, crs: CoordinateSystem, geoid_height: float) -> tuple[np.ndarray, np.ndarray]:
    """Points [n, 3] of a coordinate system about the centre of their box, east, north and up there in metres; and the
    matrix [4, 4] that brings these to their places about the earth's centre.

    Every point is converted by itself, so the earth's curvature is in it. z has the unit of x and y; `geoid_height`,
    metres, is added to make it a height above the ellipsoid. CloudError where the system has no such places.
    """
    on_earth = _on_earth(crs, geoid_height)
    middle = 0.5 * (points.min(0) + points.max(0))[None]
    ((longitude, latitude),), (origin,) = on_earth(middle)
    sl, cl, sb, cb = np.sin(longitude), np.cos(longitude), np.sin(latitude), np.cos(latitude)
    axes = np.array([[-sl, cl, 0.0], [-sb * cl, -sb * sl, cb], [cb * cl, cb * sl, sb]])  # east, north, up
    local = np.empty(points.shape)
    for rows in chunks(0, len(points)):
        local[rows] = (on_earth(points[rows])[1] - origin) @ axes.T
    if not np.isfinite(local).all():
        x, y = middle[0, :2].tolist()
        raise CloudError(
            f"its coordinates, about x {x:.6g}, y {y:.6g}, are outside of what {crs.summary()} has; name the system "
            "that they are in with --crs"
        )
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes.T, origin
    return local, matrix


def projected_again(
    lower: np.ndarray, upper: np.ndarray, crs: CoordinateSystem, geoid_height: float, matrix: np.ndarray
) -> dict[str, Any] | None:
    """The polynomial of degree 3 that brings places of `east_north_up` back to the coordinate system, in its box lower,
    upper [3] there: x = sum_t c_t u^i v^j w^k with (u, v, w) = (place - centre) / scale, so that a page can say it
    without a library. terms: rows of i, j, k and c of x, y, z. None where it is off by more than a thousandth of the
    unit somewhere, as over hundreds of kilometres.
    """
    on_earth, size = _on_earth(crs, geoid_height), np.maximum(upper - lower, EXACT)

    def places(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = lower + size * np.array(list(product(shares, repeat=3)))
        return points, (on_earth(points)[1] - matrix[:3, 3]) @ matrix[:3, :3]

    points, local = places(0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, NODES)))
    centre, scale = 0.5 * (local.min(0) + local.max(0)), 0.5 * float(np.ptp(local, axis=0).max())
    powers = np.array([p for p in product(range(DEGREE + 1), repeat=3) if sum(p) <= DEGREE])

    def values(local: np.ndarray) -> np.ndarray:
        return np.asarray(np.prod((((local - centre) / scale)[:, None] ** powers), axis=2))

    middle = points.mean(0)
    factors = np.linalg.lstsq(values(local), points - middle, rcond=None)[0]
    others, there = places(np.linspace(0.0, 1.0, NODES + 1))
    if not np.abs(values(there) @ factors + middle - others).max() <= EXACT:
        return None
    factors[0] += middle
    terms = np.hstack([powers, factors]).tolist()
    return {"centre": centre.tolist(), "scale": scale, "terms": terms}


def _on_earth(crs: CoordinateSystem, geoid_height: float) -> OnEarth:
    """What brings places [n, 3] of a coordinate system to longitude and latitude [n, 2] in radians, and to their places
    [n, 3] about the earth's centre.
    """
    try:
        from pyproj import CRS, Transformer
    except ImportError as error:
        raise SettingsError(f"--crs {NEEDS} ({first_line(error)})") from None
    system = CRS.from_wkt(crs.wkt)
    system = system.sub_crs_list[0] if system.is_compound else system
    unit = float(system.axis_info[0].unit_conversion_factor) if system.axis_info else 1.0
    degrees = Transformer.from_crs(system, "EPSG:4326", always_xy=True)

    def on_earth(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        angles = np.radians(np.stack(degrees.transform(some[:, 0], some[:, 1]), -1))
        return angles, geocentric(angles[:, 0], angles[:, 1], unit * some[:, 2] + geoid_height)

    return on_earth
