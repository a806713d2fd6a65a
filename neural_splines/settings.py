"""Every setting, its default and its range: the one place where they are written."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import SettingsError

KERNELS = ("neural-spline", "spherical-laplace", "linear-angle")
NYSTROM_MODES = ("random", "blue-noise", "k-means")
DTYPES = ("float64", "float32")
SOLVERS = ("builtin", "falkon")
BACKENDS = ("auto", "torch", "numba", "triton", "keops")
WEIGHT_TYPES = ("trilinear", "none")
ADAPTIVE_VARIANCE = 0.0  # the smoothest kernel of the family: better than 1 on clean and on noisy scans
FILLED_MIN_COMPONENT = 0.01  # what is closed has no specks
MAX_SCALE = 3.0  # beyond it the far corners of the box leave the kernels' polynomials


def _check(name: str, value: float, low: float, high: float = math.inf, *, strict: bool = False) -> None:
    good = (low < value if strict else low <= value) and value <= high and math.isfinite(value)
    if not good:
        span = f"{'greater than' if strict else 'at least'} {low:g}" + (
            f", at most {high:g}" if high < math.inf else ""
        )
        raise SettingsError(f"{name} must be {span}, got {value:g}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class CellSettings:
    """What fit-grid.py takes beside. cells_per_axis: None for adaptive cells. overlap: of neighbouring cells,
    as a fraction of their side. points_per_cell: None chooses it with the smoothing."""

    cells_per_axis: int | None
    overlap: float = 0.25
    weight_type: str = "trilinear"
    min_pts_per_cell: int = 0
    points_per_cell: int | None = None
    fill_holes: bool = False

    def __post_init__(self) -> None:
        if self.cells_per_axis is not None:
            _check("CELLS_PER_AXIS", self.cells_per_axis, 1, 1024)
        _check("--overlap", self.overlap, 0.0, 1.0)
        _check_choice("--weight-type", self.weight_type, WEIGHT_TYPES)
        _check("--min-pts-per-cell", self.min_pts_per_cell, 0)
        if self.points_per_cell is not None:
            _check("--points-per-cell", self.points_per_cell, 8)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What both scripts take; `cells` is None for one spline.

    eps: offset along the normals in world units; None chooses it. num_nystrom_samples: centres (of each
    cell, with cells); None chooses, negative takes every tripled point. grid_size: voxels along the
    longest side of the scaled box. regularization, offset_weight, robust_passes: the smoothing; None for
    the first chooses all three from the data (cells alone), None for the others means 1 and 0.
    """

    eps: float | None
    num_nystrom_samples: int | None
    grid_size: int
    scale: float = 1.1
    cells: CellSettings | None = None
    regularization: float | None = 1e-7
    offset_weight: float | None = None
    robust_passes: int | None = None
    nystrom_mode: str = "blue-noise"
    voxel_downsample_threshold: int = 150_000
    kernel: str = "neural-spline"
    outer_layer_variance: float = 1.0
    seed: int = 0
    cg_max_iters: int = 20
    cg_stop_thresh: float = 1e-5
    solver: str = "builtin"
    dtype: str = "float64"
    device: str = "auto"
    backend: str = "auto"
    dense: bool = False
    refine_vertices: bool = True
    trim: float | str | None = None
    min_component: float = 0.0

    def __post_init__(self) -> None:
        if self.eps is not None:
            _check("EPS", self.eps, 0.0, strict=True)
        if self.num_nystrom_samples == 0:
            raise SettingsError("NUM_NYSTROM_SAMPLES must be positive, negative (every tripled point) or auto, got 0")
        _check("GRID_SIZE", self.grid_size, 2, 8192)
        _check("--scale", self.scale, 1.0, MAX_SCALE)
        if self.regularization is not None:
            _check("--regularization", self.regularization, 0.0)
        if self.offset_weight is not None:
            _check("--offset-weight", self.offset_weight, 0.0, strict=True)
        if self.robust_passes is not None:
            _check("--robust-passes", self.robust_passes, 0, 10)
        _check_choice("--nystrom-mode", self.nystrom_mode, NYSTROM_MODES)
        _check("--voxel-downsample-threshold", self.voxel_downsample_threshold, 1)
        _check_choice("--kernel", self.kernel, KERNELS)
        _check("--outer-layer-variance", self.outer_layer_variance, 0.0)
        _check("--seed", self.seed, 0, 2**63 - 1)
        _check("--cg-max-iters", self.cg_max_iters, 1)
        _check("--cg-stop-thresh", self.cg_stop_thresh, 0.0)
        _check_choice("--solver", self.solver, SOLVERS)
        if self.solver != "builtin" and self.cells is not None and self.cells.cells_per_axis != 1:
            raise SettingsError(
                f"--solver {self.solver} fits one spline, and cells are solved directly; use fit.py or CELLS_PER_AXIS 1"
            )
        _check_choice("--dtype", self.dtype, DTYPES)
        _check_choice("--backend", self.backend, BACKENDS)
        if self.trim is not None and self.trim != "auto":
            _check("--trim", self.trim, 0.0, strict=True)
        _check("--min-component", self.min_component, 0.0, 1.0)
