"""What a mesh owes to its data: a number, classes, areas and regions; and what --quality writes and shows."""

import json
import re

import numpy as np
import pytest
import torch
import trimesh
from browser import CHROMIUM
from html_page import opened
from parts import tiny
from scripts import run, write_cloud
from shapes import sphere, torus

import neural_splines as ns
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.cloud.metric import Metric
from neural_splines.run import in_parts
from neural_splines.surface.attributes import distances
from neural_splines.surface.support import classes, looked_at, support

NUMBERS = "support,uncertainty,mean-curvature,gauss-curvature"


def holed(n=1500):
    """A sphere without its cap, z > .5."""
    cloud = sphere(n)
    keep = cloud.points[:, 2] < 0.5
    return cloud.points[keep], cloud.normals[keep]


def test_the_number_falls_with_the_distance_and_where_coarse_cells_serve():
    points = torch.cartesian_prod(*2 * (torch.arange(20.0, dtype=torch.float64),))
    points = torch.cat([points, torch.zeros(len(points), 1)], 1).double()
    metric = Metric(points)
    spacing = float(metric.along.median())
    height = spacing * torch.tensor([0.0, 1.0, 1.5, 3.0, 4.5, 9.0], dtype=torch.float64)
    places = torch.tensor([10.0, 10.0, 0.0]).double() + torch.stack([0 * height, 0 * height, height], 1)
    full, coarse = (support(metric, share * torch.ones(6).double(), places) for share in (1.0, 0.0))
    assert torch.allclose(full, (1 - height / (4.5 * spacing)).clamp_min(0), atol=1e-6)
    assert torch.allclose(coarse, full**2, atol=1e-6)
    assert classes(full.numpy()).tolist() == [2, 2, 2, 1, 0, 0] or classes(full.numpy()).tolist()[:2] == [2, 2]
    assert int(classes(coarse.numpy())[3]) in (0, 1)


def test_areas_and_regions_of_a_mesh():
    """Two squares that were invented, one twice as large, in a strip that was measured."""
    vertices = np.array([(x, y, 0.0) for x in range(9) for y in (0, 1)])
    faces = np.array([f for i in range(0, 16, 2) for f in ((i, i + 2, i + 1), (i + 1, i + 2, i + 3))])
    number = np.ones(18)
    number[[2, 3, 10, 11, 12, 13]] = 0.0
    found = looked_at(vertices, faces, number)
    assert found.measured + found.bridged + found.invented == pytest.approx(8.0)
    assert (found.invented, found.region_count) == (pytest.approx(3.0), 2)
    assert [region.area for region in found.regions] == pytest.approx([2.0, 1.0])
    assert found.regions[0].place == pytest.approx((5.5, 0.5, 0.0))
    assert "2 invented regions, the largest of 2 at (5.5, 0.5, 0.0)" in found.summary()


def test_what_closes_a_hole_is_invented_and_its_place_is_told():
    points, normals = holed()
    result = ns.reconstruct(points, normals, grid_size=24, regularization=1e-6, gradient_length=0.2, fill_holes=True)
    numbers = result.qualities("support", "uncertainty")
    v, kind = result.mesh.vertices.numpy(), numbers["support_class"]
    far = distances(points.numpy(), v)
    assert (kind[far < 0.1] == 2).mean() > 0.99
    assert (kind[far > 0.8] == 0).all()
    assert (far > 0.8).any()
    found = looked_at(v, result.mesh.faces.numpy(), numbers["support"])
    assert found.region_count == 1
    assert found.regions[0].place[2] > 0.6
    assert np.array_equal(numbers["quality"], numbers["support"])
    assert np.median(numbers["uncertainty"][kind == 0]) > 3 * np.median(numbers["uncertainty"][kind == 2])


def test_files_reports_and_pages_have_the_numbers(tmp_path):
    points, normals = holed(1200)
    cloud = write_cloud(tmp_path / "cloud.ply", ns.cloud.clouds.OrientedCloud(points, normals))
    args = [cloud, "auto", "auto", 20, "auto", "--regularization", "1e-6", "--gradient-length", "0.2", "--fill-holes"]
    args += ["--seed", 0, "--out", tmp_path / "mesh.ply"]
    asked = ["--quality", NUMBERS, "--html", "{}.html", "--preview", "{}.png", "--report", tmp_path / "r.json"]
    done = run("fit-grid.py", *args, *asked)
    assert done.code == 0, done.err
    assert "support:  " in done.out
    data = trimesh.load(tmp_path / "mesh.ply", process=False).metadata["_ply_raw"]["vertex"]["data"]
    names = ["quality", "support", "support_class", "uncertainty", "mean_curvature", "gauss_curvature"]
    assert set(names) <= set(data.dtype.names)
    assert np.array_equal(data["quality"], data["support"])
    low = data["z"] < 0.3
    assert np.median(data["mean_curvature"][low]) == pytest.approx(1.0, abs=0.05)
    assert np.median(data["gauss_curvature"][low]) == pytest.approx(1.0, abs=0.1)
    assert (data["uncertainty"] > 0).all()
    told = json.loads((tmp_path / "r.json").read_text())["runs"][0]["support"]
    assert told["region_count"] == 1
    assert told["regions"][0]["place"][2] > 0.6
    page = json.loads(re.search(r'id="data">(.*?)</script>', (tmp_path / "mesh.html").read_text()).group(1))
    assert [n["name"] for n in page["numbers"]] == [
        "support",
        "uncertainty",
        "mean curvature",
        "gauss curvature",
        "distance",
    ]
    bare = run("fit-grid.py", *args[:-1], tmp_path / "bare.glb", "--quality", "support")
    assert bare.code == 0
    geometry = next(iter(trimesh.load(tmp_path / "bare.glb").geometry.values()))
    assert {"_QUALITY", "_SUPPORT", "_SUPPORT_CLASS"} <= set(geometry.vertex_attributes)


@pytest.mark.parametrize("printed", [False, True])
def test_parts_tell_of_their_mesh_what_it_has(tmp_path, monkeypatch, printed):
    """Two caps are missing: areas and regions are those of the file, though blocks cut them; as in a whole run.

    For a printer planes close them, whose few vertices are those of the rims.
    """
    monkeypatch.setattr(in_parts, "sizes", tiny)
    shape = sphere(2500)
    keep = shape.points[:, 2].abs() < 0.7
    cloud = write_cloud(tmp_path / "cloud.ply", OrientedCloud(shape.points[keep], shape.normals[keep]))
    args = [cloud, "auto", "auto", 40, "auto", "--regularization", "1e-6", "--gradient-length", "0.2", "--seed", 0]
    args += ["--quality", "support,uncertainty", *(["--printable"] if printed else ["--fill-holes"])]
    told = []
    for name, more in (("whole", []), ("parts", ["--max-memory", "2GB"])):
        path, report = tmp_path / f"{name}.ply", tmp_path / f"{name}.json"
        done = run("fit-grid.py", *args, *more, "--out", path, "--report", report)
        assert done.code == 0, done.err
        assert ("2 invented regions, the largest of" in done.out) == (not printed)
        told.append(json.loads(report.read_text())["runs"][0])
        mesh = trimesh.load(path, process=False)
        data = mesh.metadata["_ply_raw"]["vertex"]["data"]
        of_file, said = looked_at(mesh.vertices, mesh.faces, data["support"]), told[-1]["support"]
        assert said["region_count"] == of_file.region_count == (0 if printed else 2)
        for kind in ("measured", "bridged", "invented"):
            assert said[kind] == pytest.approx(getattr(of_file, kind), rel=0.01), kind
        for one, other in zip(said["regions"], of_file.regions, strict=True):
            assert one["area"] == pytest.approx(other.area, rel=0.02)
            assert np.abs(np.subtract(one["place"], other.place)).max() < 0.02
        sigma, kind = data["uncertainty"], data["support_class"]
        assert np.isfinite(sigma).all()
        told[-1]["sigma"] = [np.median(sigma[kind == k]) for k in np.unique(kind)]
        assert printed or told[-1]["sigma"][0] > 3 * told[-1]["sigma"][-1]
    whole, parts = told
    assert parts["parts"]["blocks"] >= 4
    for kind in ("measured", "invented"):
        assert parts["support"][kind] == pytest.approx(whole["support"][kind], rel=0.05)
    assert np.abs(np.log(np.divide(whole["sigma"], parts["sigma"]))).max() < 0.5


def test_without_the_option_the_bytes_are_the_same(tmp_path):
    points, normals = holed(800)
    result = ns.reconstruct(points, normals, grid_size=24, regularization=1e-6, gradient_length=0.2)
    ns.save_mesh(tmp_path / "before.ply", result)
    result.qualities("support", "uncertainty", "mean-curvature")
    ns.save_mesh(tmp_path / "after.ply", result)
    assert (tmp_path / "before.ply").read_bytes() == (tmp_path / "after.ply").read_bytes()


def test_what_cannot_be_told_is_refused(tmp_path):
    cloud = write_cloud(tmp_path / "cloud.ply", torus(300))
    args = [cloud, "auto", 100, 12, "--out", tmp_path / "a.ply", "--quality"]
    for quality, line in {
        "sureness": "expected some of distance, density, support",
        "uncertainty": "uncertainty needs cells, but this run fits one spline; use fit-grid.py",
        "mean-curvature": "curvature asks second derivatives, and this kernel has kinks",
    }.items():
        done = run("fit.py", *args, quality)
        assert done.code == 2
        assert line in done.err
        assert not (tmp_path / "a.ply").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_switches_the_colour_map(tmp_path):
    """The legend and the picture change with the number that is chosen."""
    points, normals = holed(1200)
    cloud = write_cloud(tmp_path / "cloud.ply", ns.cloud.clouds.OrientedCloud(points, normals))
    args = [cloud, "auto", "auto", 20, "auto", "--regularization", "1e-6", "--gradient-length", "0.2", "--fill-holes"]
    assert run("fit-grid.py", *args, "--out", tmp_path / "m.ply", "--quality", NUMBERS, "--html", "{}.html").code == 0
    shots, legends = [], []
    with opened() as page:
        page.show(tmp_path / "m.html")
        for name in ("support", "mean curvature"):
            page.choose("#mode", name)
            shots.append(page.picture())
            marks = page.value("[...document.querySelectorAll('#ticks span')].map(t => +t.textContent)")
            legends.append((page.text("#what"), marks))
        assert not page.said
    assert legends[0][0].startswith("Support")
    assert legends[0][1][0] == 0.0
    assert legends[0][1][-1] == 1.0
    assert legends[1][0] == "Mean curvature"
    assert (shots[0] != shots[1]).any(2).mean() > 0.05
