"""How far a place is from a cloud, in spacings of the points around it."""

from __future__ import annotations

import torch
from torch import Tensor

from .neighbours import SPACING_RANK, Neighbours

ALONE = 2.0  # times the largest spacing of its neighbours: a point that is farther from them than that stands alone
COARSER = 2.0  # times the spacing of the nearest point: so much sparser points may reach farther than that does


class Metric:
    """The spacing [n] at each point of a cloud [n, 3], at most twice that of its neighbours."""

    def __init__(self, points: Tensor):
        self.cloud = Neighbours(points)
        distance, index = self.cloud.nearest(points, SPACING_RANK + 1)  # the first is the point itself
        spacing = distance[:, -1].clamp_min(1e-300)
        self.spacing = spacing.minimum(ALONE * spacing[index[:, 1:]].amax(1)) if len(points) > 1 else spacing

    def nearest(self, x: Tensor, enough: float, most: float) -> tuple[Tensor, Tensor, Tensor]:
        """The distance [q] from places [q, 3] to a point, the spacing [q] there, and whether it is not the nearest [q].

        That is the nearest point, or, where this is more than `enough` of its spacings away, one that is much sparser
        and fewer of its own spacings away. Where no point can be within `most` of its spacings it is infinite.
        """
        distance, index = self.cloud.query(x, within=most * float(self.spacing.max()))
        spacing = self.spacing[index]
        far = ((distance > enough * spacing) & distance.isfinite()).nonzero()[:, 0]
        sparser = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        least = float(self.spacing.min())
        octave = (self.spacing / least).log2().long()
        for level in octave.unique().tolist() if len(far) else []:
            asked = far[COARSER * spacing[far] <= least * 2.0**level]
            members = (octave == level).nonzero()[:, 0]
            if not len(asked):
                continue
            alike = Neighbours(self.cloud.points[members])
            other, which = alike.query(x[asked], within=most * least * 2.0 ** (level + 1))
            there = self.spacing[members[which]]
            nearer = other * spacing[asked] < distance[asked] * there
            asked = asked[nearer]
            distance[asked], spacing[asked], sparser[asked] = other[nearer], there[nearer], True
        return distance, spacing, sparser
