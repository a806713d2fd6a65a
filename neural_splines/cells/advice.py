"""Lines about fitted cells that are not what a user may take them for: each with a number and a remedy."""

from __future__ import annotations

import torch

from ..field.advice import jitter_lines
from .models import COARSER, CellModels
from .partition import Cells
from .problem import LARGEST_EPS

LARGE_JITTER = {torch.float64: 5e-11, torch.float32: 5e-5}  # relative: more than rounding asks for


def model_lines(models: CellModels, cells: Cells, dtype: torch.dtype) -> list[str]:
    """Cells that were solved with more regularization, with much jitter, or not at all."""
    lines = []
    if models.retried:
        lines.append(
            f"{models.retried} of {len(cells)} cells could not be solved as asked and got up to {COARSER[-1]:.0e} "
            "times the regularization; raise --regularization or use --dtype float64"
        )
    remedy = "raise --regularization, or use fewer NUM_NYSTROM_SAMPLES or --dtype float64"
    return lines + jitter_lines(models.largest_jitter, LARGE_JITTER[dtype], "the system of a cell", remedy)


def failure_lines(models: CellModels, cells: Cells) -> list[str]:
    """One line for each cell without a model."""
    return [
        f"cell {c} at {tuple(round(v, 6) for v in cells.centers[c].tolist())} has no model: {reason}"
        for c, reason in models.failed
    ]


def eps_lines(eps: float, cells: Cells) -> list[str]:
    """One line where an offset `eps` (world units) is cut to LARGEST_EPS times the padded side of some cells."""
    cut = int((eps * cells.scales > LARGEST_EPS).sum())
    if not cut:
        return []
    return [
        f"EPS {eps:g} is too long for {cut} of {len(cells)} cells and was cut to {LARGEST_EPS:g} of their side there; "
        f"use EPS auto or at most {LARGEST_EPS / float(cells.scales.max()):.3g}, or larger cells"
    ]
