"""The direction that is up, in pictures and in files that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..geometry import Box
from ..pictures.camera import upwards
from ..ranges import UP, UPS, Axis

if TYPE_CHECKING:
    from ..normals.evidence import Known


def upright(asked: str, measured: bool, known: Known | None, ahead: np.ndarray) -> Axis | None:
    """The direction that is up, where it is known: what the user says, z of formats of surveyors (`measured`) and of
    what was seen from above, and of a camera's own frame y, which is downwards where it looks along z.

    known: of the sides of the points, whose middle is `ahead` [3].
    """
    if asked in UPS:
        return UPS[asked]
    if measured or (known is not None and known.above):
        return UP
    if known is not None and known.at_origin:
        axis = int(np.abs(ahead).argmax())
        return UPS["-y" if ahead[2] > 0.0 else "y"] if axis == 2 else UP
    return None


def upright_in_files(asked: str, measured: bool, known: Known | None, box: Box) -> Axis:
    """The same of points in a box; where it is not known, what the box looks like: z of maps and of what is flat, else
    y, as in models.
    """
    found = upright(asked, measured, known, box.center.numpy())
    return found or looks_upright(torch.stack([box.lower, box.upper]))


def looks_upright(points: Tensor) -> Axis:
    """What is up by the box of points [n, 3] alone."""
    if not len(points):
        return UPS["y"]
    x, y, z = upwards(torch.stack([points.amin(0), points.amax(0)]).cpu().numpy()).tolist()
    return x, y, z
