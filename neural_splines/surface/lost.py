"""Points far from the mesh: how many, why, and what would show them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..cloud.clouds import OrientedCloud
from ..cloud.neighbours import SPACING_RANK, Neighbours
from ..settings import AUTO, MAX_GRID, Settings
from .lattice import Lattice

SAMPLES = 10_000  # faces, and points, that are looked at: a share of 1 % comes out within .1 %
# Farther than both is far. Noise of 1 % of a diagonal leaves no point so far away, and no point of a surface that the
# lattice shows is two of its voxels' diagonals from a vertex.
FAR_SPACINGS, FAR_DIAGONALS = 4.0, 2.0
NOTABLE = 0.01  # of the points
OPPOSITE = -0.5  # cosine between the normals of two sides of one thing
DEPTHS = range(-24, 8)  # in thirds of octaves of a voxel: where the other side of a thing is looked for
ACROSS = 2.0  # voxels that show a thing: with 1.5 a pipe of 60,000 points was whole
THIN = 0.1  # quantile of what is too thin; thicknesses vary


@dataclass(frozen=True)
class Samples:
    """A sample of points [k, 3] of `of`, their normals, and the distances [k] within which each should have a mesh."""

    points: Tensor
    normals: Tensor
    far: Tensor
    of: int

    @classmethod
    def at(cls, points: Tensor, normals: Tensor, far: Tensor, lattice: Lattice) -> tuple[Samples, float]:
        """The sample, and the distance that each is given at least: the median, or two voxels' diagonals.

        far [k]: as of `far_from`.
        """
        least = max(float(far.median()), FAR_DIAGONALS * lattice.voxel_diagonal)
        return cls(points, normals, far.clamp_min(least), len(points)), least

    def __len__(self) -> int:
        return len(self.points)

    @property
    def share(self) -> float:
        return len(self) / self.of

    def on(self, device: torch.device) -> Samples:
        return Samples(self.points.to(device), self.normals.to(device), self.far.to(device), self.of)

    def part(self, mask: Tensor) -> Samples:
        return Samples(self.points[mask], self.normals[mask], self.far[mask], self.of)

    def reached(self, vertices: Tensor) -> tuple[Tensor, Tensor]:
        """Which of the points [k] are near one of vertices [v, 3], and the vertices [k] that are nearest to them."""
        if not len(self) or not len(vertices):
            return torch.zeros_like(self.far, dtype=torch.bool), torch.zeros_like(self.far, dtype=torch.int64)
        distance, nearest = Neighbours(vertices).query(self.points, within=float(self.far.max()))
        return distance <= self.far, nearest


@dataclass(frozen=True)
class Losses:
    """Why points [k] are lost. thickness: of what they lie on, infinite where that is more than a few voxels.
    crossed: whether the surface came near them before it was trimmed. component: that of the trimmed surface near them
    which was dropped; -1 where there is none.
    """

    thickness: Tensor
    crossed: Tensor
    component: Tensor


def far_from(points: Tensor, near: Neighbours) -> Tensor:
    """The distances [k] from points [k, 3] that are far, by the spacing of the points that were fitted."""
    return FAR_SPACINGS * near.query(points, SPACING_RANK + 1)[0]


def lost_line(
    lost: Samples, least: float, losses: Losses, voxel_size: float, grid_size: int, settings: Settings
) -> str:
    """How many points are lost, and the shares of them that have the same reason, the largest first.

    least: the distance within which most of the points that were looked at should have had a mesh.
    """
    reasons = sorted(_reasons(lost, losses, voxel_size, grid_size, settings), key=lambda reason: -reason[0])
    shares = [f"{share:.1%}" for share, _ in reasons] if len(reasons) > 1 else ["they"]
    why = ". ".join(f"{which} {words}" for which, (_, words) in zip(shares, reasons, strict=True))
    return f"{lost.share:.0%} of the points are more than {least:.3g} from the mesh: {why}"


def _reasons(
    lost: Samples, losses: Losses, voxel_size: float, grid_size: int, settings: Settings
) -> Iterator[tuple[float, str]]:
    """Shares of all points, and why they are lost: what is thin first, around which there may be a wrong surface."""
    thin = losses.thickness <= ACROSS * voxel_size
    if share := lost.part(thin).share:
        least = float(losses.thickness[thin].quantile(THIN))
        size = math.ceil(grid_size * ACROSS * voxel_size / least)
        remedy = f"use GRID_SIZE {size}" if size <= MAX_GRID else "reconstruct these parts by themselves"
        middle = float(losses.thickness[thin].median())
        yield share, f"lie on parts about {middle:.3g} thick, too thin for voxels of {voxel_size:.3g}; {remedy}"
    cut = ~thin & losses.crossed
    dropped = cut & (losses.component >= 0)
    if share := lost.part(dropped).share:
        count = len(losses.component[dropped].unique())
        what = f"{count} small parts that were" if count > 1 else "a small part that was"
        yield share, f"lie on {what} dropped; keep such parts with --min-component 0"
    if share := lost.part(cut & ~dropped).share:
        remedy = "keep it with --trim none" if settings.trim == AUTO else "use a larger --trim"
        yield share, f"lie where the surface was trimmed away; {remedy}"
    if share := lost.part(~thin & ~losses.crossed).share:
        yield share, "lie where no surface was found; check their normals, and whether they are stray points"


def thickness(lost: Samples, cloud: OrientedCloud, voxel_size: float) -> Tensor:
    """How far behind each point [k] the cloud's other side is, at whose normal they look; infinite where there is none
    within a few voxels.
    """
    found = torch.full_like(lost.far, math.inf)
    if not len(lost):
        return found
    everything = cloud.sampling.near
    for step in DEPTHS:
        left = found.isinf().nonzero()[:, 0]
        x, n = lost.points[left], lost.normals[left]
        other = everything.query(x - voxel_size * 2.0 ** (step / 3) * n)[1]
        depth = ((x - everything.points[other]) * n).sum(1)
        opposite = (cloud.normals[other] * n).sum(1) < OPPOSITE
        found[left] = torch.where(opposite & (depth > 0.0), depth, math.inf)
    return found
