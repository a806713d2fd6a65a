"""--texture and --normal-map: the colours of all points, and the normals of the field, on the mesh."""

from __future__ import annotations

from ..errors import CloudError
from ..files.scans import ScannedCloud
from ..normals.orient import Orientation
from ..run.texturing import texture_of
from ..run.whole import Reconstruction
from ..runtime.monitor import PhaseTimer
from ..surface.texture import Texture
from .jobs import Job
from .paint import counted


def check_colours(scanned: ScannedCloud, job: Job) -> None:
    """CloudError where there is nothing to make a texture of."""
    if scanned.colours is None and not job.args.normal_map:
        raise CloudError(
            f"{job.name}: no point has a colour, and --texture is a picture of them; drop it, or add --normal-map"
        )


def texture(scanned: ScannedCloud, origin: Orientation, result: Reconstruction, job: Job, timer: PhaseTimer) -> Texture:
    """The texture of a job: of all points of its file, also where fewer were fitted."""
    timer.phase("texture")
    rows = counted(scanned, origin.cloud, result.kept)
    colours = None if scanned.colours is None else scanned.colours[rows]
    return texture_of(result, scanned.points[rows], colours, job.args.texture, job.args.normal_map)
