"""The splines of many cells, in arrays one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..spline.spline import NeuralSpline
from .models import CellModels
from .partition import Cells


@dataclass(frozen=True)
class Splines:
    """Many splines, one after another: that of number m has the centres and coefficients offsets[m]:offsets[m + 1].

    f_m(x) = scale_m^-1 sum_j k(scale_m (x - origin_m), centers_j) coefficients_j. origin [m, 3], scale [m]: its model
    space; centers [k, 3], coefficients [k], offsets [m + 1].
    """

    origin: Tensor
    scale: Tensor
    centers: Tensor
    coefficients: Tensor
    offsets: Tensor

    def __len__(self) -> int:
        return len(self.scale)

    @classmethod
    def of(cls, cells: Cells, models: CellModels) -> Splines:
        """Those of fitted cells; of one that could not be solved it has no centres."""
        return cls(cells.centers, cells.scales, models.centers, models.coefficients, models.offsets)

    def and_of(self, spline: NeuralSpline) -> Splines:
        """With one more, of the same kernel."""
        place = spline.similarity
        return Splines(
            torch.cat([self.origin, place.center.to(self.origin)[None]]),
            torch.cat([self.scale, torch.as_tensor(place.scale).to(self.scale).reshape(1)]),
            torch.cat([self.centers, spline.centers.to(self.centers)]),
            torch.cat([self.coefficients, spline.coefficients.to(self.coefficients)]),
            torch.cat([self.offsets, self.offsets[-1:] + len(spline.centers)]),
        )

    def subset(self, which: Tensor) -> Splines:
        """Those with these numbers [m], in this order."""
        count = self.offsets.diff()[which]
        ends = count.cumsum(0)
        row = torch.arange(int(ends[-1]) if len(ends) else 0, device=ends.device)
        row += torch.repeat_interleave(self.offsets[which] - (ends - count), count)
        offsets = torch.cat([ends.new_zeros(1), ends])
        return Splines(self.origin[which], self.scale[which], self.centers[row], self.coefficients[row], offsets)

    @classmethod
    def joined(cls, parts: Sequence[Splines]) -> Splines:
        """Those of several fields, one after another."""
        counts = torch.cat([part.offsets.diff() for part in parts])
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        origin, scale, centers, coefficients = (
            torch.cat([getattr(part, name) for part in parts])
            for name in ("origin", "scale", "centers", "coefficients")
        )
        return cls(origin, scale, centers, coefficients, offsets)

    def world_centers(self) -> Tensor:
        """The Nyström centres [k, 3] of all in world units."""
        which = torch.repeat_interleave(self.offsets.diff())
        return self.centers.double() / self.scale[which, None] + self.origin[which]
