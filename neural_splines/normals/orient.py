"""The oriented cloud of points that a file or a caller gave, whatever is known of their normals."""

from __future__ import annotations

import importlib.util
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from ..cloud.clouds import NO_NORMALS, CleaningReport, OrientedCloud, clean, clean_points
from ..errors import BackendError, CloudError, SettingsError, said
from ..files.atomic import shown
from ..files.scans import ScannedCloud, rows_of
from ..quantities import plain
from ..ranges import UP, UPS
from ..runtime.monitor import Monitor
from ..settings import AUTO, NormalSettings
from .checks import contradictions
from .repair import repaired

if TYPE_CHECKING:
    from .confidence import Confidence
    from .estimate import Estimate
    from .evidence import Guidance, Known


@dataclass(frozen=True)
class Orientation:
    """A cleaned cloud and where its normals come from: `estimated` is None for those that it came with.

    notes: lines that a user should read.
    """

    cloud: OrientedCloud
    cleaning: CleaningReport
    estimated: Estimate | None
    settings: NormalSettings
    notes: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """One line."""
        return summary_of(self.estimated, self.settings)

    def options(self) -> str:
        """The options of the command line that ask for these normals again; nothing for those of the file."""
        return options_of(self.estimated, self.settings)


class Judged(Protocol):
    """What is known of normals that were estimated, of a whole cloud or of one in parts."""

    @property
    def known(self) -> Known: ...

    @property
    def confidence(self) -> Confidence: ...

    @property
    def noise(self) -> float: ...


def summary_of(found: Judged | None, settings: NormalSettings) -> str:
    """One line about normals that were estimated, or came with their points (None)."""
    turned = ", turned round" if settings.flip else ""
    if found is None:
        return f"as given{turned}"
    seen = f", seen from {found.known.source}" if found.known.source else ""
    if settings.cameras and found.known.of_sensors:
        seen = f", seen from {cameras_of(settings)}"
    return f"estimated{seen}, confidence {found.confidence.value:.2f}, noise {plain(found.noise, 2)} spacings{turned}"


def options_of(found: Judged | None, settings: NormalSettings) -> str:
    """The options of the command line that ask for them again."""
    words = []
    if found is not None:
        words += ["--normals", "estimate"]
    if (found is not None or settings.free_space) and settings.cameras:
        words += ["--cameras", settings.cameras]
    elif found is not None or settings.free_space:
        for place in settings.sensor_positions:  # without exponents: -1e-05 reads as an option
            words += ["--sensor-position", *(np.format_float_positional(value, trim="0") for value in place)]
    words += ["--free-space"] * settings.free_space
    if found is not None:
        words += ["--inside"] * settings.inside + ["--aerial"] * settings.aerial
    words += ["--up", settings.up] if settings.up != NormalSettings.up else []
    return shlex.join([*words, *["--flip-normals"] * settings.flip])


def cameras_of(settings: NormalSettings) -> str:
    """The cameras of a file, in words."""
    count = len(settings.sensor_positions)
    return f"{count} camera{'s' if count > 1 else ''} of {shown(settings.cameras)}"


def orient(scanned: ScannedCloud, settings: NormalSettings, name: str, monitor: Monitor | None = None) -> Orientation:
    """Clean the points of a file and take their normals, or estimate them, as the settings say.

    `name` opens the message of a CloudError: no usable cloud, or no normals where those of the file are asked for.
    """
    if settings.source == "file" and scanned.normals is None:
        raise CloudError(f"{name}: {NO_NORMALS}")
    normals = scanned.normals
    lines: list[str] = []
    if normals is not None and settings.source == AUTO:
        normals, lines = repaired(scanned.points, normals)
    if normals is not None and settings.source != "estimate":
        given = _given(scanned.points, normals, settings, name)
        return replace(given, notes=[*lines, *given.notes])
    kept, rows, cleaning = clean_points(torch.from_numpy(scanned.points), name, device_of(settings.device))
    found, notes = _estimate(scanned, rows.cpu().numpy(), settings, name, monitor)
    cloud = OrientedCloud.of(kept, torch.from_numpy(found.normals).to(kept.points), found.known.one_sided)
    return Orientation(cloud, cleaning, found, settings, [*lines, *cleaning.notes(), *notes])


def estimated(
    points: np.ndarray,
    viewpoints: np.ndarray | None,
    settings: NormalSettings,
    name: str,
    monitor: Monitor | None = None,
) -> tuple[np.ndarray, list[str]]:
    """A normal for every row of points [n, 3]: NaN where they are not finite; and what a user should read."""
    kept, rows, _ = clean_points(torch.from_numpy(points), name)
    found, notes = _estimate(ScannedCloud(points, None, stations=viewpoints), rows.numpy(), settings, name, monitor)
    normals = np.full(points.shape, np.nan)
    finite = np.isfinite(points).all(1)
    if int(finite.sum()) == len(rows):
        normals[rows.numpy()] = found.normals
        return normals, notes
    own = kept.near.query(torch.from_numpy(points[finite]))[1]  # the point at this place, or nearly
    normals[finite] = found.normals[own.numpy()]
    return normals, notes


def device_of(asked: str) -> torch.device:
    """The first of the devices that are meant; auto: a GPU, where there is one that Triton can use."""
    if asked == AUTO:
        usable = torch.cuda.is_available() and importlib.util.find_spec("triton") is not None
        return torch.device("cuda" if usable else "cpu")
    try:
        device = torch.device(asked.split(",")[0])
    except RuntimeError:
        raise SettingsError(f"--device {asked} is not a device; use auto, cpu, cuda or cuda:0") from None
    if device.type != "cpu" and (device.index or 0) >= torch.cuda.device_count():
        raise BackendError(f"--device {asked}: PyTorch finds no such device here; use --device cpu, or auto")
    return device


def guidance_of(scanned: ScannedCloud, settings: NormalSettings) -> Guidance:
    """What is known of the sides of points."""
    from .evidence import Guidance  # not before: what it needs takes a second to import

    places = settings.sensor_positions if scanned.stations is None else ()
    return Guidance(
        sensors=np.array(places, np.float64) if places else None,
        viewpoints=scanned.stations,
        inside=settings.inside,
        aerial=settings.aerial,
        up=np.array(UPS.get(settings.up, UP)),
        flip=settings.flip,
        claims=scanned.viewpoints,
        laser=scanned.laser,
        faces=scanned.faces,
    )


def _estimate(
    scanned: ScannedCloud, rows: np.ndarray, settings: NormalSettings, name: str, monitor: Monitor | None
) -> tuple[Estimate, list[str]]:  # fmt: skip
    """Of the points of these rows, and what a user should read of it."""
    from .advice import sign_warnings
    from .estimate import estimate

    kept = rows_of(scanned, rows)
    guidance = guidance_of(kept, settings)
    try:
        found = estimate(kept.points, guidance, device_of(settings.device), monitor)
    except CloudError as error:
        raise CloudError(f"{name}: {said(error)}") from None
    return found, [*found.known.doubts, *sign_warnings(found.confidence, guidance)]


def _given(points: np.ndarray, normals: np.ndarray, settings: NormalSettings, name: str) -> Orientation:
    cloud, cleaning = clean(torch.from_numpy(points), torch.from_numpy(normals), name, device_of(settings.device))
    if settings.flip:
        cloud = OrientedCloud.of(cloud.sampling, -cloud.normals)
    lines = [*cleaning.notes(), *unused_sides(settings), *contradictions(cloud, normals)]
    return Orientation(cloud, cleaning, None, settings, lines)


def unused_sides(settings: NormalSettings) -> list[str]:
    """What is said where the sides of points that have normals are asked for."""
    if not settings.unused:
        return []
    return [f"{settings.unused[0]} was not used: the cloud has normals; add --normals estimate to replace them"]
