"""The area that each point stands for."""

from __future__ import annotations

import math
from typing import Any

AREA_RANK = 8  # the disc that reaches to this neighbour holds the area of so many points
LARGEST_AREA = 9.0  # times the median: beyond, a point stands for itself, not for the hole around it


def disc_areas(distance: Any) -> Any:
    """Areas [n] of points whose neighbour of AREA_RANK is so far away; of numpy or torch."""
    return math.pi / AREA_RANK * distance**2
