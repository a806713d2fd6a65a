"""The blend of the cells' splines: one field."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from ..errors import SettingsError
from ..files import stored
from ..files.arrays import save_arrays
from ..files.stored import State
from ..geometry import Box
from ..kernels.kernels import Kernel, kernel_from, kernel_state
from ..kernels.products import Compute, Segments
from ..kernels.second import hessian
from ..runtime.arrays import Array, as_rows
from ..runtime.devices import map_in_halves, pieces, to_device
from ..spline.calls import values_at
from ..spline.contract import Field
from ..spline.spline import NeuralSpline
from .models import CellModels
from .partition import Cells
from .posterior import Posterior
from .problem import FitProblem
from .splines import Splines
from .weights import CellWeights, sum_by

NO_POINTS = (
    "uncertainty asks the points that a field was fitted to, which are not in its file; ask the field of fit_cells or "
    "reconstruct"
)
ROUNDED = 1.0 + 1e-6  # of boxes that together are one, at most


@dataclass(frozen=True)
class BlendedField:
    """F(x) = sum_c w_c(x) f_m(c)(x) / sum_c w_c(x) over the cells c within whose reach x lies; m(c): their splines.

    model [c]: the number of that spline; cells without points share that of a larger one. Where there is no cell: the
    background, or NaN. posterior: what the cells were fitted to, of a field that was fitted here.
    """

    cells: Cells
    model: Tensor
    splines: Splines
    kernel: Kernel
    compute: Compute
    box: Box
    background: Field | None = None
    posterior: Posterior | None = field(default=None, repr=False, compare=False)

    kind = "blend"

    @classmethod
    def of(cls, problem: FitProblem, models: CellModels) -> BlendedField:
        """The blend of the cells that could be solved. The others have what neighbours that overlap give."""
        solved = models.solved.nonzero()[:, 0]
        splines = Splines.of(problem.cells, models)
        cells = problem.cells if len(solved) == len(problem.cells) else problem.cells.subset(solved)
        return cls(cells, solved, splines, problem.kernel, problem.compute, problem.cloud.box)

    def __repr__(self) -> str:
        background = ", with a background" if self.background else ""
        return (
            f"BlendedField({len(self.cells)} cells, {len(self.splines.centers)} centres, {self.kernel.name}"
            f"{background}, {self.compute.summary})"
        )

    def on(self, device: torch.device) -> BlendedField:
        """The same field, evaluated on that device."""
        background = self.background and self.background.on(device)
        return to_device(
            self, device, cells=to_device(self.cells, device), splines=to_device(self.splines, device),
            compute=self.compute.on(device), background=background,
        )  # fmt: skip

    def evaluate(self, points: Array) -> Array:
        """Values [n], float64, world units, at points [n, 3], world units: numpy or torch, as the points are."""
        x, back = as_rows(points)
        return back(torch.cat(map_in_halves(lambda chunk: self._blend(chunk, False)[0], self._chunks(x))))

    def gradient(self, points: Array) -> tuple[Array, Array]:
        """Values [n] and gradients [n, 3], float64, at points [n, 3]: numpy or torch, as the points are."""
        x, back = as_rows(points)
        values, slopes = zip(*map_in_halves(lambda chunk: self._blend(chunk, True), self._chunks(x)), strict=True)
        return back(torch.cat(values)), back(torch.cat(slopes))

    def hessian(self, points: Array) -> Array:
        """Second derivatives [n, 3, 3], float64, at points [n, 3], with those of the weights; they jump where a weight
        ends, by as little as cells that overlap differ there. SettingsError where the kernel has none.
        """
        x, back = as_rows(points)
        return back(torch.cat(map_in_halves(self._bend, self._chunks(x))))

    def _bend(self, points: Tensor) -> Tensor:
        """F'' of N / S, N = sum w f and S = sum w: (N'' - F S'' - F' S'^T - S' F'^T) / S."""
        places = CellWeights.by_tensors(self.cells, points, derivatives=2)
        n, point, weight = places.count, places.point, places.weight[:, None, None]
        value, slope = self.models(places, True)
        tilt, curve = places.slope, places.curve
        assert tilt is not None
        assert curve is not None
        mixed = tilt[:, :, None] * slope[:, None]
        bent = weight * self._bends(places) + mixed + mixed.mT + value[:, None, None] * curve
        total, lean = sum_by(point, places.weight, n), sum_by(point, tilt, n)
        field = sum_by(point, places.weight * value, n) / total
        rise = sum_by(point, places.weight[:, None] * slope + value[:, None] * tilt, n)
        rise = (rise - field[:, None] * lean) / total[:, None]
        mixed = rise[:, :, None] * lean[:, None]
        bent = sum_by(point, bent, n) - field[:, None, None] * sum_by(point, curve, n) - mixed - mixed.mT
        bent = bent / total[:, None, None]
        none = (total == 0.0).nonzero()[:, 0]
        if self.background is not None and len(none):
            bent[none] = torch.as_tensor(self.background.hessian(points[none]))
        return bent

    def __call__(self, points: Array) -> Array:
        """Values [n], as `evaluate`; of torch points that require a gradient they have one, the analytic one."""
        return values_at(self, points)

    def uncertainty(self, points: Array) -> Array:
        """The standard deviation [n] of the surface along its normal at points [n, 3], world units: sqrt E / |grad F|,
        with E as `cells/posterior.py` has it; NaN where the field is not defined.

        Raises SettingsError of a field that was read from a file, where the points are not known.
        """
        if self.posterior is None:
            raise SettingsError(NO_POINTS)
        x, back = as_rows(points)
        slope = torch.as_tensor(self.gradient(x.double())[1]).norm(dim=1)
        variance = self.posterior.variance(x.double())
        return back(variance.sqrt().to(slope) / slope)

    def world_centers(self) -> Tensor:
        """The Nyström centres [m, 3] of all cells in world units."""
        return self.splines.world_centers()

    def state(self) -> dict[str, Any]:
        """What `from_state` makes the same field of: arrays, numbers and text by name."""
        background = self.background.state() if isinstance(self.background, NeuralSpline) else {}
        return {
            "kind": self.kind,
            **kernel_state(self.kernel),
            **{f"cells.{f.name}": getattr(self.cells, f.name) for f in fields(self.cells)},
            "model": self.model,
            **{f.name: getattr(self.splines, f.name) for f in fields(self.splines)},
            "box": torch.stack([self.box.lower, self.box.upper]),
            **{f"background.{name}": value for name, value in background.items()},
        }

    @classmethod
    def from_state(cls, state: State, compute: Compute) -> BlendedField:
        """The field of a `state`, evaluated as `compute` says. KeyError and ValueError where it is none."""
        cells = cells_from(state)
        origin = stored.array(state, "origin", -1, 3)
        scale = stored.positive(state, "scale", len(origin))
        centers = stored.array(state, "centers", -1, 3, types=stored.FLOATS)
        coefficients = stored.array(state, "coefficients", len(centers), types=(state["centers"].dtype.name,))
        offsets = stored.offsets(state, "offsets", len(origin), len(centers))
        prefix = "background."
        background = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        splines = Splines(origin, scale, compute.place(centers), compute.place(coefficients), offsets)
        return cls(
            to_device(cells, compute.device),
            stored.indices(state, "model", len(cells), len(origin)).to(compute.device),
            to_device(splines, compute.device),
            kernel_from(state),
            compute,
            Box(*stored.corners(state, "box")),
            NeuralSpline.from_state(background, compute) if background else None,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write the field to one .npz file, which `neural_splines.load` reads."""
        save_arrays(path, **self.state())

    def _chunks(self, points: Tensor) -> tuple[Tensor, ...]:
        return pieces(points.to(self.compute.device).double())

    def _blend(self, points: Tensor, with_gradient: bool) -> tuple[Tensor, Any]:
        """Values [n] and gradients [n, 3], None without."""
        if self.compute.backend.name != "numba" or not len(self.cells):
            found = self.by_tensors(points, with_gradient)
        else:
            from .blending_numba import blend  # not before: Numba takes half a second to import

            found = blend(points, *self._compiled, self.kernel, with_gradient)
        return found if self.background is None else self._with_background(points, *found)

    def _with_background(self, points: Tensor, value: Tensor, slope: Any) -> tuple[Tensor, Any]:
        """With values and gradients of the background where there is no cell."""
        assert self.background
        rows = value.isnan().nonzero()[:, 0]
        if not len(rows):
            return value, slope
        if slope is None:
            value[rows] = torch.as_tensor(self.background.evaluate(points[rows]))
        else:
            value[rows], slope[rows] = map(torch.as_tensor, self.background.gradient(points[rows]))
        return value, slope

    @cached_property
    def _compiled(self) -> tuple[Any, Any]:
        """The cells and their splines, as the compiled loop takes them."""
        from . import blending_numba

        return blending_numba.boxes_of(self.cells), blending_numba.splines_of(self.kernel, self.splines, self.model)

    def by_tensors(self, points: Tensor, with_gradient: bool) -> tuple[Tensor, Any]:
        """The blend, without the background, where no loop is compiled."""
        if with_gradient:
            places = CellWeights.by_tensors(self.cells, points, derivatives=1)
        else:
            places = CellWeights.of(self.cells, points)
        value, slope = self.models(places, with_gradient)
        n, point, weight = places.count, places.point, places.weight
        total, blended = sum_by(point, weight, n), sum_by(point, weight * value, n)
        field = blended / total  # 0 / 0 = NaN where no cell is
        weight_slope = places.slope
        if weight_slope is None:
            return field, None
        blended_slope = sum_by(point, weight[:, None] * slope + value[:, None] * weight_slope, n)
        return field, (blended_slope - field[:, None] * sum_by(point, weight_slope, n)) / total[:, None]

    def models(self, places: CellWeights, with_gradient: bool) -> tuple[Tensor, Any]:
        """World values [k] and slopes [k, 3] of the cells' splines at k pairs of a point and a cell."""
        splines, order, m, segments, x = self._by_model(places)
        product = self.compute.products.gradient if with_gradient else self.compute.products.apply
        found: Any = product(self.kernel, x.to(self.compute.dtype), splines.centers, splines.coefficients, segments)
        value, slope = found if with_gradient else (found, found)
        return _put(order, value.double() / splines.scale[m]), _put(order, slope.double()) if with_gradient else None

    def _by_model(self, places: CellWeights) -> tuple[Splines, Tensor, Tensor, Segments, Tensor]:
        """The splines; an order of the k pairs by spline, the spline of each and its segment; the points there."""
        splines, model = self.splines, self.model[places.cell]
        order = model.argsort(stable=True)
        m = model[order]
        rows = torch.searchsorted(m, torch.arange(len(splines) + 1, device=m.device))
        x = (places.points[places.point[order]] - splines.origin[m]) * splines.scale[m, None]
        return splines, order, m, Segments(rows, splines.offsets), x

    def _bends(self, places: CellWeights) -> Tensor:
        """World second derivatives [k, 3, 3] of the cells' splines at k pairs of a point and a cell."""
        splines, order, m, segments, x = self._by_model(places)
        found = hessian(self.kernel, x, splines.centers, splines.coefficients, segments)
        return _put(order, found * splines.scale[m, None, None])

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
    padding, ramp, reach = (stored.array(state, f"cells.{name}", len(lower)) for name in ("padding", "ramp", "reach"))
    if not len(lower):
        raise ValueError("it has no cells")
    sides, span = upper - lower, upper.amax(0) - lower.amin(0)
    flat = span == 0.0
    share = torch.where(flat, 1.0, sides / span)
    most = ROUNDED * sides.amax(1)
    apart = bool(((share > 0.0).all(1) & span.isfinite().all()).all()) and float(share.prod(1).sum()) <= ROUNDED
    if not apart or flat.all() or not all(bool(((m >= 0.0) & (m <= most)).all()) for m in (padding, ramp, reach)):
        raise ValueError("its cells overlap, or reach too far")
    return Cells(lower, upper, padding, ramp, reach, stored.array(state, "cells.yields", len(lower), types=("bool",)))


def _put(order: Tensor, values: Tensor) -> Tensor:
    """values[k] at place order[k]."""
    out = torch.empty_like(values)
    out[order] = values
    return out
