"""Sharp edges of a run: the field of its cells with the sides of the surface near creases."""

from __future__ import annotations

from ..cells.blending import BlendedField
from ..runtime.monitor import Monitor
from ..spline.contract import Field
from . import cells
from .plan import Plan
from .points import fitted


def sharpen(plan: Plan, monitor: Monitor) -> None:
    """Hold the field of a run in one piece with sharp edges, where its points say that there are some."""
    compute = plan.compute()
    field = cells.field_of(plan, [0], plan.lattice.box, compute)
    if isinstance(field, BlendedField):
        monitor.phase("creases")
        plan.store.hold("field", _sharpened(plan, field))


def _sharpened(plan: Plan, field: BlendedField) -> Field:
    """The field with sides near creases that predict points better than one spline does; else the field itself."""
    from ..creases.field import SharpField  # not before: a run without sharp edges needs none of this
    from ..creases.sides import Creases, Sides
    from ..selection.creases import kept

    assert plan.smoothing
    blend = cells.blend_of(plan, fitted(plan, 0), field.compute, 0)
    found = Creases.of(*(part.cpu().numpy() for part in (blend.cloud.points, blend.cloud.normals)))
    if found is None:
        return field
    fits = found.fitted()
    creased = kept(blend, plan.points_per_cell, plan.smoothing, found, fits)
    return SharpField(field, Sides.of(found, fits, creased), field.box) if creased.any() else field
