"""Oriented point clouds: cleaning, downsampling on the voxel lattice, a look for far outliers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from ..errors import CloudError, SettingsError
from ..geometry import Box, kth, median
from ..quantities import counted
from ..runtime.devices import map_on_devices, slices
from .distinct import LARGEST_COORDINATE, distinct_points, lexicographic, merging_distance, separate_points
from .sampling import Sampling

CPU = torch.device("cpu")
Found = TypeVar("Found")
SHORTEST_NORMAL = 1e-5
UNIT_ERROR = 1e-15  # of a length that was made 1: what is clean already keeps its bits
# A cloud this many times farther from the origin than it is long has float64 steps of 2e-5 of its
# length, one hundredth of a voxel at 512 voxels along it.
LARGEST_OFFSET = 1e11
# A mean normal shorter than this comes from sheets that face each other (three faces of a cube's
# corner have 0.58): the mean point lies on neither sheet and the mean direction is noise.
SHORTEST_MEAN_NORMAL = 0.25
OUTLIER_SHARE, OUTLIER_RATIO = 1e-3, 4.0
NO_NORMALS = (
    "the points have no normals, and the method needs oriented points; use --normals auto, which estimates them"
)


@dataclass(frozen=True)
class OrientedCloud:
    """Points [n, 3] and unit normals [n, 3], float64, world units.

    one_sided: all of it was seen from above, or from one place, so that no surface looks against its points.
    """

    points: Tensor
    normals: Tensor
    one_sided: bool = False

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        return f"OrientedCloud({len(self)} points)"

    @cached_property
    def box(self) -> Box:
        return Box.around(self.points)

    @cached_property
    def sampling(self) -> Sampling:
        return Sampling(self.points)

    @classmethod
    def of(cls, sampling: Sampling, normals: Tensor, one_sided: bool = False) -> OrientedCloud:
        """Of points whose sampling is known."""
        cloud = cls(sampling.points, normals, one_sided)
        vars(cloud)["sampling"] = sampling
        return cloud

    def part(self, rows: Tensor) -> OrientedCloud:
        """The points with these distinct rows [m], in that order."""
        return OrientedCloud.of(self.sampling.part(rows), self.normals[rows], self.one_sided)


@dataclass(frozen=True)
class CleaningReport:
    """How many points were read, dropped for which reason, and kept."""

    read: int
    non_finite: int
    zero_normals: int
    duplicates: int
    kept: int
    copies: int = 0  # nearly at the place of another

    def summary(self) -> str:
        """One line: counts, and reasons where something was dropped."""
        reasons = [(self.non_finite, "not finite"), (self.zero_normals, "without a normal")]
        reasons += [
            (self.duplicates, "duplicate" if self.duplicates == 1 else "duplicates"),
            (self.copies, "near duplicate" if self.copies == 1 else "near duplicates"),
        ]
        dropped = [f"{count:,} {what}" for count, what in reasons if count]
        if not dropped:
            return f"{counted(self.read, 'point')} read, all kept"
        return f"{counted(self.read, 'point')} read, {self.kept:,} kept; dropped: {', '.join(dropped)}"

    def notes(self) -> list[str]:
        """What a user should read of it: nothing where all points were kept."""
        return [f"{self.summary()}; check how the cloud was made"] if self.kept < self.read else []


def clean(
    points: Tensor, normals: Tensor, name: str, device: torch.device = CPU
) -> tuple[OrientedCloud, CleaningReport]:
    """A cloud on a device that can be fitted: finite, distinct points with unit normals, in the order of the input.

    points, normals [n, 3] of any real dtype. Dropped and counted, in this order: points with a
    coordinate or normal that is not finite, with a normal shorter than 1e-5, at the very position
    of an earlier point, nearly at that of another (`distinct.separate_points`). `name` opens the
    message of the CloudError raised when no cloud remains. What does not fit into the memory of a GPU is done
    on the CPU.
    """
    read = len(points)
    if read == 0:
        raise CloudError(f"{name}: contains no points; check how it was exported")
    return _where_it_fits(lambda at: _clean(points.to(at).double(), normals.to(at).double(), name), device)


def _where_it_fits(work: Callable[[torch.device], Found], device: torch.device) -> Found:
    """What is done on a device; on the CPU, where that has too little memory."""
    try:
        return work(device)
    except torch.cuda.OutOfMemoryError:
        if device == CPU:
            raise
    # Here the exception, which kept the tensors of its frames, is gone.
    torch.cuda.empty_cache()
    return work(CPU)


def _clean(points: Tensor, normals: Tensor, name: str) -> tuple[OrientedCloud, CleaningReport]:
    read = len(points)
    points, units, finite, oriented = usable(points, normals)
    check_range(points, name)
    kept, distinct, copies = _single(points, units)
    cloud = OrientedCloud.of(kept, _rows(distinct, units)[0])
    report = CleaningReport(
        read=read,
        non_finite=int((~finite).sum()),
        zero_normals=int((finite & ~oriented).sum()),
        duplicates=int((~distinct).sum()) - copies,
        kept=len(cloud),
        copies=copies,
    )
    _check(cloud, report, name)
    return cloud, report


def usable(points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of float64 points and normals [n, 3] those that are finite and have a normal, which is made unit.

    Also masks [n] of those that are finite, and of those whose normal is long enough.
    """
    units = torch.empty_like(normals)
    finite, oriented = torch.empty(2, len(points), dtype=torch.bool, device=points.device)

    def look(_: torch.device, chunk: slice) -> None:  # what is made of a chunk stays in the cache
        units[chunk], finite[chunk], oriented[chunk] = _unit_normals(points[chunk], normals[chunk])

    map_on_devices([points.device], look, slices(len(points), points.device))
    return *_rows(finite & oriented, points, units), finite, oriented


def clean_points(points: Tensor, name: str, device: torch.device = CPU) -> tuple[Sampling, Tensor, CleaningReport]:
    """As `clean`, for points [n, 3] that have no normals: those that are left, and the rows where they were."""
    if len(points) == 0:
        raise CloudError(f"{name}: contains no points; check how it was exported")
    return _where_it_fits(lambda at: _clean_points(points.to(at).double(), name), device)


def _clean_points(points: Tensor, name: str) -> tuple[Sampling, Tensor, CleaningReport]:
    finite = points.isfinite().all(1)
    rows = finite.nonzero()[:, 0]
    check_range(points[rows], name)
    kept, distinct, copies = _single(points[rows])
    rows = rows[distinct]
    duplicates = int((~distinct).sum()) - copies
    report = CleaningReport(len(points), int((~finite).sum()), 0, duplicates, len(rows), copies)
    _check(OrientedCloud(kept.points, kept.points), report, name)
    return kept, rows, report


def _single(points: Tensor, normals: Tensor | None = None) -> tuple[Sampling, Tensor, int]:
    """One point of each place, the mask [n] of these, and how many are not at the place of another, but nearly."""
    mask = distinct_points(points)
    kept = Sampling(*_rows(mask, points))
    separate = separate_points(kept, merging_distance(kept), None if normals is None else normals[mask])
    if not bool(separate.all()):
        kept = kept.part(separate.nonzero()[:, 0])
        mask[mask.nonzero()[:, 0][~separate]] = False
    return kept, mask, int((~separate).sum())


def _rows(mask: Tensor, *arrays: Tensor) -> list[Tensor]:
    """array[mask] of each, without a copy in the usual case."""
    return list(arrays) if mask.all() else [array[mask] for array in arrays]


def _unit_normals(points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Unit normals [n, 3]; masks [n] of the rows that are finite, and of those whose normal is long enough."""
    largest = normals.abs().amax(1, keepdim=True)
    finite = points.abs().amax(1).isfinite() & largest[:, 0].isfinite()
    scaled = normals / largest.clamp_min(torch.finfo(torch.float64).tiny)  # else their squares may overflow
    length = scaled.norm(dim=1, keepdim=True)
    unit = (normals.norm(dim=1, keepdim=True) - 1.0).abs() <= UNIT_ERROR
    return torch.where(unit, normals, scaled / length), finite, (largest * length >= SHORTEST_NORMAL)[:, 0]


def _check(cloud: OrientedCloud, report: CleaningReport, name: str) -> None:
    """Raise a CloudError where cleaning left nothing, or points that float64 cannot tell apart."""
    if report.kept == 0:
        remedy = "use --normals estimate" if report.zero_normals else "check how it was exported"
        raise CloudError(f"{name}: none of its points is usable ({report.summary()}); {remedy}")
    if report.kept == 1:
        what = "its points all coincide" if report.duplicates else "only one usable point"
        raise CloudError(f"{name}: {what} ({report.summary()}); a surface needs at least 2 distinct points")
    box = cloud.box
    farthest, side = float(torch.maximum(-box.lower, box.upper).max()), float(box.sides.max())
    if farthest > LARGEST_OFFSET * side:
        raise CloudError(
            f"{name}: the cloud is {side:.3g} long but {farthest:.3g} from the origin, too far for float64 to tell "
            "its points apart; subtract an offset from the coordinates"
        )


def check_range(points: Tensor, name: str) -> None:
    """Raise a CloudError where float64 cannot square coordinates [n, 3] or their extent; before distances are taken."""
    if not len(points):
        return
    box = Box.around(points)
    farthest, side = float(torch.maximum(-box.lower, box.upper).max()), float(box.sides.max())
    if farthest > LARGEST_COORDINATE or 0.0 < side < 1.0 / LARGEST_COORDINATE:
        raise CloudError(
            f"{name}: coordinates up to {farthest:.3g} in a box of side {side:.3g} leave the range of float64 "
            "arithmetic (1e-150 to 1e150); rescale the cloud or remove the outlier"
        )


def voxel_downsample(cloud: OrientedCloud, origin: Tensor, voxel_size: float) -> OrientedCloud:
    """Mean points and mean normals, made unit, of the cloud within each voxel, sorted by voxel index.

    Voxel (i, j, k) spans origin + (index, index + 1) * voxel_size. Where normals nearly cancel,
    because sheets that face each other share a voxel, one point of it stays as it is: the first in
    the order of x, y, z, which does not depend on the order of the input.
    """
    origin = origin.to(cloud.points)
    position = (cloud.points - origin) / voxel_size
    if not (voxel_size > 0.0 and float(position.abs().max()) < 2.0**53):
        raise SettingsError(f"a voxel size of {voxel_size:g} is not between 0 and the size of the cloud")
    index = position.floor().long()
    keys = _voxel_keys(index - index.amin(0))
    order = keys.sort(stable=True).indices
    _, voxel, counts = keys[order].unique_consecutive(return_inverse=True, return_counts=True)

    # One sum per run of sorted rows: the same bits every time, on a GPU too, unlike index_add.
    rows = torch.cat([position - index, cloud.normals], 1)[order]
    means = torch.segment_reduce(rows, "sum", lengths=counts) / counts[:, None]
    corner = index[order[counts.cumsum(0) - counts]]
    points, normals = origin + (corner + means[:, :3]) * voxel_size, means[:, 3:]

    length = normals.norm(dim=1, keepdim=True)
    normals = normals / length.clamp_min(SHORTEST_MEAN_NORMAL)
    cancelling = length[:, 0] < SHORTEST_MEAN_NORMAL
    if cancelling.any():
        rows = lexicographic(cloud.points, order[cancelling[voxel]])
        ordered, by_voxel = keys[rows].sort(stable=True)
        counts = ordered.unique_consecutive(return_counts=True)[1]
        chosen = rows[by_voxel[counts.cumsum(0) - counts]]
        points[cancelling], normals[cancelling] = cloud.points[chosen], cloud.normals[chosen]
    return OrientedCloud(points, normals)


def _voxel_keys(index: Tensor) -> Tensor:
    """One integer [n] per voxel index [n, 3] >= 0, in the same order; ranks where the product would overflow."""
    key = index[:, 0]
    for column in (index[:, 1], index[:, 2]):
        if (int(key.max()) + 1) * (int(column.max()) + 1) >= 2**62:
            key, column = (values.unique(return_inverse=True)[1] for values in (key, column))
        key = key * (int(column.max()) + 1) + column
    return key


def outlier_warning(cloud: OrientedCloud) -> str | None:
    """One line where a few points (0.1 %, at least 5, at most a tenth) make the box over 4 times longer."""
    few = min(max(5, int(OUTLIER_SHARE * len(cloud))), len(cloud) // 10)
    if few == 0:
        return None
    distance = (cloud.points - median(cloud.points)).abs().amax(1)
    core = Box.around(cloud.points[distance <= kth(distance, len(cloud) - few)])
    longer = float(cloud.box.sides.max() / core.sides.max())
    if longer <= OUTLIER_RATIO:
        return None
    near, points = core.scaled(2.0), cloud.points.cpu()
    far = int(((points < near.lower) | (points > near.upper)).any(1).sum())
    return (
        f"{far:,} of {len(cloud):,} points {'lies' if far == 1 else 'lie'} far from the others, which makes the "
        f"bounding box {longer:.3g} times longer and leaves few voxels for the object; remove such "
        "points, or raise GRID_SIZE"
    )
