"""What a result says of itself: its report, its page, what a notebook shows, and the normals that were estimated."""

import base64
import html
import io
import json
import re
import sys
from types import ModuleType

import jsonschema
import numpy as np
import pytest
import torch
from scripts import ROOT, run, write_cloud
from shapes import sphere, torus
from skimage.io import imread

import neural_splines as ns
from neural_splines.normals.estimate import estimate
from neural_splines.surface import display

SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
CLOUD = torus(600)
SETTINGS = {
    "cells": ns.Settings(grid_size=20),
    "spline": ns.Settings(grid_size=20, cells=None, num_nystrom_samples=100, cg_max_iters=100),
}


@pytest.fixture(scope="module")
def results():
    points, normals = CLOUD.points.numpy(), CLOUD.normals.numpy()
    return {kind: ns.reconstruct(points, normals, settings) for kind, settings in SETTINGS.items()}


@pytest.fixture(scope="module")
def unoriented():
    """Of a sphere without normals; one of its points is no number, and one is there twice."""
    points = sphere(400).points.clone()
    points = torch.cat([points, points[:1], torch.full((1, 3), torch.nan)])
    with pytest.warns(ns.ReconstructionWarning, match="402 points read, 400 kept"):
        return ns.reconstruct(points, grid_size=16)


@pytest.fixture
def opened(monkeypatch):
    """What a browser was asked to open."""
    found = []
    monkeypatch.setattr(display.webbrowser, "open", found.append)
    return found


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_report_is_what_its_schema_says(results, kind, tmp_path):
    found = results[kind].report(tmp_path / "report.json")
    jsonschema.validate(found, SCHEMA)
    assert json.loads((tmp_path / "report.json").read_text()) == found


def test_a_report_counts_many_cells_and_does_not_list_them(results, monkeypatch):
    few = results["cells"].report()
    monkeypatch.setattr("neural_splines.run.report.LISTED_CELLS", 0)
    many = results["cells"].report()
    jsonschema.validate(many, SCHEMA)
    assert many["runs"][0]["solution"] == {"centres": few["runs"][0]["solution"]["centres"], "cells": None}


def test_a_report_is_that_of_the_command(tmp_path):
    """But for what only a command has: names of files, the memory, and the seconds of phases."""
    cloud, report = write_cloud(tmp_path / "cloud.ply", CLOUD), tmp_path / "report.json"
    words = [cloud, "auto", "auto", 20, "auto", "--seed", 0, "--out", tmp_path / "mesh.ply", "--report", report]
    assert run("fit-grid.py", *words).code == 0
    made = ns.reconstruct(*ns.load_point_cloud(cloud), SETTINGS["cells"])
    (theirs,), (ours,) = json.loads(report.read_text())["runs"], made.report()["runs"]
    for name in ("points", "settings", "chosen", "solution", "residuals", "mesh", "warnings", "normals"):
        assert ours[name] == theirs[name], name


def test_estimated_normals_are_those_of_their_points(unoriented):
    found, points = unoriented.estimated, sphere(400).points
    assert found.normals.shape == (402, 3)
    assert found.normals[401].isnan().all()
    assert torch.equal(found.normals[400], found.normals[0])
    assert float((found.normals[:400] * points).sum(1).min()) > 0.9
    assert found.doubted.shape == (402,)
    assert found.doubted.sum() < 20
    assert 0.9 < found.confidence <= 1.0
    said = unoriented.report()["runs"][0]["normals"]
    assert (said["source"], said["confidence"]) == ("estimated", found.confidence)


def test_doubts_are_in_the_order_of_the_points():
    """A sphere is sure, a sheet beside it, thin as its spacing, is not everywhere, in whatever order they come."""
    rng = np.random.default_rng(0)
    sheet = rng.normal(size=(800, 3)) * (1, 1, 0.02) + (4, 0, 0)
    order = rng.permutation(1600)
    points = np.concatenate([sphere(800).points.numpy(), sheet])[order]
    doubted = np.empty(1600, bool)
    doubted[order] = estimate(points).confidence.doubted
    assert doubted[:800].mean() < 0.01
    assert doubted[800:].mean() > 0.3


def test_nothing_is_kept_of_normals_that_were_given(results):
    assert results["cells"].estimated is None


def test_a_notebook_shows_a_small_mesh_to_turn(results):
    for shown in (results["cells"], results["spline"], results["cells"].mesh):
        text = shown._repr_html_()
        page = html.unescape(re.search(r'srcdoc="([^"]*)"', text)[1])
        data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
        assert data["faces"] == len(getattr(shown, "mesh", shown).faces)
        assert not re.search(r"https?://|src=[^d]", text)
    assert "points" in results["cells"]._repr_html_()
    assert (data["points"], "distance" in data) == (0, False)  # a mesh has none


def test_a_notebook_shows_a_large_mesh_as_a_picture(results, monkeypatch):
    monkeypatch.setattr(display, "MOST_FACES", 100)
    text = results["cells"]._repr_html_()
    picture = imread(io.BytesIO(base64.b64decode(re.search(r'src="data:image/png;base64,([^"]*)"', text)[1])))
    assert 0.1 < (picture < 250).any(2).mean() < 0.9
    assert "iframe" not in text


def test_a_mesh_without_faces_is_told(results):
    mesh = ns.Mesh(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    assert mesh._repr_html_() == "<p>Mesh of 0 vertices and 0 faces</p>"


def test_show_opens_its_page(results, opened, tmp_path, monkeypatch):
    monkeypatch.setattr(display.tempfile, "tempdir", str(tmp_path))
    assert results["spline"].show(tmp_path / "page.html") == str(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    for word in ("conjugate gradients", "neural-spline", "600 points read, all kept"):
        assert word in text
    path = results["cells"].mesh.show()
    assert opened == [(tmp_path / "page.html").as_uri(), f"file://{path}"]


def test_show_in_a_notebook_shows_it_there(results, opened, monkeypatch):
    shown = []
    fake = ModuleType("IPython.display")
    fake.HTML, fake.display = str, shown.append
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    monkeypatch.setattr(display, "in_notebook", lambda: True)
    assert results["cells"].show() is None
    assert shown == [results["cells"]._repr_html_()]
    assert not opened
