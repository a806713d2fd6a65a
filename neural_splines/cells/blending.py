"""The blend of the cells' splines: one field."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from ..files import stored
from ..files.arrays import save_arrays
from ..files.stored import State
from ..geometry import Box
from ..kernels.kernels import Kernel, kernel_from, kernel_state
from ..kernels.products import Compute, Segments
from ..runtime.arrays import Array, as_rows
from ..runtime.devices import map_in_halves, pieces, to_device
from ..spline.contract import Field
from ..spline.spline import NeuralSpline
from .models import CellModels
from .partition import Cells
from .problem import FitProblem
from .weights import CellWeights, sum_by

ROUNDED = 1.0 + 1e-6  # of boxes that together are one, at most


@dataclass(frozen=True)
class BlendedField:
    """F(x) = sum_c w_c(x) f_c(x) / sum_c w_c(x) over the cells within whose reach x lies; NaN where there is none.

    f_c = scale_c^-1 sum_j k(x_c, centers_j) coefficients_j with j in offsets[c]:offsets[c + 1] and
    x_c = scale_c (x - center_c): the models of all cells, one after another.
    background: a field that takes part everywhere with the constant weight `background_weight`.
    """

    cells: Cells
    kernel: Kernel
    centers: Tensor
    coefficients: Tensor
    offsets: Tensor
    compute: Compute
    box: Box
    background: Field | None = None
    background_weight: float = 0.0

    kind = "blend"

    @classmethod
    def of(
        cls, problem: FitProblem, models: CellModels, background: Field | None = None, background_weight: float = 0.0
    ) -> BlendedField:
        """The blend of the cells that could be solved. Of the others there is only what neighbours that overlap say."""
        cells, centers, coefficients, offsets = models.solved(problem.cells)
        kernel, compute, box = problem.kernel, problem.compute, problem.cloud.box
        return cls(cells, kernel, centers, coefficients, offsets, compute, box, background, background_weight)

    def __repr__(self) -> str:
        background = ", with a background" if self.background else ""
        return (
            f"BlendedField({len(self.cells)} cells, {len(self.centers)} centres, {self.kernel.name}"
            f"{background}, {self.compute.summary})"
        )

    def on(self, device: torch.device) -> BlendedField:
        """The same field, evaluated on that device."""
        background = self.background and self.background.on(device)
        return to_device(
            self, device, cells=to_device(self.cells, device), compute=self.compute.on(device), background=background
        )

    def evaluate(self, points: Array) -> Array:
        """Values [n], float64, world units, at points [n, 3], world units: numpy or torch, as the points are."""
        x, back = as_rows(points)
        return back(torch.cat(map_in_halves(lambda chunk: self._blend(chunk, False)[0], self._chunks(x))))

    def gradient(self, points: Array) -> tuple[Array, Array]:
        """Values [n] and gradients [n, 3], float64, at points [n, 3]: numpy or torch, as the points are."""
        x, back = as_rows(points)
        values, slopes = zip(*map_in_halves(lambda chunk: self._blend(chunk, True), self._chunks(x)), strict=True)
        return back(torch.cat(values)), back(torch.cat(slopes))

    def world_centers(self) -> Tensor:
        """The Nyström centres [m, 3] of all cells in world units."""
        return world_centers(self.cells, self.centers, self.offsets)

    def state(self) -> dict[str, Any]:
        """What `from_state` makes the same field of: arrays, numbers and text by name."""
        background = self.background.state() if isinstance(self.background, NeuralSpline) else {}
        return {
            "kind": self.kind,
            **kernel_state(self.kernel),
            **{f"cells.{f.name}": getattr(self.cells, f.name) for f in fields(self.cells)},
            "centers": self.centers,
            "coefficients": self.coefficients,
            "offsets": self.offsets,
            "box": torch.stack([self.box.lower, self.box.upper]),
            "background_weight": self.background_weight,
            **{f"background.{name}": value for name, value in background.items()},
        }

    @classmethod
    def from_state(cls, state: State, compute: Compute) -> BlendedField:
        """The field of a `state`, evaluated as `compute` says. KeyError and ValueError where it is none."""
        cells = cells_from(state)
        centers = stored.array(state, "centers", -1, 3, types=stored.FLOATS)
        coefficients = stored.array(state, "coefficients", len(centers), types=(state["centers"].dtype.name,))
        prefix = "background."
        background = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        return cls(
            to_device(cells, compute.device),
            kernel_from(state),
            compute.place(centers),
            compute.place(coefficients),
            stored.offsets(state, "offsets", len(cells), len(centers)).to(compute.device),
            compute,
            Box(*stored.corners(state, "box")),
            NeuralSpline.from_state(background, compute) if background else None,
            stored.number(state, "background_weight"),
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write the field to one .npz file, which `neural_splines.load` reads."""
        save_arrays(path, **self.state())

    def _chunks(self, points: Tensor) -> tuple[Tensor, ...]:
        return pieces(points.to(self.compute.device).double())

    def _blend(self, points: Tensor, with_gradient: bool) -> tuple[Tensor, Any]:
        """Values [n] and gradients [n, 3], None without."""
        if self.compute.backend.name != "numba" or not len(self.cells):
            return self.by_tensors(points, with_gradient)
        from .blending_numba import blend  # not before: Numba takes half a second to import

        far = self._far(points, with_gradient) or (points.new_empty(0), points.new_empty(0, 3))
        weight = self.background_weight if self.background else 0.0
        return blend(points, *self._compiled, self.kernel, far, weight, with_gradient)

    @cached_property
    def _compiled(self) -> tuple[Any, Any]:
        """The cells and their splines, as the compiled loop takes them."""
        from . import blending_numba

        models = self.kernel, self.centers, self.coefficients, self.offsets
        space = self.cells.centers, self.cells.scales
        return blending_numba.boxes_of(self.cells), blending_numba.splines_of(*models, self._model, space)

    @cached_property
    def _model(self) -> Tensor:
        """Which spline [c] is each cell's: its own."""
        return torch.arange(len(self.cells), device=self.offsets.device)

    def _far(self, points: Tensor, with_gradient: bool) -> tuple[Tensor, ...]:
        """Values [n] of the background, and its gradients [n, 3] where they are wanted; nothing where there is none."""
        if self.background is None:
            return ()
        return self.background.gradient(points) if with_gradient else (self.background.evaluate(points),)

    def by_tensors(self, points: Tensor, with_gradient: bool) -> tuple[Tensor, Any]:
        """`_blend` where no loop is compiled."""
        places = CellWeights.of(self.cells, points)
        value, slope = self.models(places, with_gradient)
        n, point, cell, weight = places.count, places.point, places.cell, places.weight
        total, blended = sum_by(point, weight, n), sum_by(point, weight * value, n)
        far = self._far(points, with_gradient)
        if far:
            total = total + self.background_weight
            blended = blended + self.background_weight * far[0]
        field = blended / total  # 0 / 0 = NaN where no cell is
        if not with_gradient:
            return field, None
        weight_slope = self.cells.weight_slopes(points[point], cell)
        blended_slope = sum_by(point, weight[:, None] * slope + value[:, None] * weight_slope, n)
        if far:
            blended_slope = blended_slope + self.background_weight * far[1]
        return field, (blended_slope - field[:, None] * sum_by(point, weight_slope, n)) / total[:, None]

    def models(self, places: CellWeights, with_gradient: bool) -> tuple[Tensor, Any]:
        """World values [k] and slopes [k, 3] of the cells' own splines at k pairs of a point and a cell."""
        c, order = places.cell[places.order], places.order
        scale = self.cells.scales[c]
        x = places.x.to(self.compute.dtype)
        product = self.compute.products.gradient if with_gradient else self.compute.products.apply
        found: Any = product(self.kernel, x, self.centers, self.coefficients, Segments(places.rows, self.offsets))
        value, slope = found if with_gradient else (found, found)
        return _put(order, value.double() / scale), _put(order, slope.double()) if with_gradient else None

    def at(self, places: CellWeights) -> Tensor:
        """Values at points whose places are known, without a background."""
        value, _ = self.models(places, False)
        total = sum_by(places.point, places.weight, places.count)
        return sum_by(places.point, places.weight * value, places.count) / total


def cells_from(state: State) -> Cells:
    """The cells of a `state`: boxes that lie side by side, with margins of at most a side; else ValueError.

    So the buckets that cells are looked up in have as many entries as those of cells that were fitted.
    """
    lower = stored.array(state, "cells.lower", -1, 3)
    upper = stored.array(state, "cells.upper", len(lower), 3)
    margins = [stored.array(state, f"cells.{name}", len(lower)) for name in ("padding", "ramp", "reach")]
    if not len(lower):
        raise ValueError("it has no cells")
    sides, span = upper - lower, upper.amax(0) - lower.amin(0)
    flat = span == 0.0
    share = torch.where(flat, 1.0, sides / span)
    most = ROUNDED * sides.amax(1)
    apart = bool(((share > 0.0).all(1) & span.isfinite().all()).all()) and float(share.prod(1).sum()) <= ROUNDED
    if not apart or flat.all() or not all(bool(((m >= 0.0) & (m <= most)).all()) for m in margins):
        raise ValueError("its cells overlap, or reach too far")
    return Cells(lower, upper, *margins)


def _put(order: Tensor, values: Tensor) -> Tensor:
    """values[k] at place order[k]."""
    out = torch.empty_like(values)
    out[order] = values
    return out


def world_centers(cells: Cells, centers: Tensor, offsets: Tensor) -> Tensor:
    """The Nyström centres [m, 3] of cells in world units: those of cell c, offsets[c:c + 2], are in its model space."""
    cell = torch.repeat_interleave(offsets.diff())
    return centers.double() / cells.scales[cell, None] + cells.centers[cell]
