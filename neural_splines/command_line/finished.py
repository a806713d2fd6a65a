"""What a command knows of a run that wrote its mesh: the same of one that fitted into memory and of one in parts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ..cloud.clouds import CleaningReport
from ..cloud.metric import Lines
from ..files.atomic import STANDARD, shown
from ..files.georeference import CoordinateSystem
from ..files.placing import offset_path
from ..files.scans import listed
from ..geometry import Box
from ..kernels.products import Compute
from ..normals.orient import Judged, options_of, summary_of
from ..pictures.mapped import Mapped
from ..placement import Placed
from ..quantities import counted, duration, plain
from ..ranges import Axis
from ..runtime.monitor import PhaseTimer
from ..settings import NormalSettings, Settings
from ..surface.checks import Checked
from ..surface.lattice import Lattice
from ..surface.simplification import SurfaceError
from ..surface.support import Support
from .input_arguments import read_options
from .jobs import Job
from .outputs import placement_options
from .repeat import command
from .terrain import Terrain

if TYPE_CHECKING:
    from ..surface.texture import Texture


@dataclass(frozen=True)
class Normals:
    """Where the normals of the points come from. summary: in words. options: of the command line, that ask for the same
    again. confidence, in 0 to 1, and noise in spacings: of those that were estimated.
    """

    summary: str
    options: str
    flipped: bool
    estimated: bool = False
    confidence: float | None = None
    noise: float | None = None

    @classmethod
    def of(cls, found: Judged | None, settings: NormalSettings) -> Normals:
        """Of normals that were estimated, or came with their points (None)."""
        words = summary_of(found, settings), options_of(found, settings), settings.flip
        return cls(*words) if found is None else cls(*words, True, found.confidence.value, found.noise)


@dataclass(frozen=True)
class Parts:
    """How a run was shared out: nodes of points and blocks of the lattice, and their sizes at most. resumed: results
    that were there already.
    """

    nodes: int
    blocks: int
    points_per_node: int
    cubes_per_block: int
    workers: int
    resumed: int

    def summary(self) -> str:
        """One line."""
        there = f", {counted(self.resumed, 'result was', 'results were')} there already" if self.resumed else ""
        return f"{counted(self.nodes, 'node')} of points, {counted(self.blocks, 'block')} of the lattice{there}"


@dataclass(frozen=True)
class Details:
    """What takes time to find out. solution: as the report has it. residuals [k]: distances of fitted points from the
    surface, world units, in order. history: relative residuals of conjugate gradients. border_edges: with one face.
    shape: what the mesh is, with intersections; None where it is too large to look at.
    """

    solution: dict[str, Any]
    residuals: Tensor
    history: list[float]
    border_edges: int
    shape: Checked | None


@dataclass(frozen=True)
class Drawing:
    """What pictures show, world units: vertices [v, 3], faces [f, 3], points [n, 3], and where there are colours those
    of both in 0..255. distances [v]: of the vertices from the nearest point. up: that direction, where it is known.
    note: how the mesh was thinned, where it was; all_points: how many there are. numbers [v]: of --quality, by name.
    mapped: the picture of --texture on the mesh.
    """

    vertices: np.ndarray
    faces: np.ndarray
    points: np.ndarray
    distances: Callable[[], np.ndarray]
    colours: np.ndarray | None = None
    point_colours: np.ndarray | None = None
    up: Axis | None = None
    note: str = ""
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)
    mapped: Mapped | None = None
    all_points: int = 0


@dataclass(frozen=True)
class Outcome:
    """What was read, chosen and made. Lengths are in world units.

    cleaning: what was dropped. reading: how columns were read whose meaning the file does not say. classes: how many
    points of those that were asked for. merged: names and numbers of points of several inputs. fitted: points, after
    outliers were left out and, where `averaged`, voxels averaged; box: of these. spacing: their median distance from
    the 6th neighbour. fit, fit_details: in words. choice: the options that ask for what the data chose,
    or nothing; why, in words. mesh: its vertices and faces; error: of fewer faces, where they were asked for; placed:
    in its file; shape: what it is, None where it is too large to look at. parts: of a run in parts; part_options make
    parts of the same size.
    texture, support by the data, terrain: where they were asked for. crs: of the coordinates.
    """

    cleaning: CleaningReport
    reading: str
    classes: Mapping[int, int]
    merged: tuple[tuple[str, int], ...]
    fitted: int
    averaged: bool
    box: Box
    lines: Lines | None
    normals: Normals
    fit: str
    fit_details: str
    choice: str
    why: str
    spacing: Callable[[], float]
    lattice: Lattice
    grid_size: int
    eps: float
    evaluations: int
    compute: Compute
    mesh: tuple[int, int]
    error: SurfaceError | None
    placed: Placed
    shape: Callable[[], Checked | None]
    details: Callable[[], Details]
    drawing: Callable[[], Drawing]
    parts: Parts | None = None
    part_options: tuple[str, ...] = ()
    texture: Texture | None = None
    support: Support | None = None
    crs: CoordinateSystem | None = None
    terrain: Terrain | None = None


def sources(classes: Mapping[int, int], merged: tuple[tuple[str, int], ...]) -> list[str]:
    """Lines of a summary: how many points are of which class and of which file, where that was asked for."""
    counted = [f"{count:,} of class {code}" for code, count in classes.items()]
    files = [f"{count:,} of {name}" for name, count in merged]
    found = {"classes": counted, "merged": files}
    return [f"{title + ':':10}{listed(words, ', ')}" for title, words in found.items() if words]


@dataclass(frozen=True)
class Run:
    """A job that was done: its outcome, how long it took, and what was warned of."""

    job: Job
    settings: Settings
    outcome: Outcome
    timer: PhaseTimer
    warnings: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        """The explicit command that writes the same bytes."""
        args, found = self.job.args, self.outcome
        words = command(args.repeat, self.job.sources, self.settings, found.compute, found.grid_size, found.choice)
        carried = [
            word
            for name in ("attributes", "texture", "quality")
            if (value := getattr(args, name))
            for word in (f"--{name}", ",".join(value) if name == "quality" else str(value))
        ] + ["--normal-map"] * args.normal_map
        written = ["--out", self.job.out]
        written += ["--format", args.format] if args.format and self.job.out == STANDARD else []
        options = [
            *shlex.split(found.normals.options),
            *read_options(args),
            *carried,
            *(["--envelope", args.envelope] if getattr(args, "envelope", None) else []),
            *placement_options(args),
        ]
        options += found.part_options
        return shlex.join([*words, *options, *written])

    def summary(self) -> list[str]:
        """The lines that a command prints at the end."""
        found, args = self.outcome, self.job.args
        nx, ny, nz = found.lattice.shape
        fitted = f", {found.fitted:,} after downsampling" if found.averaged else ""
        self.timer.phase("shape")
        shape = found.shape()
        self.timer.phase("")
        share, parts, chosen = found.evaluations / found.lattice.size, found.parts, found.choice
        evaluated = (
            f", {counted(found.evaluations, 'evaluation')} ({share:.1%} of a dense grid)" if args.verbose else ""
        )
        return [
            *([f"seed:     {args.chosen_seed}"] if args.seed is None else []),
            f"points:   {found.cleaning.summary()}{fitted}{f' ({found.reading})' if found.reading else ''}",
            *sources(found.classes, found.merged),
            *([f"lines:    {found.lines.summary()}"] if found.lines else []),
            f"normals:  {found.normals.summary}",
            *([f"parts:    {parts.summary()}"] if parts else []),
            f"fit:      {found.fit}, {found.compute.summary}",
            *([f"details:  {found.fit_details}, eps {plain(found.eps, 6)}"] if args.verbose else []),
            *([f"choice:   repeat it with {chosen} {found.normals.options}".rstrip()] if chosen else []),
            f"lattice:  {nx} x {ny} x {nz} voxels, side {plain(found.lattice.voxel_size)}{evaluated}",
            f"mesh:     {mesh_words(found.mesh)} -> {shown(self.job.out)}",
            *([f"error:    {found.error.summary()}"] if found.error else []),
            f"shape:    {shape.summary() if shape else 'too large to look at within the memory'}",
            *([f"texture:  {found.texture.summary()}"] if found.texture else []),
            *([f"support:  {found.support.summary()}"] if found.support else []),
            *([f"crs:      {found.crs.summary()}"] if found.crs else []),
            *([f"terrain:  {found.terrain.summary()}"] if found.terrain else []),
            *([f"size:     {size_of(found.placed)}"] if self.job.placement.asked else []),
            *([f"shift:    {_shift(found.placed, self.job)}"] if args.shift is not None else []),
            f"time:     {self.timer.summary()}",
            *([f"look:     {self._how_to_look()}"] if getattr(args, "how_to_look", False) else []),
            *([f"repeat:   {self.command}"] if args.verbose else []),
        ]

    def _how_to_look(self) -> str:
        """What a user does next to see the mesh."""
        if self.job.page:
            return f"open {shown(self.job.page)} in a browser"
        mesh = "the mesh" if self.job.out == STANDARD else shown(self.job.out)
        return f"open {mesh} in MeshLab or Blender; --html FILE.html writes a page for a browser"

    def short_summary(self) -> str:
        """One line, of many runs."""
        found, count = self.outcome, len(self.warnings)
        warned = f", {counted(count, 'warning')}" if count else ""
        return (
            f"{self.job.name}: {counted(found.cleaning.kept, 'point')} -> {shown(self.job.out)}: "
            f"{mesh_words(found.mesh)}, {duration(sum(self.timer.seconds.values()))}{warned}"
        )


def mesh_words(mesh: tuple[int, int]) -> str:
    """The numbers of its vertices and faces."""
    return f"{counted(mesh[0], 'vertex', 'vertices')}, {counted(mesh[1], 'face')}"


def _shift(placed: Placed, job: Job) -> str:
    """By what a mesh was moved, and where that is written."""
    return f"{' '.join(map(repr, placed.shift))}, to be added, in {shown(offset_path(job.out))}"


def size_of(placed: Placed) -> str:
    """The sides of a mesh in its file."""
    return f"{' x '.join(f'{side:.6g}' for side in placed.sides)} {placed.unit}"
