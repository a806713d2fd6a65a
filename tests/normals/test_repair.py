"""Normals that are zero or not finite for some points, or for all, are estimated: no point is lost for its normal."""

from __future__ import annotations

import numpy as np
import pytest
from scripts import run
from shapes import sphere, torus

import neural_splines as ns
from neural_splines.files.scans import ScannedCloud
from neural_splines.normals.orient import orient
from neural_splines.normals.repair import repaired
from neural_splines.settings import NormalSettings

CLOUD = torus(1500)
P, N = CLOUD.points.numpy(), CLOUD.normals.numpy()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e-9])
@pytest.mark.parametrize("which", ["one", "some", "a patch"])
def test_normals_that_are_missing_are_those_of_the_points_around(value, which):
    random = np.random.default_rng(0)
    bad = {"one": np.arange(len(P)) == 7, "some": random.random(len(P)) < 0.45, "a patch": P[:, 0] > 0.8}[which]
    normals = np.where(bad[:, None], value, N)
    found, (line,) = repaired(P, normals)
    assert line.startswith(f"{bad.sum()} of {len(P)} normals are zero or not finite: these were estimated")
    assert np.array_equal(found[~bad], N[~bad])
    cosine = (found[bad] * N[bad]).sum(1)
    assert cosine.min() > 0.9
    assert cosine.mean() > 0.99


def test_normals_that_most_points_lack_are_estimated_for_all():
    normals = N.copy()
    normals[:-100] = 0.0
    found, (line,) = repaired(P, normals)
    assert found is None
    assert "the normals of all points were estimated" in line


def test_a_cloud_keeps_the_points_whose_normals_are_missing():
    normals = N.copy()
    normals[::3] = np.nan
    kept = orient(ScannedCloud(P, normals), NormalSettings(), "a.ply").cloud
    assert len(kept) == len(P)
    assert len(orient(ScannedCloud(P, normals), NormalSettings(source="file"), "a.ply").cloud) == len(P) - 500


def test_points_that_are_not_finite_have_no_normal_to_estimate():
    points, normals = P.copy(), N.copy()
    points[:10], normals[:10] = np.nan, np.nan
    assert repaired(points, normals)[1] == []


def test_a_mesh_of_a_cloud_with_normals_of_zero(tmp_path):
    """As MeshLab and programs for splats write them."""
    ball = sphere(400)
    lines = [" ".join(map(repr, row)) + " 0 0 0" for row in ball.points.tolist()]
    (tmp_path / "a.xyzn").write_text("\n".join(lines))
    properties = "".join(f"property float {name}\n" for name in ("x", "y", "z", "nx", "ny", "nz"))
    header = f"ply\nformat ascii 1.0\nelement vertex 400\n{properties}end_header\n"
    (tmp_path / "a.ply").write_text(header + "\n".join(lines))
    for name in ("a.xyzn", "a.ply"):
        outcome = run("fit.py", tmp_path / name, "auto", 60, 12, "--seed", 0, "--out", tmp_path / "out.ply")
        assert outcome.code == 0, outcome.err
        assert "normals:  estimated" in outcome.out
    with pytest.warns(ns.ReconstructionWarning, match="400 of 400 normals are zero or not finite"):
        assert ns.load_point_cloud(tmp_path / "a.ply")[1] is None
