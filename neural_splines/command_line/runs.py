"""The story of both scripts: load, reconstruct, save, print, for one input or for many.

Of many, one that fails does not stop the others: failures are repeated at the end, and the exit code says that some
failed (`codes`). --report has an entry for each input, also for one that failed.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ..errors import NeuralSplinesError, first_line, said, warn
from ..files.folders import folder
from ..runtime.monitor import PhaseTimer
from ..runtime.progress import Progress
from ..settings import NormalSettings, SceneSettings, Settings
from ..surface.advice import shred_lines
from . import scenes
from .codes import BUG, code_of, of_many
from .console import explained, say, tell
from .finished import Outcome, Run
from .jobs import Job, jobs_of

Meshing = Callable[[Job, Settings, NormalSettings, PhaseTimer], Outcome]  # writes the mesh of a job


def run_jobs(
    args: Namespace, settings: Settings, sides: NormalSettings, shares: SceneSettings, prog: str, monitor: PhaseTimer
) -> None:
    """Do every job that the arguments mean, and exit where any of many failed."""
    args.repeat = getattr(args, "repeat", prog)
    if shares.asked:
        scenes.check(args)
    with contextlib.nullcontext() if args.out_dir is None else folder(args.out_dir):
        jobs = jobs_of(args)
        mesh = _meshing(shares)
        failures: dict[Job, tuple[int, str]] = {}
        if args.out_dir is None:
            entries = single(jobs[0], settings, sides, mesh, monitor)
        else:
            entries, failures = many(jobs, settings, sides, mesh, monitor)
        if args.report:
            from . import report

            report.save(args.report, entries)
    if failures:
        say(prog, f"{len(failures)} of {len(jobs)} inputs failed:")
        for job, (_, line) in failures.items():
            name = job.name
            say(prog, f"error: {line if name in line else f'{name}: {line}'}")
        sys.exit(of_many([code for code, _ in failures.values()], len(jobs)))


def _meshing(shares: SceneSettings) -> Meshing:
    """Whole, or in parts, which needs the modules of estimated normals and with them Numba."""
    if not shares.asked:
        from .whole import mesh_whole

        return mesh_whole
    from .parts import mesh_in_parts

    return partial(mesh_in_parts, shares=shares)


def single(
    job: Job, settings: Settings, sides: NormalSettings, mesh: Meshing, monitor: PhaseTimer
) -> list[dict[str, Any]]:
    """What is reported of the only job; where it fails that is written at once, and the error goes on."""
    try:
        run = one(job, settings, sides, mesh, monitor)
    except Exception as error:
        monitor.phase("")
        if job.args.report:
            from . import report

            try:
                report.save(job.args.report, [_failed(job, *failure(error))])
            except (NeuralSplinesError, OSError) as other:  # the disk may be full, which the first error says
                warn(f"no report: {first_line(other)}")
        raise
    if not job.args.quiet:
        tell(run.summary(), run.job.out)
    return [_entry(run)] if job.args.report else []


def one(job: Job, settings: Settings, sides: NormalSettings, mesh: Meshing, timer: PhaseTimer, prefix: str = "") -> Run:
    """A mesh from a file."""
    if not (job.preview or job.page):
        timer.expect({"pictures": 0.0})
    with noted(prefix) as notes:
        outcome = mesh(job, settings, sides, timer)
        for line in shreds(outcome, settings, timer):
            warn(line)
    run = Run(job, settings, outcome, timer, notes)
    if job.preview or job.page:
        from . import show  # not before: Numba takes memory and a second

        show.save(run)
    return run


def shreds(outcome: Outcome, settings: Settings, timer: PhaseTimer) -> list[str]:
    """A line where the mesh is in narrow strips."""
    timer.phase("shape")
    shape, unit = outcome.shape(), outcome.placed.factor if outcome.parts else 1.0  # of parts it is that of the file
    timer.phase("")
    if shape is None or shape.closed:
        return []
    return shred_lines(shape, unit * outcome.spacing(), unit * outcome.lattice.voxel_diagonal, settings)


def many(
    jobs: list[Job], settings: Settings, sides: NormalSettings, mesh: Meshing, monitor: PhaseTimer
) -> tuple[list[dict[str, Any]], dict[Job, tuple[int, str]]]:
    """What is reported of every job, and the exit code and the line of those that failed."""
    entries: list[dict[str, Any]] = []
    failures: dict[Job, tuple[int, str]] = {}
    for place, job in enumerate(jobs):
        if isinstance(monitor.inner, Progress):
            monitor.inner.start(place, len(jobs))
        timer = PhaseTimer(monitor.inner, measured=monitor.measured)
        try:
            run = one(job, settings, sides, mesh, timer, f"{job.name}: ")
        except Exception as error:
            timer.phase("")
            failures[job] = failure(error)
            if failures[job][0] == BUG:
                traceback.print_exc()
            entries.append(_failed(job, *failures[job]))
            continue
        if not job.args.quiet:
            tell([run.short_summary()])
        if job.args.report:
            entries.append(_entry(run))
    return entries, failures


def failure(error: Exception) -> tuple[int, str]:
    """The exit code and the line of a job that ended with this error."""
    line = explained(error)
    return code_of(error), line or f"a bug, {type(error).__name__}: {error}; please report it"


def _failed(job: Job, code: int, line: str) -> dict[str, Any]:
    return {"input": job.source, "output": job.out, "error": line, "exit_code": code}


def _entry(run: Run) -> dict[str, Any]:
    from . import report  # not before: only few ask for one

    return report.of(run)


@contextlib.contextmanager
def noted(prefix: str) -> Iterator[list[str]]:
    """The warnings of a block, which are shown as they come, behind a prefix."""
    notes: list[str] = []
    show = warnings.showwarning

    def note(message: Warning | str, *rest: Any, **others: Any) -> None:
        line = said(message)
        if line in notes:  # what is true of the points in the file, and of those that are fitted
            return
        notes.append(line)
        show(line if line.startswith(prefix) else f"{prefix}{line}", *rest, **others)

    warnings.showwarning = note
    try:
        yield notes
    finally:
        warnings.showwarning = show
