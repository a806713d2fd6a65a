"""benchmarks/srb.py: the distances of the Surface Reconstruction Benchmark, and a small run on a scan of our own."""

import json

import cases
import clouds
import numpy as np
import peers
import pytest
import srb
import truths
from truths import Shape

from neural_splines.files.meshes import save_mesh

BALL = truths.sphere(4)


def test_distances_are_those_between_samples_in_raw_units():
    """Balls of radius 1, 1.1 and 1.3 for the scan: 0.1 both ways, then 0.2, and what samples add by their spacing."""
    outer = 1.1 * BALL.vertices
    found = srb.distances(BALL, (outer, BALL.faces), 1.3 * BALL.vertices, samples=20_000)
    spacing = (4 * np.pi * 1.1**2 / 20_000) ** 0.5
    assert 0.1 - 3e-3 < found["d_C"] < 0.1 + spacing**2 / 0.2
    assert found["d_C"] < found["d_H"] < 0.1 + 10 * spacing**2 / 0.2
    assert found["from the scan, mean"] == pytest.approx(0.2, abs=5e-3)
    assert found["from the scan, mean"] < found["from the scan, largest"]
    far = np.concatenate([1.3 * BALL.vertices, [(0.0, 0.0, 5.0)]])
    one = srb.distances(BALL, (outer, BALL.faces), far, samples=20_000)
    assert one["d_H"] == found["d_H"]  # the scan has no part in it
    assert one["from the scan, largest"] == pytest.approx(3.9, abs=0.02)


def test_what_is_missing_is_far():
    """A mesh with one more ball far away, and one without half: the largest distance says so, whichever way it lies."""
    far = Shape(np.concatenate([BALL.vertices, BALL.vertices + 9]), np.concatenate([BALL.faces, BALL.faces + 2562]))
    half = BALL.faces[(BALL.vertices[BALL.faces][:, :, 2] > 0).all(1)]
    for truth, mesh in ((BALL, far), (far, BALL)):
        assert srb.distances(truth, (mesh.vertices, mesh.faces), BALL.vertices, 5000)["d_H"] > 12
    found = srb.distances(BALL, (BALL.vertices, half), BALL.vertices, 5000)
    assert found["d_H"] == pytest.approx(2**0.5, abs=0.1)  # from the lower pole to the equator


def test_a_small_run(tmp_path, capsys):
    """The scans whose files are there; Poisson's rows are computed once, where open3d is installed."""
    folder, out, stored = tmp_path / "srb", tmp_path / "ours.json", tmp_path / "peers.json"
    folder.mkdir()
    cloud = clouds.sampled(BALL, 1500, np.random.default_rng(0))
    scan, truth = (tmp_path / f"{name}.ply" for name in cases.SRB["srb-dc"])
    save_mesh(scan, cloud.points, cloud.normals, None)
    save_mesh(truth, BALL.vertices, None, BALL.faces)
    quick = [str(tmp_path), "--samples", "5000", "--grid", "32", "--peers", str(stored)]
    srb.main([*quick, "--rows", "auto,filled,poisson", "--out", str(out)])
    shown = capsys.readouterr().out
    assert "srb-anchor is left out" in shown
    rows = json.loads(out.read_text())["srb-dc"]
    for row in ("auto", "filled"):
        assert 0 < rows[row]["d_C"] < rows[row]["d_H"] < 0.3
        assert rows[row]["boundary_edges"] == 0
    if peers.available():
        rows = json.loads(stored.read_text())["srb-dc"]
        assert {f"poisson {depth}" for depth in srb.DEPTHS} < set(rows)
    else:
        assert "open3d is not installed" in shown
    with pytest.raises(SystemExit):
        srb.main([*quick, "--rows", "poison"])
    assert "no row is named poison" in capsys.readouterr().err


def test_one_spline_has_variance_0_and_15000_centres(monkeypatch):
    asked = []
    monkeypatch.setattr(srb.quality, "ours", lambda cloud, settings: (asked.append(settings) or {"error": "no"}, None))
    for row in ("auto", "filled", "spline"):
        assert srb.ours(None, None, row, srb.parse(["."])) == {"error": "no"}
    auto, filled, spline = asked
    assert (spline.cells, spline.num_nystrom_samples, spline.outer_layer_variance) == (None, 15_000, 0.0)
    assert not auto.cells.fill_holes
    assert filled.cells.fill_holes
