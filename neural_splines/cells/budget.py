"""Memory of the largest cell's system, and of the models of all, against what there is."""

from __future__ import annotations

from ..field.products import Compute
from ..runtime import memory


def check_cells(constraints: int, centers: int, cells: int, compute: Compute) -> None:
    """Refuse cells of which the largest has a system that cannot fit; `centers` is the most of a cell."""
    item = compute.dtype.itemsize
    needed = item * centers * (2 * constraints + 4 * centers) + 8 * cells * centers
    free = memory.available(compute.device)
    if free is not None and needed > free:
        memory.refuse(
            f"a cell with {constraints} constraints and {centers} centres", needed, free, compute.device,
            "use fewer NUM_NYSTROM_SAMPLES, more CELLS_PER_AXIS, or auto for both",
        )  # fmt: skip
