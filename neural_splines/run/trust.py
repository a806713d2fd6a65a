"""Numbers that say how far a mesh is to be trusted, of every vertex; and its curvature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingsError
from ..kernels.second import curvatures
from ..settings import QUALITIES
from ..surface.attributes import MEASURES, QUALITY, carry, quality_of
from ..surface.support import classes, support

if TYPE_CHECKING:
    from .whole import Reconstruction

CLASS = "support_class"
PER_POINT = 1  # vertices at which uncertainty is asked for; between them it varies no faster than the points do
ONE_SPLINE = "uncertainty needs cells, but this run fits one spline; use fit-grid.py with CELLS_PER_AXIS auto"
SHARP = "uncertainty and curvature need a smooth surface, but this one has sharp edges; drop them"


def qualities(result: Reconstruction, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Numbers [v] of the vertices by the names of files, float32: the first is called `quality` beside its own name, as
    MeshLab and CloudCompare show it; of distance and density that is the only one.
    """
    vertices, names = torch.as_tensor(result.mesh.vertices).to(result.compute.device), tuple(names)
    return named(names, [_numbers(result, name, vertices) for name in names])


def named(names: Sequence[str], numbers: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Numbers [v] of these qualities by the names of files."""
    found: dict[str, np.ndarray] = {}
    for place, (name, values) in enumerate(zip(names, numbers, strict=True)):
        if place == 0:
            found[QUALITY] = values
        if place or name not in MEASURES:
            found[name.replace("-", "_")] = values
        if name == "support":
            found[CLASS] = classes(values)
    return found


def interpolated(function: Any, vertices: Tensor, most: int) -> Tensor:
    """Values [v] of a function of places at vertices [v, 3]: asked for at about so many of them, if there are twice as
    many, which lie evenly as vertices come in the order of the lattice.
    """
    stride = len(vertices) // max(1, most)
    if stride < 2:
        found: Tensor = function(vertices)
        return found
    some = vertices[::stride]
    values = function(some).cpu().numpy()[:, None]
    return torch.from_numpy(carry(some.cpu().numpy(), values, vertices.cpu().numpy())[:, 0])


def _numbers(result: Reconstruction, name: str, vertices: Tensor) -> np.ndarray:
    if name not in QUALITIES:
        raise SettingsError(f"there is no quality {name}; use one of {', '.join(QUALITIES)}")
    if name in MEASURES:
        return quality_of(result.kept.points.cpu().numpy(), vertices.cpu().numpy(), name)[0]
    field: Any = result.field
    if name == "support":
        posterior = getattr(field, "posterior", None)
        share = torch.ones(len(vertices)).to(vertices) if posterior is None else posterior.own_share(vertices)
        values = support(result.kept.sampling.metric, share, vertices.to(result.kept.points))
    elif name == "uncertainty":
        if not hasattr(field, "uncertainty"):
            raise SettingsError(SHARP if hasattr(field, "smooth") else ONE_SPLINE)
        values = interpolated(field.uncertainty, vertices, PER_POINT * len(result.cloud))
    else:
        if not hasattr(field, "hessian"):
            raise SettingsError(SHARP)
        mean, gauss = curvatures(field.gradient(vertices)[1], field.hessian(vertices))
        values = mean if name == "mean-curvature" else gauss
    return np.asarray(values.cpu().numpy(), np.float32)
