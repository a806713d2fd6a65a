"""Every setting, its default and its range: the one place where they are written.

A default that depends on other settings (adaptive cells have their own) is resolved when a `Settings` is made: what its
fields hold is what a run uses. Messages name settings as the command line does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .errors import SettingsError
from .ranges import AUTO, MAX_COUNT, UPS, Auto, check_choice, check_count, check_flag, check_number, check_places, shown

KERNELS = ("neural-spline", "spherical-laplace", "linear-angle")
NYSTROM_MODES = ("random", "blue-noise", "k-means")
DTYPES = ("float64", "float32")
SOLVERS = ("builtin", "falkon")
BACKENDS = ("auto", "torch", "numba", "triton", "keops")
WEIGHT_TYPES = ("trilinear", "none")
DEPTHS = (AUTO, "local", "even")
MESH_FORMATS = (".ply", ".obj", ".stl", ".3mf", ".off", ".glb")  # that can be written
TILE_FACES = 50_000  # of a tile of 3D Tiles
COMPRESSIONS = ("draco",)  # of these tiles
SCALAR_FORMATS = (".ply", ".glb")  # of these, with further numbers of each vertex
QUALITIES = ("distance", "density", "support", "uncertainty", "mean-curvature", "gauss-curvature")
CLOUD_FORMATS = (".ply", ".obj", ".off")  # of these, what a cloud without faces can be written in
NORMALS = ("auto", "file", "estimate")

DEPENDS: Any = None  # the default of a field that depends on others; no Settings keeps it

REGULARIZATION = 1e-7  # adaptive cells choose theirs
OUTER_LAYER_VARIANCE = 1.0
ADAPTIVE_VARIANCE = 0.0  # the smoothest kernel of the family: better than 1 on clean and on noisy scans
OUTLIER_MODES = (AUTO, "none")
MAX_SCALE = 3.0  # beyond it the far corners of the box leave the kernels' polynomials
MAX_GRID = 8192
# Of views: what says that a place is uncertain, places that are tried, views that are told, and degrees between surface
# and ray below which a scanner gets nothing back.
VIEWS_BY = ("support", "uncertainty")
CANDIDATES, VIEWS, GRAZING = 100, 10, 15.0
CONTOUR_INTERVAL = 1.0  # in units of the cloud


def _keep(record: object, field: str, check: Callable[..., Any], name: str, *limits: Any, **options: Any) -> None:
    """Put what `check` makes of a field in its place."""
    object.__setattr__(record, field, check(name, getattr(record, field), *limits, **options))


@dataclass(frozen=True, kw_only=True)
class CellSettings:
    """How space is shared out to many splines.

    cells_per_axis: so many along each axis of the scaled box, or auto: adaptive cells, leaves of an octree.
    overlap: of neighbouring cells, as a fraction of their side.
    weight_type: trilinear, a smooth partition of unity, or none: each place belongs to one cell.
    min_pts_per_cell: cells with fewer points are left out; of adaptive ones a larger cell has their place.
    points_per_cell: adaptive cells hold at most so many; auto chooses it with the smoothing.
    depth: of adaptive cells. local: smaller or larger cells where these predict points that were left out better; even:
        all hold at most points_per_cell; auto: local where the regularization is chosen too, and is one for noise.
    fill_holes: close the surface where there are no points: true, everything; a number, holes whose middle is at most
        so many local spacings from a point.
    """

    cells_per_axis: int | Auto = AUTO
    overlap: float = 0.25
    weight_type: str = "trilinear"
    min_pts_per_cell: int = 0
    points_per_cell: int | Auto = AUTO
    depth: str = AUTO
    fill_holes: bool | float = False

    def __post_init__(self) -> None:
        _keep(self, "cells_per_axis", check_count, "CELLS_PER_AXIS", 1, 1024, auto=True)
        _keep(self, "overlap", check_number, "--overlap", 0.0, 1.0)
        _keep(self, "weight_type", check_choice, "--weight-type", WEIGHT_TYPES)
        _keep(self, "min_pts_per_cell", check_count, "--min-pts-per-cell", 0)
        _keep(self, "points_per_cell", check_count, "--points-per-cell", 8, auto=True)
        _keep(self, "depth", check_choice, "--depth", DEPTHS)
        if not isinstance(self.fill_holes, bool):
            _keep(self, "fill_holes", check_number, "--fill-holes", 0.0, strict=True)
        if not self.adaptive and self.points_per_cell != AUTO:
            raise SettingsError(
                "--points-per-cell sets the size of adaptive cells; use CELLS_PER_AXIS auto, or drop it"
            )
        if not self.adaptive and self.depth == "local":
            raise SettingsError("--depth local is for adaptive cells; use CELLS_PER_AXIS auto, or drop it")
        if self.single and self.fill_holes:
            raise SettingsError("--fill-holes is for many cells: one spline closes the surface by itself; drop it")

    @property
    def adaptive(self) -> bool:
        return self.cells_per_axis == AUTO

    @property
    def single(self) -> bool:
        """One cell is one spline."""
        return self.cells_per_axis == 1


@dataclass(frozen=True, kw_only=True)
class SceneSettings:
    """How a scene that is too large for one process' memory is shared out.

    max_memory: bytes that all processes may take together; None: half of what is free. work_dir: keeps what is
    finished, so that the same command goes on after it was stopped; None: a temporary one. workers: processes of this
    machine. scheduler: of a dask.distributed cluster, whose workers do the work.
    """

    max_memory: int | None = None
    work_dir: str | None = None
    workers: int = 1
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.max_memory is not None:
            _keep(self, "max_memory", check_count, "--max-memory", 1, 2**62)
        _keep(self, "workers", check_count, "--workers", 1, 1024)
        if self.work_dir is not None:
            _keep(self, "work_dir", check_choice, "--work-dir", None)
        if self.scheduler is not None:
            _keep(self, "scheduler", check_choice, "--scheduler", None)
        if self.scheduler is not None and self.workers > 1:
            raise SettingsError("--workers starts processes here, and --scheduler has its own; drop one of them")
        if self.scheduler is not None and self.work_dir is None:
            raise SettingsError("--scheduler needs a --work-dir that all of its workers see under the same path")

    @property
    def asked(self) -> bool:
        return self != SceneSettings()


@dataclass(frozen=True, kw_only=True)
class NormalSettings:
    """Where the normals of a cloud come from, and what is known of its sides.

    source: file, those of the file; estimate: from the points alone; auto: the file's where it has them.
    sensor_positions: places (x, y, z) in world units that the surface was seen from; normals point to the side of them.
    cameras: the file that they come from, one of each camera; none where they were given as they are.
    inside: the cloud is a room seen from within; normals point into it.
    aerial: the cloud was seen from above, also through leaves; normals point upwards.
    up: the direction that is up: x, y, z, or one of these with a minus; auto: z for what is seen from above.
    flip: turn all normals round at the end, estimated or not. device: auto, cpu, cuda or cuda:1.
    free_space: the places say what is empty, too; then they may be those of normals that are given.
    """

    source: str = AUTO
    sensor_positions: tuple[tuple[float, float, float], ...] = ()
    cameras: str = ""
    inside: bool = False
    aerial: bool = False
    up: str = AUTO
    flip: bool = False
    device: str = AUTO
    free_space: bool = False

    def __post_init__(self) -> None:
        _keep(self, "source", check_choice, "--normals", NORMALS)
        flags = {"inside": "--inside", "aerial": "--aerial", "flip": "--flip-normals", "free_space": "--free-space"}
        for name, option in flags.items():
            _keep(self, name, check_flag, option)
        _keep(self, "up", check_choice, "--up", (AUTO, *UPS))
        _keep(self, "device", check_choice, "--device", None)
        _keep(self, "cameras", check_choice, "--cameras", None)
        _keep(self, "sensor_positions", check_places, self.places)
        if len(self.sides) > 1:
            raise SettingsError(f"{' and '.join(self.sides)} both say which side was seen; drop one of them")
        if self.source == "file" and self.unused:
            raise SettingsError(f"{self.unused[0]} is for estimated normals; use --normals estimate, or drop it")

    @property
    def places(self) -> str:
        """The option that the positions come from."""
        return "--cameras" if self.cameras else "--sensor-position"

    @property
    def sides(self) -> list[str]:
        """The options that say which side was seen."""
        asked = {"--inside": self.inside, "--aerial": self.aerial, self.places: bool(self.sensor_positions)}
        return [name for name, given in asked.items() if given]

    @property
    def unused(self) -> list[str]:
        """Those of them that say nothing where normals are given."""
        return [name for name in self.sides if not (self.free_space and name == self.places)]

    @property
    def of_files(self) -> tuple[tuple[float, float, float], ...]:
        """Positions that may be those of several files, one of each in their order."""
        return () if self.cameras else self.sensor_positions


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a cloud becomes a mesh. `Settings()` is `fit-grid.py CLOUD auto auto 256 auto`, with seed 0.

    eps: finite-difference offset along the normals in world units; auto: half a voxel diagonal.
    num_nystrom_samples: centres of one spline, or of a cell at most; auto: 30 sqrt(constraints), 300 a cell;
        negative: every constraint.
    grid_size: voxels along the longest side of the scaled bounding box; auto: 1.6 for the median spacing of the
        points, 128 at least, as far as half of the free memory allows.
    scale: diameter of that box over that of the cloud's.
    cells: how space is shared out to many splines; None: one spline, as fit.py.
    regularization: weight of the ridge penalty; auto: chosen by the distance of held-out points. Default 1e-7, with
        adaptive cells auto.
    offset_weight: weight of the constraints off the surface against 1 for those on it; auto: chosen with the
        regularization where that is auto, else 1. Of cells.
    robust_passes: how often points are reweighted by their residuals; auto: as offset_weight, else 0. Of cells.
    gradient_length: where positive, the normals enter as slopes h grad f = h n with h in sides of a padded cell, in
        the place of constraints off the surface; auto: as offset_weight, else 0. Of cells.
    nystrom_mode: random, blue-noise or k-means.
    remove_outliers: auto: leave out stray points, which are sparse or in small clumps and do not lie on the
        surface of the points around them; none: keep all. Default none, with adaptive cells auto.
    voxel_downsample_threshold: above so many points, points and normals are averaged within voxels.
    kernel: neural-spline, spherical-laplace or linear-angle.
    outer_layer_variance: of the neural-spline kernel. Default 1.0, with adaptive cells 0.0.
    seed: of everything that is random.
    cg_max_iters, cg_stop_thresh: conjugate gradients of one spline and of the background of fill_holes; the threshold
        is on the residual relative to the right-hand side. Cells are solved directly.
    solver: builtin, or falkon, the FalkonML library; of one spline.
    dtype: float64 or float32, of the fit.
    device: auto, cpu, cuda (all GPUs), cuda:1 or cuda:0,cuda:2.
    backend: of kernel products: auto, torch, numba (CPU), triton (GPU), keops.
    dense: evaluate the whole grid and mesh it by scikit-image, instead of a band around the surface.
    refine_vertices: move vertices onto the exact zero set.
    sharp_edges: fit the sides of creases by themselves where that predicts held-out points better, and place vertices
        on creases and corners. Of cells.
    trim: drop faces farther from the input than so many voxel diagonals; auto: by the local spacing of the points;
        none: keep all. Default none, with adaptive cells auto, unless holes are filled.
    min_component: drop components smaller than this fraction of the largest; auto: those that float, and below 1 % of
        it those that few points support. Default auto with adaptive cells or fill_holes, else 0.
    faces: edges are collapsed until there are so many faces at most; or max_error: as few as keep the surface within so
        much of the zero set, world units.
    """

    eps: float | Auto = AUTO
    num_nystrom_samples: int | Auto = AUTO
    grid_size: int | Auto = 256
    scale: float = 1.1
    cells: CellSettings | None = field(default_factory=CellSettings)
    regularization: float | Auto = DEPENDS
    offset_weight: float | Auto = AUTO
    robust_passes: int | Auto = AUTO
    gradient_length: float | Auto = AUTO
    nystrom_mode: str = "blue-noise"
    voxel_downsample_threshold: int = 150_000
    kernel: str = "neural-spline"
    outer_layer_variance: float = DEPENDS
    seed: int = 0
    cg_max_iters: int = 20
    cg_stop_thresh: float = 1e-5
    solver: str = "builtin"
    dtype: str = "float64"
    device: str = AUTO
    backend: str = AUTO
    dense: bool = False
    refine_vertices: bool = True
    sharp_edges: bool = False
    trim: float | Literal["auto", "none"] = DEPENDS
    min_component: float | Auto = DEPENDS
    faces: int | None = None
    max_error: float | None = None
    remove_outliers: str = DEPENDS

    def __post_init__(self) -> None:
        self._resolve()
        _keep(self, "eps", check_number, "EPS", 0.0, strict=True, words=(AUTO,))
        _keep(self, "num_nystrom_samples", check_count, "NUM_NYSTROM_SAMPLES", -MAX_COUNT, auto=True)
        if self.num_nystrom_samples == 0:
            raise SettingsError("NUM_NYSTROM_SAMPLES must be positive, negative (every tripled point) or auto, got 0")
        _keep(self, "grid_size", check_count, "GRID_SIZE", 2, MAX_GRID, auto=True)
        _keep(self, "scale", check_number, "--margin (scale)", 1.0, MAX_SCALE)
        _keep(self, "regularization", check_number, "--regularization", 0.0, words=(AUTO,))
        _keep(self, "offset_weight", check_number, "--offset-weight", 0.0, strict=True, words=(AUTO,))
        _keep(self, "robust_passes", check_count, "--robust-passes", 0, 10, auto=True)
        _keep(self, "gradient_length", check_number, "--gradient-length", 0.0, words=(AUTO,))
        self._refuse_smoothing()
        _keep(self, "nystrom_mode", check_choice, "--nystrom-mode", NYSTROM_MODES)
        _keep(self, "voxel_downsample_threshold", check_count, "--voxel-downsample-threshold", 1)
        _keep(self, "kernel", check_choice, "--kernel", KERNELS)
        _keep(self, "outer_layer_variance", check_number, "--outer-layer-variance", 0.0)
        self._refuse_gradients()
        _keep(self, "seed", check_count, "--seed", 0, 2**63 - 1)
        _keep(self, "cg_max_iters", check_count, "--cg-max-iters", 1)
        _keep(self, "cg_stop_thresh", check_number, "--cg-stop-thresh", 0.0)
        _keep(self, "solver", check_choice, "--solver", SOLVERS)
        _keep(self, "dtype", check_choice, "--dtype", DTYPES)
        _keep(self, "device", check_choice, "--device", None)
        _keep(self, "backend", check_choice, "--backend", BACKENDS)
        _keep(self, "dense", check_flag, "--dense")
        _keep(self, "refine_vertices", check_flag, "--no-refine-vertices")
        _keep(self, "sharp_edges", check_flag, "--sharp-edges")
        if self.sharp_edges and not self.cell_settings:
            raise SettingsError("--sharp-edges needs cells, but this run fits one spline; drop it")
        _keep(self, "trim", check_number, "--trim", 0.0, strict=True, words=(AUTO, "none"))
        _keep(self, "min_component", check_number, "--min-component", 0.0, 1.0, words=(AUTO,))
        if self.faces is not None:
            _keep(self, "faces", check_count, "--faces", 4)
        if self.max_error is not None:
            _keep(self, "max_error", check_number, "--max-error", 0.0, strict=True)
        if self.faces is not None and self.max_error is not None:
            raise SettingsError("--faces and --max-error both say how many faces there are; drop one of them")
        _keep(self, "remove_outliers", check_choice, "--remove-outliers", OUTLIER_MODES)
        if self.solver != "builtin" and self.cell_settings:
            raise SettingsError(
                f"--solver {self.solver} fits one spline, and cells are solved directly; use fit.py or CELLS_PER_AXIS 1"
            )

    @property
    def cell_settings(self) -> CellSettings | None:
        """The cells, where there is more than one."""
        return None if self.cells is None or self.cells.single else self.cells

    def _resolve(self) -> None:
        """Fill in the defaults that depend on other settings."""
        if self.cells is not None and not isinstance(self.cells, CellSettings):
            raise SettingsError(f"cells must be a CellSettings, or None for one spline, got {shown(self.cells)}")
        adaptive = self.cells is not None and self.cells.adaptive
        filled = self.cells is not None and self.cells.fill_holes is True
        self._default("regularization", AUTO if adaptive else REGULARIZATION)
        if self.cells is not None and self.cells.depth == AUTO:
            chosen = isinstance(self.regularization, str) and self.regularization == AUTO
            if not (adaptive and chosen):
                object.__setattr__(self, "cells", replace(self.cells, depth="even"))
        self._default("outer_layer_variance", ADAPTIVE_VARIANCE if adaptive else OUTER_LAYER_VARIANCE)
        self._default("trim", AUTO if adaptive and not filled else "none")
        self._default("min_component", AUTO if adaptive or filled else 0.0)
        self._default("remove_outliers", AUTO if adaptive else "none")

    def _refuse_smoothing(self) -> None:
        for name, value in (
            ("--offset-weight", self.offset_weight),
            ("--robust-passes", self.robust_passes),
            ("--gradient-length", self.gradient_length),
        ):
            if value == AUTO:
                continue
            if not self.cell_settings:
                raise SettingsError(f"{name} needs cells, but this run fits one spline; drop it")
            if self.regularization == AUTO:
                raise SettingsError(
                    f"{name} is chosen with the regularization where that is auto; give --regularization a number too"
                )

    def _refuse_gradients(self) -> None:
        asked = self.gradient_length != AUTO and self.gradient_length > 0.0
        if asked and not (self.kernel == "neural-spline" and self.outer_layer_variance == 0.0):
            raise SettingsError(
                "--gradient-length needs a kernel without a kink: use --kernel neural-spline --outer-layer-variance 0"
            )
        if asked and self.offset_weight != AUTO:
            raise SettingsError("--offset-weight weighs constraints that --gradient-length replaces; drop one of them")

    def _default(self, name: str, value: object) -> None:
        if getattr(self, name) is DEPENDS:
            object.__setattr__(self, name, value)
