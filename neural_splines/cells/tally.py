"""How cells were solved, in counts that add up: those of a whole run, or of the parts of a scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..quantities import counted
from .models import CellModels
from .partition import Cells
from .problem import LARGEST_EPS

NAMED = 2  # failed cells whose place is told


@dataclass(frozen=True)
class Tally:
    """Counts of cells and of what became of them.

    centers: Nyström centres of all. retried: solved with more regularization than asked for. failed: without a model,
    for this reason; the first of them lie at `places`. jitter: the largest, relative. cut: cells whose offset was cut
    to a part of their side; `allowed`: the longest that none would cut, world units.
    """

    cells: int = 0
    centers: int = 0
    retried: int = 0
    failed: int = 0
    reason: str = ""
    places: tuple[tuple[float, ...], ...] = ()
    jitter: float = 0.0
    cut: int = 0
    allowed: float = float("inf")

    @classmethod
    def of(cls, models: CellModels, cells: Cells, eps: float) -> Tally:
        """Of cells that were fitted with offsets `eps` (world units)."""
        return cls(
            cells=len(cells),
            centers=len(models.centers),
            retried=models.retried,
            failed=len(models.failed),
            reason=models.failed[0][1] if models.failed else "",
            places=tuple(tuple(cells.centers[cell].tolist()) for cell, _ in models.failed[:NAMED]),
            jitter=models.largest_jitter,
            cut=int((eps * cells.scales > LARGEST_EPS).sum()),
            allowed=LARGEST_EPS / float(cells.scales.max()) if len(cells) else float("inf"),
        )

    @classmethod
    def read(cls, state: Mapping[str, Any]) -> Tally:
        """What `state` wrote."""
        found = {name: state[f"tally.{name}"] for name in asdict(cls())}
        numbers = {name: value.tolist() for name, value in found.items() if name != "reason"}
        return cls(**{**found, **numbers, "places": tuple(map(tuple, numbers["places"]))})

    def state(self) -> dict[str, Any]:
        """Tensors and text by name."""
        found = asdict(self)
        return {
            f"tally.{name}": v if isinstance(v, str) else torch.from_numpy(np.asarray(v)) for name, v in found.items()
        }

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            cells=self.cells + other.cells,
            centers=self.centers + other.centers,
            retried=self.retried + other.retried,
            failed=self.failed + other.failed,
            reason=self.reason or other.reason,
            places=(self.places + other.places)[:NAMED],
            jitter=max(self.jitter, other.jitter),
            cut=self.cut + other.cut,
            allowed=min(self.allowed, other.allowed),
        )

    def summary(self) -> str:
        """One line: how many local splines there are, and how many could not be fitted as asked."""
        parts = [counted(self.cells, "local spline (cell)", "local splines (cells)")]
        if self.retried:
            parts.append(f"{counted(self.retried, 'cell')} fitted with more regularization")
        if self.failed:
            parts.append(f"{counted(self.failed, 'cell')} failed")
        return ", ".join(parts)

    def details(self, choice: object) -> str:
        """One line of numerical details; `choice`: the smoothing, or why it was chosen."""
        jitter = f", jitter up to {self.jitter:.0e}" if self.jitter else ""
        return f"{counted(self.centers, 'centre')}, {choice}{jitter}"


def solution_of_each(models: CellModels, cells: Cells) -> dict[str, Tensor]:
    """How each cell was solved: center [c, 3] and longest side [c] (world units), number of centres [c], relative
    jitter [c] (NaN without a model), and how often [c] its regularization was raised.
    """
    return {
        "center": cells.centers,
        "side": (cells.upper - cells.lower).amax(1),
        "centres": models.offsets.diff(),
        "jitter": models.jitters,
        "raised": models.attempts,
    }
