"""--texture: the colours of all points, on the surface."""

from __future__ import annotations

from ..errors import CloudError
from ..files.mesh_content import TextureMap
from ..files.scans import ScannedCloud
from ..normals.orient import Orientation
from ..pictures import png
from ..run.whole import Reconstruction
from ..runtime.monitor import PhaseTimer
from ..surface.attributes import carrier
from ..surface.texture import textured
from .jobs import Job
from .paint import counted


def check_colours(scanned: ScannedCloud, job: Job) -> None:
    """CloudError where there is nothing to make a texture of."""
    if scanned.colours is None:
        raise CloudError(f"{job.name}: no point has a colour, and --texture is a picture of them; drop it")


def texture(
    scanned: ScannedCloud, origin: Orientation, result: Reconstruction, job: Job, timer: PhaseTimer
) -> tuple[TextureMap, str]:
    """The texture of a job, and what is told of it: of all points of its file, also where fewer were fitted."""
    timer.phase("texture")
    rows = counted(scanned, origin.cloud, result.kept)
    assert scanned.colours is not None
    colours = carrier(scanned.points[rows], scanned.colours[rows].astype(float))
    found = textured(result.mesh, result.field.gradient, colours, job.args.texture, result.lattice.voxel_size)
    charts = found.charts
    return TextureMap(charts.parents, charts.corners, charts.uv, png.encode(found.image)), found.summary()
