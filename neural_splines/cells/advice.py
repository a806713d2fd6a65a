"""Lines about fitted cells that are not what a user may take them for: each with a number and a remedy."""

from __future__ import annotations

import torch

from ..spline.advice import jitter_lines
from .batches import Smoothing
from .models import BACK_OFF, raised
from .problem import LARGEST_EPS
from .tally import Tally

REMEDY = "raise --regularization, or use fewer NUM_NYSTROM_SAMPLES or --dtype float64"
LARGE_JITTER = {torch.float64: 5e-11, torch.float32: 5e-5}  # relative: more than rounding asks for


def cell_lines(tally: Tally, smoothing: Smoothing, eps: float | None, dtype: torch.dtype) -> list[str]:
    """All of them; eps: the offset that was asked for, if any was."""
    cut = [] if eps is None else eps_lines(eps, tally)
    return model_lines(tally, smoothing, dtype) + cut + failure_lines(tally)


def model_lines(tally: Tally, smoothing: Smoothing, dtype: torch.dtype) -> list[str]:
    """Cells that were solved with more regularization than asked for, or with much jitter."""
    lines = []
    if tally.retried:
        lines.append(
            f"{tally.retried} of {tally.cells} cells could not be solved as asked and got a regularization of up "
            f"to {raised(smoothing, BACK_OFF[-1]).regularization:.0e}; raise --regularization or use --dtype float64"
        )
    return lines + jitter_lines(tally.jitter, LARGE_JITTER[dtype], "the system of a cell", REMEDY)


def failure_lines(tally: Tally) -> list[str]:
    """One line about all cells without a model, with the places of the first of them."""
    if not tally.failed:
        return []
    at = ", ".join(str(tuple(round(value, 6) for value in place)) for place in tally.places)
    return [
        f"{tally.failed} of {tally.cells} cells have no model, {tally.reason}: the surface may be missing there, "
        f"first at {at}; {REMEDY}"
    ]


def eps_lines(eps: float, tally: Tally) -> list[str]:
    """One line where an offset `eps` (world units) is cut to LARGEST_EPS times the padded side of some cells."""
    if not tally.cut:
        return []
    return [
        f"EPS {eps:g} is too long for {tally.cut} of {tally.cells} cells and was cut to {LARGEST_EPS:g} of their side "
        f"there; use EPS auto or at most {tally.allowed:.3g}, or larger cells"
    ]
