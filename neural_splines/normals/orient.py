"""The oriented cloud of points that a file or a caller gave, whatever is known of their normals."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from ..clouds import NO_NORMALS, CleaningReport, OrientedCloud, clean, clean_points
from ..errors import CloudError
from ..runtime.monitor import Monitor
from ..settings import NormalSettings
from .advice import doubts
from .checks import contradictions
from .estimate import Estimate, Guidance, estimate


@dataclass(frozen=True)
class Orientation:
    """A cleaned cloud and where its normals come from: `estimated` is None for those that it came with.

    notes: lines that a user should read.
    """

    cloud: OrientedCloud
    cleaning: CleaningReport
    estimated: Estimate | None
    flipped: bool
    notes: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """One line."""
        turned = ", turned round" if self.flipped else ""
        if self.estimated is None:
            return f"as given{turned}"
        e = self.estimated
        return f"estimated, confidence {e.confidence.value:.2f}, noise {e.noise:.2g} spacings{turned}"


def orient(
    points: np.ndarray,
    normals: np.ndarray | None,
    viewpoints: np.ndarray | None,
    settings: NormalSettings,
    name: str,
    monitor: Monitor | None = None,
) -> Orientation:
    """Clean points [n, 3] and take their normals, or estimate them, as the settings say.

    `name` opens the message of a CloudError: no usable cloud, or no normals where those of the file are asked for.
    """
    if settings.source == "file" and normals is None:
        raise CloudError(f"{name}: {NO_NORMALS}")
    if normals is not None and settings.source != "estimate":
        return _given(points, normals, settings, name)
    kept, rows, cleaning = clean_points(torch.from_numpy(points), name)
    guidance = Guidance(
        sensors=np.array(settings.sensor_positions) if settings.sensor_positions else None,
        viewpoints=None if viewpoints is None or settings.sensor_positions else viewpoints[rows.numpy()],
        inside=settings.inside,
        flip=settings.flip,
    )
    try:
        found = estimate(kept.numpy(), guidance, monitor)
    except CloudError as error:
        raise CloudError(f"{name}: {error}") from None
    cloud = OrientedCloud(kept, torch.from_numpy(found.normals))
    return Orientation(cloud, cleaning, found, settings.flip, [*cleaning.notes(), *doubts(found, guidance)])


def _given(points: np.ndarray, normals: np.ndarray, settings: NormalSettings, name: str) -> Orientation:
    if settings.inside or settings.sensor_positions:
        option = "--inside" if settings.inside else "--sensor-position"
        note = [f"{option} was not used: the cloud has normals; add --normals estimate to replace them"]
    else:
        note = []
    cloud, cleaning = clean(torch.from_numpy(points), torch.from_numpy(normals), name)
    if settings.flip:
        cloud = OrientedCloud(cloud.points, -cloud.normals)
    lines = [*cleaning.notes(), *note, *contradictions(cloud, normals)]
    return Orientation(cloud, cleaning, None, settings.flip, lines)
