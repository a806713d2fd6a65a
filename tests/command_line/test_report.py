"""--report: what docs/report.schema.json says; --verbose: the command that writes the same bytes."""

import json
import re
import shlex
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
import torch
from scripts import ROOT, run, write_cloud
from shapes import edges, sphere, torus

import neural_splines as ns
from neural_splines.cloud.degeneracy import NOT_PERPENDICULAR
from neural_splines.files.meshes import load_mesh

SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def cloud(tmp_path):
    return write_cloud(tmp_path / "a cloud.ply", torus(600))


RUNS = {
    "one spline": ("fit.py", ["auto", 200, 20]),
    "one spline, regularization chosen": ("fit.py", [0.05, 200, 20, "--regularization", "auto"]),
    "uniform cells": ("fit-grid.py", ["auto", 60, 20, 2, "--robust-passes", 1]),
    "adaptive cells": ("fit-grid.py", ["auto", 60, "auto", "auto"]),
    "holes filled": ("fit-grid.py", ["auto", 60, 20, "auto", "--regularization", 1e-6, "--fill-holes", 3]),
    "in parts": ("fit-grid.py", ["auto", 60, "auto", "auto", "--max-memory", "2GB"]),
    "dense": ("fit-grid.py", ["auto", 60, 20, 1, "--dense", "--no-refine-vertices", "--trim", 2]),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_repeat_command_writes_the_same_bytes(tmp_path, cloud, name):
    """It names what was chosen, and needs nothing that was drawn by chance; the report is what its schema says."""
    script, args = RUNS[name]
    out, report = tmp_path / "mesh.ply", tmp_path / "report.json"
    first = run(script, cloud, *args, "--out", out, "--report", report, "--verbose")
    assert first.code == 0, first.err
    found = json.loads(report.read_text())
    jsonschema.validate(found, SCHEMA)
    (entry,) = found["runs"]
    assert f"repeat:   {entry['repeat_command']}\n" in first.out
    words = shlex.split(entry["repeat_command"])
    assert words[0] == script
    bytes_ = out.read_bytes()
    out.unlink()
    again = run(*words)
    assert again.code == 0, again.err
    assert out.read_bytes() == bytes_


@pytest.mark.parametrize("name", ["one spline", "uniform cells", "adaptive cells", "in parts"])
def test_numerical_details_are_for_those_who_ask(tmp_path, cloud, name):
    """They see every phase once, and as their last line what repeats the run; others see none of it."""
    script, args = RUNS[name]
    words = [script, cloud, *args, "--seed", 0, "--out", tmp_path / "mesh.ply"]
    plain, asked = run(*words), run(*words, "--verbose")
    assert plain.code == asked.code == 0, asked.err
    titles = [[line.split(":")[0] for line in found.out.splitlines()] for found in (plain, asked)]
    assert [title for title in titles[1] if title not in ("details", "repeat")] == titles[0]
    assert titles[1][-1] == "repeat"
    details = re.search(r"^details: .*", asked.out, re.MULTILINE)[0]
    assert "eps " in details
    assert ("residual" in details) == (name == "one spline")
    assert not re.search(r"eps|residual|K_nm|jitter|held-out|evaluations", plain.out)
    assert re.search(r"^lattice:  \d+ x \d+ x \d+ voxels, side [\d.]+, [\d,]+ evaluations", asked.out, re.MULTILINE)
    phases = re.findall(rf"^{script}: ([a-z ]+): [\d.]+ s$", asked.err, re.MULTILINE)
    assert "mesh" in phases
    assert len(phases) == len({*phases}), phases
    assert not re.search(rf"^{script}: [a-z ]+: [\d.]+ s$", plain.err, re.MULTILINE)


@pytest.mark.parametrize("more", [[], ["--max-memory", "2GB"]], ids=["whole", "in parts"])
def test_a_warning_is_given_once(tmp_path, more):
    """Of normals that are looked at as they are in the file, and again as they are fitted."""
    cloud = sphere(400)
    normals = np.random.default_rng(0).normal(size=(400, 3))
    units = torch.from_numpy(normals / np.linalg.norm(normals, axis=1, keepdims=True))
    path, report = write_cloud(tmp_path / "a.ply", replace(cloud, normals=units)), tmp_path / "a.json"
    words = [path, "auto", 60, 16, "auto", "--seed", 0, *more, "--out", tmp_path / "m.ply", "--report", report]
    found = run("fit-grid.py", *words)
    assert found.code == 0, found.err
    assert found.err.count(NOT_PERPENDICULAR) == 1
    assert json.loads(report.read_text())["runs"][0]["warnings"].count(NOT_PERPENDICULAR) == 1
    with pytest.warns(ns.ReconstructionWarning) as noted:
        made = ns.reconstruct(cloud.points.numpy(), units.numpy(), grid_size=16)
    assert sum("not perpendicular" in line for line in made.warnings) == 1
    assert sum("not perpendicular" in str(note.message) for note in noted) == 1


def test_the_report_agrees_with_the_run(tmp_path, cloud):
    out, report = tmp_path / "mesh.ply", tmp_path / "report.json"
    assert run("fit-grid.py", cloud, "auto", 60, 20, 2, "--seed", 5, "--out", out, "--report", report).code == 0
    found = json.loads(report.read_text())["runs"][0]
    header = out.read_bytes().split(b"end_header")[0].decode()
    assert f"element vertex {found['mesh']['vertices']}\n" in header
    assert f"element face {found['mesh']['faces']}\n" in header
    assert found["mesh"]["border_edges"] == int((edges(load_mesh(out)[1])[1] == 1).sum())
    assert found["points"]["read"] == found["points"]["fitted"] == 600
    assert (found["settings"]["seed"], found["settings"]["cells"]["cells_per_axis"]) == (5, 2)
    cells = found["solution"]["cells"]
    assert len(cells["center"]) == len(cells["error"]) == 8
    assert sum(cells["centres"]) == found["solution"]["centres"]
    assert max(found["chosen"]["grid"]) == 20
    # a torus with tubes of radius 0.4: no point is farther from its own surface than a voxel
    assert found["residuals"]["count"] == 600
    assert 0 < found["residuals"]["median"] <= found["residuals"]["max"] < found["chosen"]["voxel_size"]
    phases = {phase["name"]: phase for phase in found["phases"]}
    assert {"read", "points", "fit", "sample", "mesh", "write"} <= set(phases)
    assert all(phase["seconds"] > 0 and phase["peak_bytes"] > 10**7 for phase in phases.values())


def test_warnings_are_reported(tmp_path):
    cloud, report = write_cloud(tmp_path / "cloud.ply", sphere(100)), tmp_path / "report.json"
    args = ["auto", 10**6, 12, "--seed", 0, "--out", tmp_path / "mesh.ply", "--report", report]
    outcome = run("fit.py", cloud, *args)
    (line,) = json.loads(report.read_text())["runs"][0]["warnings"]
    assert "all are used" in line
    assert line in outcome.err


def test_a_run_in_parts_is_told_as_a_whole_one(tmp_path):
    """The same lines, warnings and numbers: of one part all are equal, but for what says that there are parts."""
    cloud = write_cloud(tmp_path / "cloud.ply", with_faults(torus(900)))
    args = ["fit-grid.py", cloud, 1e-4, 40, 24, "auto", "--regularization", 1e-8, "--seed", 0, "--normals", "file"]
    told = []
    for number, more in enumerate(([], ["--max-memory", "2GB"])):
        out, report = tmp_path / f"{number}.ply", tmp_path / f"{number}.json"
        outcome = run(*args, *more, "--strict", "--out", out, "--report", report)
        assert outcome.code == 3, outcome.err
        (entry,) = json.loads(report.read_text())["runs"]
        told.append((entry, outcome))
    (whole, first), (parts, second) = told
    assert (whole["parts"], parts["parts"]["nodes"], parts["parts"]["blocks"]) == (None, 1, 1)
    assert len(whole["warnings"]) == 2
    assert parts["warnings"] == whole["warnings"]
    assert second.err == first.err
    for name in ("points", "normals", "settings"):
        assert parts[name] == whole[name], name
    assert parts["solution"]["centres"] == whole["solution"]["centres"]
    assert sorted(parts["solution"]["cells"]["side"]) == pytest.approx(sorted(whole["solution"]["cells"]["side"]))
    assert parts["mesh"] == whole["mesh"]
    assert parts["residuals"]["count"] == whole["residuals"]["count"]
    assert parts["residuals"]["mean"] == pytest.approx(whole["residuals"]["mean"], rel=0.01)
    titles = [[line.split(":")[0] for line in outcome.out.splitlines()] for outcome in (first, second)]
    assert [title for title in titles[1] if title != "parts"] == titles[0]


def with_faults(cloud):
    """A point that repeats another, one that is no number, and one without a normal."""
    points, normals = cloud.points.clone(), cloud.normals.clone()
    points[0], points[1], normals[2] = points[5], float("nan"), 0.0
    return replace(cloud, points=points, normals=normals)


def test_steps_of_float32_are_told_in_parts(tmp_path):
    """Of coordinates far from the origin."""
    cloud = torus(400)
    path = tmp_path / "cloud.npy"
    np.save(path, np.hstack([cloud.points.numpy() + 4e5, cloud.normals.numpy()]).astype(np.float32))
    args = ["fit-grid.py", path, "auto", 30, 16, "auto", "--regularization", 1e-7, "--out", tmp_path / "mesh.ply"]
    whole, parts = (run(*args, *more).err.splitlines() for more in ([], ["--max-memory", "2GB"]))
    assert "go in steps of" in whole[0]
    assert parts[0] == whole[0]
