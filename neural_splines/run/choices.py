"""What a run is made with, where the settings leave it to the points: the lattice, the offset, how much to smooth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch

from ..cells.batches import Smoothing
from ..cloud.clouds import OrientedCloud, outlier_warning
from ..cloud.degeneracy import check_eps, cluster_line, eps_line, shape_lines
from ..cloud.distinct import merging_distance
from ..errors import CloudError
from ..geometry import Box
from ..runtime.monitor import Monitor
from ..selection.choose import asked_choice, choose
from ..settings import AUTO, Settings
from ..surface.lattice import Lattice
from ..surface.resolution import FINEST, choose_grid_size, spacing_size
from .cells import blend_of
from .plan import SAMPLE_POINTS, Parts, Plan, joined
from .points import cleaned, distinct, fitted, fitted_count, separate

EPS_VOXEL_DIAGONALS = 0.5
KEPT_SHARE = 0.5  # of the points: where downsampling leaves less, it is said


def sample_of_nodes(parts: Parts, count: Callable[[int], int]) -> tuple[list[int], list[int]]:
    """The nodes that are not looked at, and a random sample of those that are, with some SAMPLE_POINTS points."""
    order = torch.randperm(len(parts.nodes), generator=torch.Generator().manual_seed(parts.settings.seed)).tolist()
    sample: list[int] = []
    total = 0
    while order and total < SAMPLE_POINTS:
        sample.append(order.pop())
        total += count(sample[-1])
    return order, sample


def with_spacing(parts: Parts) -> Parts:
    """The same, with what a sample of nodes says about the spacing of the points, and how close copies are."""
    counts = parts.nodes.counts.tolist()
    seen = joined([distinct(parts.source.points_of(node)) for node in sample_of_nodes(parts, counts.__getitem__)[1]])
    close = merging_distance(seen.sampling)
    seen = separate(seen, close)
    if len(seen) < 2:
        raise CloudError("its points all coincide; a surface needs at least 2 distinct points")
    return replace(parts, median_spacing=max(seen.sampling.median_spacing, 1e-300), close=close)


def planned(parts: Parts) -> Plan:
    """The lattice over the points that are kept, the offset, and whether points are averaged within voxels."""
    s, corners, kept = parts.settings, [], 0
    for node in range(len(parts.nodes)):
        found = parts.store.load(f"points-{node}", "counts", "lower", "upper")
        kept += int(found["counts"][3])
        corners += [found[end] for end in ("lower", "upper") if end in found]
    if kept < 2:
        raise CloudError("its points all coincide, or are outliers; a surface needs at least 2 distinct points")
    box = Box.around(torch.stack(corners))
    size = grid_size(parts, box)
    lattice = Lattice.around(box, s.scale, size)
    nodes = replace(parts.nodes, box=lattice.box) if len(parts.nodes) == 1 else parts.nodes
    averaged = kept > s.voxel_downsample_threshold
    return Plan(parts, nodes, box, size, lattice, choose_eps(lattice, s), averaged)


def grid_size(parts: Parts, box: Box) -> int:
    """GRID_SIZE as asked for or as the points deserve; in one block, as far as the memory allows."""
    s = parts.settings
    if isinstance(s.grid_size, int):
        return s.grid_size
    if parts.median_spacing is None:
        return choose_grid_size(cleaned(parts.store, 0).sampling, s.scale, s.dense, parts.compute().device)
    return min(FINEST, spacing_size(parts.median_spacing, s.scale * float(box.sides.max())))


def choose_eps(lattice: Lattice, settings: Settings) -> float:
    """The finite-difference offset in world units."""
    if settings.eps == AUTO:
        return EPS_VOXEL_DIAGONALS * lattice.voxel_diagonal
    check_eps(settings.eps, lattice.box.diagonal)
    return settings.eps


@dataclass(frozen=True)
class Chosen:
    """Why the smoothing was chosen, in words, or nothing; and what to doubt of it."""

    words: str
    warnings: list[str]


def with_smoothing(plan: Plan, monitor: Monitor) -> tuple[Plan, Chosen]:
    """The plan with the size of cells and their smoothing, as asked for or as a sample of nodes chooses."""
    store, s = plan.store, plan.settings
    if not s.cell_settings:
        return plan, Chosen("", [])
    if not store.has("choice"):
        choice = asked_choice(s)
        if choice is None:
            _, sample = sample_of_nodes(plan.parts, lambda node: fitted_count(plan, node))
            cloud = joined([fitted(plan, node) for node in sample])
            choice = choose(blend_of(plan, cloud, plan.compute(), 0), monitor)
        numbers = torch.tensor(list(asdict(choice.smoothing).values()), dtype=torch.float64)
        store.save(
            "choice", per_cell=choice.points_per_cell, smoothing=numbers,
            words=choice.words, warnings="\n".join(choice.warnings),
        )  # fmt: skip
        store.sync(["choice"])
    found = store.load("choice")
    regularization, offset_weight, passes, gradient = found["smoothing"].tolist()
    smoothing = Smoothing(regularization, offset_weight, int(passes), gradient)
    chosen = Chosen(found["words"], found["warnings"].splitlines())
    return replace(plan, points_per_cell=int(found["per_cell"]), smoothing=smoothing), chosen


def degeneracy_lines(plan: Plan) -> list[str]:
    """What keeps the points from being a surface on this lattice, before any work and whatever comes of it.

    Of many nodes a sample is looked at.
    """
    if not plan.store.has("degeneracy"):
        order, sample = sample_of_nodes(plan.parts, lambda node: fitted_count(plan, node))
        used = joined([fitted(plan, node) for node in sample])
        kept = joined([cleaned(plan.store, node) for node in sample])
        if order:
            kept = OrientedCloud(plan.parts.sample, plan.parts.sample)
        lines = _degeneracy_lines(kept, used, plan.lattice, plan.eps, plan.settings)
        plan.store.save("degeneracy", lines="\n".join(lines))
        plan.store.sync(["degeneracy"])
    return str(plan.store.load("degeneracy")["lines"]).splitlines()


def _degeneracy_lines(
    cloud: OrientedCloud, fitted: OrientedCloud, lattice: Lattice, eps: float, settings: Settings
) -> list[str]:
    lines = [outlier_warning(cloud) or cluster_line(cloud, lattice.voxel_size), *shape_lines(fitted)]
    if settings.eps != AUTO and not (
        settings.cell_settings and settings.regularization == AUTO
    ):  # that looks for other normals
        lines.append(eps_line(eps, EPS_VOXEL_DIAGONALS * lattice.voxel_diagonal, fitted))
    return [line for line in lines if line]


def downsample_lines(before: int, after: int) -> list[str]:
    """What to say where averaging within voxels leaves less than half of the points."""
    if after >= KEPT_SHARE * before:
        return []
    return [
        f"{before:,} points were averaged within voxels to {after:,}; keep all with "
        f"--voxel-downsample-threshold {before}, or more of them with a larger GRID_SIZE"
    ]
