"""The explicit command of a run: what was chosen by the data, by the machine or by chance is written out in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ..kernels.products import Compute
from ..settings import AUTO, CellSettings, Settings

POSITIONAL = ("eps", "num_nystrom_samples", "grid_size", "cells")
CHOSEN = ("regularization", "offset_weight", "robust_passes", "gradient_length")  # by the data, together
FLAGS = {
    "dense": (True, "--dense"),
    "refine_vertices": (False, "--no-refine-vertices"),
    "sharp_edges": (True, "--sharp-edges"),
}


def command(
    prog: str, sources: Sequence[str], settings: Settings, compute: Compute, grid_size: int, choice: str
) -> list[str]:
    """The words of a shell line that makes the same mesh, on a machine like this one with as many threads; choice: the
    options that ask for what the data chose, or nothing."""
    cells = settings.cells
    words = [*prog.split(), *sources, settings.eps, settings.num_nystrom_samples, grid_size]
    words += [cells.cells_per_axis] if cells else []
    skipped = {*POSITIONAL, *(CHOSEN if choice else ())}
    found = {f.name: getattr(settings, f.name) for f in fields(Settings) if f.name not in skipped}
    found |= {"device": ",".join(map(str, compute.devices)), "backend": compute.backend.name}
    if cells:
        of_cells = {f.name: getattr(cells, f.name) for f in fields(CellSettings) if f.name != "cells_per_axis"}
        if choice:
            del of_cells["points_per_cell"], of_cells["depth"]
        found = of_cells | found
    options = [word for name, value in found.items() for word in _option(name, value)]
    return [*map(_word, words), *options, *choice.split()]


def _option(name: str, value: Any) -> list[str]:
    """The words that ask for one setting; none for a flag that is not set and for what nothing was said of."""
    if value is None:
        return []
    if name in FLAGS:
        when, word = FLAGS[name]
        return [word] if value is when else []
    option = "--margin" if name == "scale" else "--" + name.replace("_", "-")
    if name == "fill_holes":
        return [] if value is False else [option] if value is True else [option, _word(value)]
    if value == AUTO and name in (*CHOSEN, "points_per_cell"):
        return []
    return [option, _word(value)]


def _word(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
