"""benchmarks/srb.py: distances of the Surface Reconstruction Benchmark, a small run on a scan of our own, the page."""

import json

import cases
import closed_peers
import clouds
import numpy as np
import published
import pytest
import srb
import srb_page
import truths
from results import Results
from truths import Shape

from neural_splines.files.meshes import save_mesh

BALL = truths.sphere(4)
SQUARE = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float), np.array([(0, 1, 2), (0, 2, 3)])


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


def test_both_measures_of_two_parallel_squares():
    """Squares of side 10, 0.5 apart: every distance is 0.5, in raw units and as a part of the diagonal."""
    vertices, faces = 10 * SQUARE[0], SQUARE[1]
    truth, lifted = Shape(vertices, faces, sharp=True), vertices + np.array([0.0, 0.0, 0.5])
    found = srb.judged(truth, (lifted, faces), vertices + np.array([0.0, 0.0, 0.2]), samples=40_000)
    spacing = 10 / 40_000**0.5
    assert 0.5 <= found["d_C"] < 0.5 + spacing**2
    assert 0.5 <= found["d_H"] < 0.5 + (6 * spacing) ** 2
    assert 0.3 <= found["from the scan, mean"] < found["from the scan, largest"] + 1e-12 < 0.35
    diagonal = 200**0.5
    assert found["accuracy"] == pytest.approx(0.5 / diagonal)
    assert found["completeness"] == pytest.approx(0.5 / diagonal)
    assert found["normal_consistency"] == pytest.approx(1.0)
    assert (found["components"], found["boundary_edges"]) == (1, 4)


def test_a_mesh_without_faces_is_told():
    assert srb.judged(BALL, (BALL.vertices, np.empty((0, 3), int)), BALL.vertices, 100) == {"error": "no face"}


def test_what_is_missing_is_far():
    """A mesh with one more ball far away, and one without half: the largest distance says so, whichever way it lies."""
    far = Shape(np.concatenate([BALL.vertices, BALL.vertices + 9]), np.concatenate([BALL.faces, BALL.faces + 2562]))
    half = BALL.faces[(BALL.vertices[BALL.faces][:, :, 2] > 0).all(1)]
    for truth, mesh in ((BALL, far), (far, BALL)):
        assert srb.distances(truth, (mesh.vertices, mesh.faces), BALL.vertices, 5000)["d_H"] > 12
    found = srb.distances(BALL, (BALL.vertices, half), BALL.vertices, 5000)
    assert found["d_H"] == pytest.approx(2**0.5, abs=0.1)  # from the lower pole to the equator


def test_a_small_run(tmp_path, capsys, monkeypatch):
    """The scans whose files are there, ours with and without normals; installed peers run once, and are stored."""
    folder, out, stored = tmp_path / "srb", tmp_path / "ours.json", tmp_path / "peers.json"
    folder.mkdir()
    cloud = clouds.sampled(BALL, 1500, np.random.default_rng(0))
    scan, truth = (tmp_path / f"{name}.ply" for name in cases.SRB["srb-dc"])
    save_mesh(scan, cloud.points, cloud.normals, None)
    save_mesh(truth, BALL.vertices, None, BALL.faces)
    calls = []

    def peer(points, normals, depth):
        calls.append(depth)
        return 1.1 * BALL.vertices, BALL.faces

    monkeypatch.setattr(closed_peers, "installed", lambda: {"Open3D": peer})
    monkeypatch.setattr(srb, "has_gpu", lambda device: False)
    quick = [str(tmp_path), "--samples", "5000", "--grid", "32", "--peers", str(stored), "--device", "cpu"]
    quick += ["--stored", str(tmp_path / "none.json")]
    srb.main([*quick, "--out", str(out)])
    shown = capsys.readouterr().out
    assert "srb-anchor is left out" in shown
    assert "spline          wants a GPU" in shown
    assert "PyMeshLab 8     is not installed" in shown
    assert "published, not run" in shown
    rows = json.loads(out.read_text())["srb-dc"]
    for row in ("auto", "filled", "estimated"):
        assert 0 < rows[row]["d_C"] < rows[row]["d_H"] < 0.3
        assert rows[row]["boundary_edges"] == 0
        assert rows[row]["machine"]
    assert "spline" not in rows
    assert calls == list(srb.DEPTHS)
    assert json.loads(stored.read_text())["srb-dc"]["Open3D 7"]["d_C"] == pytest.approx(0.1, abs=0.02)
    srb.main([*quick, "--rows", "auto"])
    assert ", stored" in capsys.readouterr().out
    assert calls == list(srb.DEPTHS)  # none ran again
    with pytest.raises(SystemExit):
        srb.main([*quick, "--rows", "splines"])
    assert "no row is named splines" in capsys.readouterr().err


def test_installed_peers_give_closed_surfaces():
    cloud = clouds.sampled(BALL, 2000, np.random.default_rng(0))
    for name, program in closed_peers.installed().items():
        assert name in closed_peers.NAMES
        vertices, faces = program(cloud.points, cloud.normals, 5)
        assert np.abs(np.linalg.norm(vertices, axis=1) - 1).max() < 0.05, name
        assert len(faces) > 500


def test_one_spline_has_variance_0_and_15000_centres(monkeypatch):
    asked = []
    monkeypatch.setattr(
        srb.quality, "ours", lambda cloud, settings: (asked.append((cloud, settings)) or {"error": "no"}, None)
    )
    cloud = clouds.Cloud(BALL.vertices, BALL.vertices)
    for row in srb.ROWS:
        assert srb.ours(cloud, None, row, srb.parse(["."])) == {"error": "no"}
    auto, filled, estimated, spline = (settings for _, settings in asked)
    assert (spline.cells, spline.num_nystrom_samples, spline.outer_layer_variance) == (None, 15_000, 0.0)
    assert not auto.cells.fill_holes
    assert filled.cells.fill_holes
    assert estimated.cells.fill_holes
    assert [given.normals is None for given, _ in asked] == [False, False, True, False]


def test_every_published_row_has_a_source_and_is_marked_on_the_page():
    rows = published.rows()
    assert len(rows) >= 8
    for row in rows:
        assert len(row.source) > 20
        assert all(0 < near < far for near, far in row.figures.values())
    page = (srb.ROOT / "docs" / "results" / "srb.md").read_text(encoding="utf-8")
    for at, row in enumerate(rows, 1):
        assert f"{row.method}: published, not run [{at}]" in page
        assert row.source in page


def test_a_published_row_without_a_source_is_an_error(tmp_path):
    row = {"method": "X", "figures": {"dc": [0.1, 1.0]}, "units": "raw", "normals": "none", "source": " "}
    file = tmp_path / "published.json"
    file.write_text(json.dumps({"rows": [row]}))
    with pytest.raises(ValueError, match="the row X has no source"):
        published.rows(file)


def test_the_page_shows_what_is_stored():
    """Tables are those of the stored rows; the least figure of a column is bold; published rows have no bold."""
    ours, peers = Results(None), Results(None)
    row = {"d_C": 0.2, "d_H": 3.0, "from the scan, mean": 0.1, "from the scan, largest": 1.0, "seconds": 5.0}
    ours.add("srb-dc", [1.0], {"filled": row, "auto": {"error": "failed"}})
    peers.add("srb-dc", [1.0], {"Open3D 7": {**row, "d_C": 0.1, "d_H": 4.0}})
    found = srb_page.tables(ours, peers, published.rows())
    assert "| `--fill-holes` |  |  | 0.200 / **3.00** (0.100 / 1.00) |  |  |" in found
    assert "| Poisson, Open3D, depth 7 |  |  | **0.100** / 4.00 (0.100 / 1.00) |  |  |" in found
    assert "`auto`" not in found
    page = (srb.ROOT / "docs" / "results" / "srb.md").read_text(encoding="utf-8")
    assert srb_page.tables(Results(srb.STORED), Results(srb.PEERS), published.rows()) in page
