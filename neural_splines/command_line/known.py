"""--free-space and --envelope: what a command knows to be empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import CloudError, SettingsError
from ..files.atomic import shown
from ..files.reading import errors_name
from ..files.scans import ScannedCloud, chosen_scalars
from ..normals.orient import Orientation, cameras_of
from ..run.empty import EmptySpace, Envelope, Rays
from ..settings import NormalSettings
from .jobs import Job

SENSOR_ID = "sensor_id"
UNKNOWN = (
    "--free-space asks where points were seen from; give --sensor-position, --cameras, or a file that says it: E57, "
    "PTX or PCD with poses, a COLMAP model with its images, an OpenMVS scene, columns vp_x vp_y vp_z"
)


def by_ids(scanned: ScannedCloud, sides: NormalSettings, wanted: Sequence[str], path: str) -> ScannedCloud:
    """A cloud that was read with all its numbers, left with the wanted ones: where a column sensor_id says which of the
    positions saw a point, that is its station.
    """
    names = {key.lower(): key for key in scanned.scalars}
    ids = scanned.scalars.get(names.get(SENSOR_ID, ""))
    with errors_name(path):
        kept = {key: scanned.scalars[key] for key in chosen_scalars(scanned.scalars, wanted)} if wanted else {}
    scanned = replace(scanned, scalars=kept)
    if ids is None:
        return scanned
    places = np.array(sides.sensor_positions)
    number = np.nan_to_num(ids, nan=-1.0)
    if (number != np.floor(number)).any() or number.min() < 0 or number.max() >= len(places):
        raise CloudError(
            f"{shown(path)}: {SENSOR_ID} must be a whole number from 0 to {len(places) - 1}, of "
            f"{cameras_of(sides) if sides.cameras else f'{len(places)} times --sensor-position'}; it has "
            f"{number.min():g} to {number.max():g}"
        )
    return replace(scanned, stations=places[number.astype(np.int64)])


def empty_space(scanned: ScannedCloud, origin: Orientation, sides: NormalSettings, job: Job) -> EmptySpace | None:
    """What the arguments of a job and its file say is empty; None where nothing is asked for."""
    envelope = Envelope.of(job.args.envelope) if getattr(job.args, "envelope", None) else None
    rays = _rays(scanned, origin, sides) if sides.free_space else None
    return EmptySpace(rays, envelope) if rays or envelope else None


def _rays(scanned: ScannedCloud, origin: Orientation, sides: NormalSettings) -> Rays:
    places = sides.sensor_positions
    if scanned.stations is not None:
        return Rays.of(scanned.stations, scanned.points)
    if len(places) == 1:
        return Rays.of(places[0], scanned.points)
    if places:
        return Rays.from_places(np.array(places), origin.cloud)
    if scanned.viewpoints is not None and np.isfinite(scanned.viewpoints).any():
        return Rays.of(scanned.viewpoints, scanned.points)
    raise SettingsError(UNKNOWN)
