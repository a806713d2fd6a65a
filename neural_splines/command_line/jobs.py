"""What a command was asked to make of which inputs: the files that it reads and writes, known before any work."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..errors import CloudError, OutputError, SettingsError
from ..files import colmap, meshes
from ..files.atomic import STANDARD, shown, standard
from ..files.georeference import CoordinateSystem, given
from ..files.merging import together
from ..files.placing import check_offset, offset_path
from ..files.point_clouds import clouds_in
from ..files.targets import Target, check
from ..files.textured_obj import beside
from ..placement import Placement, Printing
from ..settings import MESH_FORMATS, SCALAR_FORMATS
from ..surface.charts import check_charts
from . import terrain
from .outputs import DEFAULT_OUT, placement_from, printing_from

# What is written of a mesh, by options, and once of all: the format and its extensions.
BESIDE = {"preview": ("PNG", ".png"), "html": ("HTML", ".html"), "dem": ("GeoTIFF", ".tif", ".tiff")}
BESIDE |= {"contours": ("GeoJSON or DXF", ".geojson", ".json", ".dxf")}
ONCE = {"report": ("JSON", ".json")}


@dataclass(frozen=True, eq=False)
class Job:
    """One input, or several that are merged, and the mesh that is to be made of it."""

    sources: Sequence[str]
    out: str
    args: Namespace

    @property
    def source(self) -> str:
        """The first input."""
        return self.sources[0]

    @property
    def name(self) -> str:
        """The inputs in a message."""
        return together([shown(path) for path in self.sources])

    @property
    def suffix(self) -> str:
        """The format of the mesh."""
        return meshes.suffix_of(self.out) or f".{self.args.format or 'ply'}"

    @property
    def placement(self) -> Placement:
        """Where the mesh lies in its file."""
        return placement_from(self.args).of_format(self.suffix)

    @property
    def printing(self) -> Printing:
        """Whether the mesh is made for a printer."""
        return printing_from(self.args)

    @property
    def attributes(self) -> list[str]:
        """The numbers of the points that are to be carried to the mesh."""
        return [name.strip() for name in (self.args.attributes or "").split(",") if name.strip()]

    def targets(self) -> Iterator[Target]:
        """Everything that is written of it."""
        args = self.args
        source = f" of {shown(self.source)}" if args.out_dir else ""
        yield Target(self.out, f"--out-dir{source}" if args.out_dir else "--out")
        if args.save_grid:
            yield from (Target(f"{self.out}.grid{end}", f"--save-grid{source}") for end in (".npy", ".json"))
        if args.texture is not None and self.suffix == ".obj":
            yield from (Target(path, f"--texture{source}") for path in beside(self.out, args.normal_map))
        if args.shift is not None:
            yield Target(offset_path(self.out), f"--shift{source}")
        if args.save_points:
            yield Target(f"{self.out}.pts.npz", f"--save-points{source}")
        of_mesh = ((self.preview, "--preview"), (self.page, "--html"), (self.dem, "--dem"))
        for path, option in (*of_mesh, (self.contours, "--contours")):
            if path:
                yield Target(path, f"{option}{source}")

    @property
    def preview(self) -> str | None:
        return self._named(self.args.preview)

    @property
    def page(self) -> str | None:
        return self._named(self.args.html)

    @property
    def dem(self) -> str | None:
        return self._named(self.args.dem)

    @property
    def contours(self) -> str | None:
        return self._named(self.args.contours)

    @cached_property
    def crs(self) -> CoordinateSystem | None:
        """The coordinate system that was named."""
        return None if self.args.crs is None else given(self.args.crs)

    def _named(self, pattern: str | None) -> str | None:
        """{} stands for the path of the mesh without its extension."""
        return pattern and pattern.replace("{}", os.path.splitext(self.out)[0])


def jobs_of(args: Namespace) -> list[Job]:
    """The jobs that the arguments mean; refuses, before any work, files that could not be written or would be lost."""
    sources = _sources(args)
    if args.out_dir is None:
        out = standard(args.out or DEFAULT_OUT)
        if args.format and out != STANDARD:
            raise SettingsError(
                "--format is only for --out-dir and --out -; drop it: the extension of --out is the format"
            )
        if out == STANDARD and (args.save_grid or args.save_points):
            raise SettingsError("--save-grid and --save-points write beside the mesh; name a file with --out")
        jobs = [Job(sources, out, args)]
    else:
        if STANDARD in sources:
            raise SettingsError("standard input has no name in a folder; name a file with --out")
        if args.out:
            raise SettingsError("--out names one file and --out-dir a folder for all; drop one of them")
        jobs = [Job([path], _in_folder(path, args), args) for path in sources]
        for name in BESIDE:
            pattern = getattr(args, name)
            if pattern and "{}" not in pattern:
                raise SettingsError(
                    f"--{name} needs a name for each mesh of --out-dir; put {{}} into it for the mesh's"
                )
    for name, (kind, *suffixes) in (BESIDE | ONCE).items():
        pattern = getattr(args, name)
        if pattern and not pattern.lower().endswith(tuple(suffixes)):
            raise OutputError(f"{shown(pattern)}: is written as {kind}; give it the extension {suffixes[0]}")
    terrain.check(args)
    for job in jobs:
        for option in ("attributes", "quality"):
            if getattr(args, option) and job.suffix not in SCALAR_FORMATS:
                raise SettingsError(
                    f"--{option}: {job.suffix} files have no numbers of vertices; use {' or '.join(SCALAR_FORMATS)}"
                )
        meshes.check_format(job.out)
        if args.texture is not None:
            meshes.check_texture(job.out, job.suffix)
        check_charts(args.texture, args.normal_map)
        check_offset(job.out, job.placement)
        _ = job.crs  # refused before any work
    further = [getattr(args, "envelope", None), args.breaklines, args.cameras, *map(colmap.images_beside, sources)]
    check(
        [*sources, *(path for path in further if path)],
        [target for job in jobs for target in job.targets()] + [*_of_all(args)],
    )
    return jobs


def _sources(args: Namespace) -> list[str]:
    """The files that are read; refuses several for one mesh that are not to be merged."""
    given = args.input_point_cloud
    if args.merge and args.out_dir is not None:
        raise SettingsError("--merge makes one mesh and --out-dir one for each input; drop one of them")
    if args.merge or args.out_dir is not None:
        sources = [path for one in given for path in (clouds_in(one) if os.path.isdir(one) else [one])]
        places = len(args.sensor_position or ())
        if args.merge and places > 1 and places != len(sources):
            raise SettingsError(
                f"{places} times --sensor-position and {len(sources)} inputs to merge; give one for each, in their "
                "order, or one for all"
            )
        return sources
    for path in given:
        if os.path.isdir(path):
            raise CloudError(
                f"{shown(path)}: is a directory; give a file in it, or a folder for all with --out-dir or --merge"
            )
    if len(given) > 1:
        raise SettingsError(
            f"{len(given)} inputs and one output; give a folder with --out-dir, or --merge for one mesh of all"
        )
    return given


def _of_all(args: Namespace) -> Iterator[Target]:
    """What is written once, whatever the number of inputs."""
    if args.report:
        yield Target(args.report, "--report")
    yield from _work_directory(getattr(args, "work_dir", None))


def _work_directory(path: str | None) -> list[Target]:
    return [Target(os.path.abspath(path), "--work-dir", folder=True)] if path else []


def only_output(
    path: str, option: str, *inputs: str, formats: Sequence[str] = MESH_FORMATS, work_dir: str | None = None
) -> str:
    """The path of a command that writes one file, `-` for standard output; refuses what `jobs_of` would."""
    out = standard(path)
    meshes.check_format(out, formats)
    check(inputs, [Target(out, option), *_work_directory(work_dir)])
    return out


def _in_folder(source: str, args: Namespace) -> str:
    stem = os.path.splitext(os.path.basename(source))[0]
    return os.path.join(args.out_dir, f"{stem}.{args.format or 'ply'}")
