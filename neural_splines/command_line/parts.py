"""A run in parts: bounded memory, results that are kept, workers; from a file to a file, and what is known of it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import torch

from ..cells.fitting import choice_options
from ..errors import CloudError, warn
from ..files.atomic import STANDARD, kind_of
from ..files.point_clouds import step_lines
from ..files.streams import ReadOptions
from ..run.constraints import save_constraints
from ..run.drawing import distances_to_points, drawn_mesh, drawn_points
from ..run.in_parts import ReconstructionInParts, drawing_memory, memory_of, mesh_files, processes
from ..run.painting import colours_at
from ..run.report import LISTED_CELLS
from ..run.totals import solution_of_all
from ..run.upright import upright
from ..run.writing import Output
from ..runtime.monitor import PhaseTimer
from ..settings import NormalSettings, SceneSettings, Settings
from . import terrain
from .finished import Details, Drawing, Normals, Outcome, Parts
from .jobs import Job


def mesh_in_parts(
    job: Job, settings: Settings, sides: NormalSettings, timer: PhaseTimer, shares: SceneSettings
) -> Outcome:
    """Write the mesh of a job part by part."""
    check(*job.sources)
    with (
        folder_of(shares, job.out, bool(job.args.out_dir)) as folder,
        mesh_files(job.sources, output_of(job), settings, shares, folder, timer, options_of(job), sides) as run,
    ):
        steps = step_lines(run.plan.box, job.name) if run.form.single else []
        for line in [*steps, *run.warnings]:
            warn(line)
        if job.args.save_points:
            timer.phase("write")
            save_constraints(run.plan, f"{job.out}.pts.npz")
            timer.phase("")
        details = details_of(run) if job.args.report or job.page else None
        drawing = drawing_of(run, sides, shares, bool(job.page)) if job.preview or job.page else None
        crs = job.crs or run.form.crs
        found = None if run.heights is None else terrain.save(run.heights, job, crs)
        return replace(outcome_of(run, sides, shares, details, drawing), crs=crs, terrain=found)


def options_of(job: Job) -> ReadOptions:
    """What is read of the inputs."""
    return ReadOptions(job.attributes, job.args.columns, job.args.classes, job.args.bounds)


def output_of(job: Job) -> Output:
    """What is written."""
    names, looked_at = job.args.quality or (), bool(job.args.report or job.page)
    asked = terrain.with_breaklines(job.args)
    return Output(job.out, job.suffix, tuple(names), job.placement, looked_at, job.printing, asked)


def check(*sources: str) -> None:
    """Refuse what cannot be read in parts."""
    if STANDARD in sources:
        raise CloudError("a cloud in parts is read more than once; give a file, not -")


@contextlib.contextmanager
def folder_of(shares: SceneSettings, out: str, many: bool = False) -> Iterator[str]:
    """The work directory, of many outputs one within it for each; or a temporary one beside the output."""
    if shares.work_dir is not None:
        yield os.path.join(shares.work_dir, os.path.basename(out)) if many else shares.work_dir
        return
    try:
        beside = os.path.dirname(os.path.abspath(out))
        with tempfile.TemporaryDirectory(prefix=".neural-splines-", dir=beside) as made:
            yield made
    except OSError as error:
        raise kind_of(error)(f"{error.filename}: {error.strerror}; choose another place with --work-dir") from None


def outcome_of(
    run: ReconstructionInParts,
    sides: NormalSettings,
    shares: SceneSettings,
    details: Details | None,
    drawing: Drawing | None,
) -> Outcome:
    """What is known of a run in parts; details and drawing: where they were asked for."""
    plan, totals, (points, cubes) = run.plan, run.totals, run.part
    spacing = plan.parts.median_spacing
    assert plan.smoothing
    assert spacing

    count = processes(shares)
    memory = memory_of(points, count, run.compute.device.type)
    return Outcome(
        cleaning=totals.cleaning,
        reading=run.form.reading,
        classes=run.form.classes,
        merged=run.form.parts,
        fitted=totals.fitted,
        averaged=plan.averaged,
        box=totals.box,
        lines=totals.lines,
        normals=Normals.of(run.normals.estimated, sides),
        fit=totals.cells.summary(),
        fit_details=totals.cells.details(run.words or plan.smoothing),
        choice=choice_options(plan.smoothing, plan.points_per_cell, plan.local_depth) if run.words else "",
        why=run.words,
        spacing=lambda: spacing,
        lattice=plan.lattice,
        grid_size=plan.grid_size,
        eps=plan.eps,
        evaluations=run.mesh.evaluations,
        compute=run.compute,
        mesh=(run.mesh.vertices, run.mesh.faces),
        error=None,
        placed=run.mesh.placed,
        support=run.mesh.support,
        shape=lambda: run.mesh.shape,
        details=lambda: given(details),
        drawing=lambda: given(drawing),
        parts=Parts(run.nodes, run.blocks, points, cubes, count, run.resumed),
        part_options=("--max-memory", str(memory), "--workers", str(count)),
    )


def details_of(run: ReconstructionInParts) -> Details:
    """What takes a pass over the parts to find out."""
    tally, each = run.totals.cells, None
    if tally.cells <= LISTED_CELLS:
        each = solution_of_all(run.plan)
    return Details(
        {"centres": tally.centers, "cells": each}, run.residuals(), [], run.mesh.border_edges, run.mesh.shape
    )


def drawing_of(run: ReconstructionInParts, sides: NormalSettings, shares: SceneSettings, measured: bool) -> Drawing:
    """What pictures show; measured: with distances of the vertices from the points."""
    run.monitor.phase("pictures")
    memory = drawing_memory(shares, run.compute.device.type)
    vertices, faces, note = drawn_mesh(run.plan, run.touched, run.kept, memory)
    points = drawn_points(run.plan)
    distances = distances_to_points(run.plan, torch.from_numpy(vertices), points).numpy() if measured else None
    run.monitor.phase("")
    estimated = run.normals.estimated
    known = estimated.known if estimated else None
    return Drawing(
        vertices=vertices,
        faces=faces,
        points=points.numpy(),
        distances=lambda: given(distances),
        colours=colours_at(run.plan, vertices),
        point_colours=colours_at(run.plan, points.numpy()),
        up=upright(sides.up, run.form.upright, known, points.mean(0).numpy()),
        note=note,
        all_points=run.totals.fitted,
    )


T = TypeVar("T")


def given(found: T | None) -> T:
    """What was made because the job asks for it."""
    assert found is not None
    return found
