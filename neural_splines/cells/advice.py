"""Lines about fitted cells that are not what a user may take them for: each with a number and a remedy."""

from __future__ import annotations

import torch

from ..field.advice import jitter_lines
from .batches import Smoothing
from .models import COARSER, CellModels, raised
from .partition import Cells
from .problem import LARGEST_EPS

REMEDY = "raise --regularization, or use fewer NUM_NYSTROM_SAMPLES or --dtype float64"
NAMED = 2  # failed cells whose place is told
LARGE_JITTER = {torch.float64: 5e-11, torch.float32: 5e-5}  # relative: more than rounding asks for


def model_lines(models: CellModels, cells: Cells, smoothing: Smoothing, dtype: torch.dtype) -> list[str]:
    """Cells that were solved with more regularization than asked for, or with much jitter."""
    lines = []
    if models.retried:
        lines.append(
            f"{models.retried} of {len(cells)} cells could not be solved as asked and got a regularization of up "
            f"to {raised(smoothing, COARSER[-1]).regularization:.0e}; raise --regularization or use --dtype float64"
        )
    return lines + jitter_lines(models.largest_jitter, LARGE_JITTER[dtype], "the system of a cell", REMEDY)


def failure_lines(models: CellModels, cells: Cells) -> list[str]:
    """One line about all cells without a model, with the places of the first of them."""
    if not models.failed:
        return []
    at = ", ".join(str(tuple(round(v, 6) for v in cells.centers[c].tolist())) for c, _ in models.failed[:NAMED])
    return [
        f"{len(models.failed)} of {len(cells)} cells have no model, {models.failed[0][1]}: the surface may be missing "
        f"there, first at {at}; {REMEDY}"
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
