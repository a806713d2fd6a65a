"""What a command was asked to make of which inputs: the files that it reads and writes, known before any work."""

from __future__ import annotations

import os
import shlex
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import CloudError, OutputError, SettingsError
from ..files import meshes
from ..files.atomic import STANDARD, check_writable, shown
from ..files.point_clouds import clouds_in
from ..files.scans import ScannedCloud
from ..normals.orient import Orientation
from ..pipeline import Reconstruction
from ..runtime.monitor import PhaseTimer
from ..settings import MESH_FORMATS, SCALAR_FORMATS, Settings
from .outputs import DEFAULT_OUT
from .paint import Paint
from .repeat import command


@dataclass(frozen=True, eq=False)
class Job:
    """One input, and the mesh that is to be made of it."""

    source: str
    out: str
    args: Namespace

    @property
    def suffix(self) -> str:
        """The format of the mesh."""
        return meshes.suffix_of(self.out) or f".{self.args.format or 'ply'}"

    @property
    def attributes(self) -> list[str]:
        """The numbers of the points that are to be carried to the mesh."""
        return [name.strip() for name in (self.args.attributes or "").split(",") if name.strip()]

    def files(self) -> Iterator[str]:
        """Everything that is written beside the mesh."""
        if self.args.save_grid:
            yield from (f"{self.out}.grid.npy", f"{self.out}.grid.json")
        if self.args.save_points:
            yield f"{self.out}.pts.npz"
        yield from (path for path in (self.preview, self.page) if path)

    @property
    def preview(self) -> str | None:
        return self._named(self.args.preview)

    @property
    def page(self) -> str | None:
        return self._named(self.args.html)

    def _named(self, pattern: str | None) -> str | None:
        """{} stands for the path of the mesh without its extension."""
        return pattern and pattern.replace("{}", os.path.splitext(self.out)[0])


@dataclass(frozen=True)
class Run:
    """A job that was done: what was read, what became of it, how long it took, and what was warned of."""

    job: Job
    origin: Orientation
    settings: Settings
    result: Reconstruction
    timer: PhaseTimer
    scanned: ScannedCloud
    paint: Paint
    warnings: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        """The explicit command that writes the same bytes."""
        words = command(self.job.args.prog, self.job.source, self.settings, self.result)
        args = self.job.args
        carried = [
            word
            for name in ("attributes", "quality")
            if (value := getattr(args, name))
            for word in (f"--{name}", value)
        ]
        written = ["--out", self.job.out] + (
            ["--format", args.format] if args.format and self.job.out == STANDARD else []
        )
        return shlex.join([*words, *self.origin.options().split(), *carried, *written])


def jobs_of(args: Namespace) -> list[Job]:
    """The jobs that the arguments mean; refuses, before any work, files that could not be written or would be lost."""
    given = args.input_point_cloud
    if args.out_dir is None:
        for path in given:
            if os.path.isdir(path):
                raise CloudError(
                    f"{shown(path)}: is a directory; give a file in it, or a folder for all with --out-dir"
                )
        if len(given) > 1:
            raise SettingsError(f"{len(given)} inputs and one output; give a folder with --out-dir")
        if args.format and args.out != STANDARD:
            raise SettingsError(
                "--format is of the meshes in --out-dir and of --out -; drop it, --out has an extension"
            )
        if args.out == STANDARD and (args.save_grid or args.save_points):
            raise SettingsError("--save-grid and --save-points write beside the mesh; name a file with --out")
        sources = given
        jobs = [Job(sources[0], args.out or DEFAULT_OUT, args)]
    else:
        if STANDARD in given:
            raise SettingsError("standard input has no name in a folder; name a file with --out")
        if args.out:
            raise SettingsError("--out names one file and --out-dir a folder for all; drop one of them")
        if not os.path.isdir(args.out_dir):
            raise OutputError(f"{shown(args.out_dir)}: there is no such folder; create it first")
        sources = [path for one in given for path in (clouds_in(one) if os.path.isdir(one) else [one])]
        jobs = [Job(path, _in_folder(path, args), args) for path in sources]
        _check_distinct(jobs)
        for name, pattern in (("--preview", args.preview), ("--html", args.html)):
            if pattern and "{}" not in pattern:
                raise SettingsError(f"{name} needs a name for each mesh of --out-dir; put {{}} into it for the mesh's")
    for pattern, suffix in ((args.preview, ".png"), (args.html, ".html"), (args.report, ".json")):
        if pattern and not pattern.lower().endswith(suffix):
            raise OutputError(f"{shown(pattern)}: is written as {suffix[1:].upper()}; give it the extension {suffix}")
    for job in jobs:
        for option in ("attributes", "quality"):
            if getattr(args, option) and job.suffix not in SCALAR_FORMATS:
                raise SettingsError(
                    f"--{option}: {job.suffix} files have no numbers of vertices; use {' or '.join(SCALAR_FORMATS)}"
                )
        check_path(job.out, *sources)
        for path in job.files():
            check_writable(path)
    if args.report:
        check_writable(args.report)
    return jobs


def check_path(out: str, *inputs: str, formats: Sequence[str] = MESH_FORMATS) -> None:
    """Refuse a file of unknown format, one that cannot be written, and one that is an input."""
    meshes.check_format(out, formats)
    check_writable(out)
    for path in inputs:
        if os.path.exists(out) and os.path.exists(path) and os.path.samefile(out, path):
            raise OutputError(f"{shown(out)}: is the input, which would be lost; choose another --out")


def _in_folder(source: str, args: Namespace) -> str:
    stem = os.path.splitext(os.path.basename(source))[0]
    return os.path.join(args.out_dir, f"{stem}.{args.format or 'ply'}")


def _check_distinct(jobs: list[Job]) -> None:
    """Refuse two inputs of one name."""
    first: dict[str, Job] = {}
    for job in jobs:
        other = first.setdefault(job.out, job)
        if other is not job:
            raise OutputError(
                f"{shown(other.source)} and {shown(job.source)} would both be written to {shown(job.out)}; rename one"
            )
