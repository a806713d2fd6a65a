"""benchmarks/abc_parts.py: its parts, its scans, its measure, a small run on a part, and one on files of a folder."""

import json

import abc_files
import abc_page
import abc_parts
import cad_shapes
import numpy as np
import pytest
import tof_scans
import truths
from measures import nearest, topology

from neural_splines.files.meshes import save_mesh

SQUARE = np.array([(0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0)], float), np.array([(0, 1, 2), (0, 2, 3)])
HANDLES = {"perforated": 12, "gear": 1, "flange": 1, "tube": 1}
VOLUMES = {  # of shapes as they are made, by hand
    "heat_sink": 1.24 * 0.9 * 0.15 + 7 * 0.04 * 0.9 * 0.55,
    "i_beam": 2.0 * (2 * 0.8 * 0.1 + 0.08 * 0.8),
    "enclosure": 0.7 * 0.4 - 0.92 * 0.62 * 0.36,
    "stairs": 0.6 * 15 / 25,
    "plate": 0.016,
}


def volume(shape):
    corners = shape.vertices[shape.faces]
    return np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6


@pytest.mark.parametrize("name", cad_shapes.SHAPES)
def test_parts_are_closed_and_seen_from_outside(name):
    shape = cad_shapes.SHAPES[name]()
    found = topology(shape.vertices, shape.faces)
    assert (found.watertight, found.components, found.euler) == (True, 1, 2 - 2 * HANDLES.get(name, 0))
    assert volume(shape) > 0
    if name in VOLUMES:
        assert volume(shape) == pytest.approx(VOLUMES[name])
    unit = cad_shapes.normalised(shape)
    assert np.ptp(unit.vertices, axis=0).max() == pytest.approx(1.0)


def test_a_wall_between_two_boxes_is_no_surface():
    pair = cad_shapes.blocks(np.ones((2, 1, 1), bool), [0.0, 1.0, 3.0], [0.0, 1.0], [0.0, 1.0])
    assert volume(pair) == pytest.approx(3.0)
    assert not ((pair.vertices[pair.faces][:, :, 0] == 1.0).all(1)).any()


def test_scans_lie_on_the_part_and_noise_along_the_rays():
    part = cad_shapes.normalised(cad_shapes.stairs())
    rng = np.random.default_rng
    clean, sigma = tof_scans.scanned(part, "none", rng(0))
    assert sigma == 0.0
    assert nearest(clean, part.vertices, part.faces)[0].max() < 1e-5  # rays are traced in single precision
    low, high = part.vertices.min(0), part.vertices.max(0)
    assert (clean.min(0) < low + 0.05).all()  # from all sides
    assert (clean.max(0) > high - 0.05).all()
    noisy, sigma = tof_scans.scanned(part, "max", rng(0))
    assert sigma == 0.05
    assert len(noisy) == len(clean)
    off = np.linalg.norm(noisy - clean, axis=1)
    assert off.std() < 0.05 < (off**2).mean() ** 0.5 * 1.05
    assert (off**2).mean() ** 0.5 == pytest.approx(0.05, rel=0.05)
    sigmas = {tof_scans.scanned(part, "var", rng(seed))[1] for seed in range(3)}
    assert len(sigmas) == 3
    assert max(sigmas) < 0.05


def test_chamfer_is_that_of_two_parallel_squares():
    """Side 2, 0.1 apart: in units of the side 0.05 both ways, so 10 %; squared 2 * 0.05^2 * 100 = 0.5."""
    vertices, faces = SQUARE
    spacing = 1 / 10_000**0.5
    distance, squared = abc_parts.chamfer(SQUARE, (vertices + np.array([0, 0, 0.1]), faces))
    assert 10.0 <= distance < 10.0 + 100 * spacing**2 / 0.05
    assert 0.5 <= squared < 0.5 + 200 * spacing**2


def test_a_run_on_a_part_and_its_tables(tmp_path, capsys):
    out, page = tmp_path / "abc.json", tmp_path / "page.md"
    page.write_text("before\n<!-- tables: begin -->\n<!-- tables: end -->\nafter\n")
    run = ["--noise", "none", "--shapes", "bolt", "--no-peers", "--jobs", "1", "--device", "cpu"]
    abc_parts.main([*run, "--out", str(out), "--document", str(page)])
    shown = capsys.readouterr().out
    rows = json.loads(out.read_text())["bolt_none"]
    assert rows["floor"]["chamfer"] < rows["auto"]["chamfer"] < 2 * rows["floor"]["chamfer"]
    assert rows["auto"]["cd"] < 2e-3
    assert rows["filled"]["boundary_edges"] == 0
    assert "| no noise | 1 | auto |" in shown
    text = page.read_text()
    assert text.startswith("before\n")
    assert "| bolt_none | " in text
    with pytest.raises(SystemExit):
        abc_parts.parse(["--noise", "loud"])
    assert "loud: name some of none, med, var, max" in capsys.readouterr().err


def test_files_of_a_folder_are_paired_by_name(tmp_path, capsys):
    """Clouds of three kinds, one with a mesh in another folder; what has no partner, and query values, are left out."""
    ball = truths.sphere(3)
    (tmp_path / "04_pts").mkdir()
    (tmp_path / "03_meshes").mkdir()
    for name in ("one", "two", "three", "alone"):
        save_mesh(tmp_path / "03_meshes" / f"{name}.ply", ball.vertices, None, ball.faces)
    np.save(tmp_path / "04_pts" / "one.xyz.npy", ball.vertices.astype(np.float32))
    np.save(tmp_path / "04_pts" / "alone.ply.npy", np.zeros(5))
    np.savetxt(tmp_path / "04_pts" / "two.xyz", ball.vertices)
    save_mesh(tmp_path / "04_pts" / "three.ply", ball.vertices, ball.vertices, None)
    found = abc_files.pairs(tmp_path)
    assert [name for name, *_ in found] == ["one", "three", "two"]
    for _, cloud, mesh in found:
        points, truth = abc_files.read(cloud, mesh)
        assert points.shape == ball.vertices.shape
        assert len(truth.faces) == len(ball.faces)
    out = tmp_path / "abc.json"
    (tmp_path / "04_pts" / "two.xyz").unlink()
    (tmp_path / "04_pts" / "three.ply").unlink()
    abc_parts.main([str(tmp_path), "--no-peers", "--jobs", "1", "--device", "cpu", "--out", str(out)])
    rows = json.loads(out.read_text())
    assert list(rows) == ["one"]
    assert rows["one"]["auto"]["cd"] < 5e-3
    assert "| files | 1 | auto |" in capsys.readouterr().out


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_without_pairs_is_told_in_a_line(make, tmp_path, capsys):
    folder = tmp_path / "data"
    if make:
        folder.mkdir()
        np.savetxt(folder / "one.xyz", np.eye(3))
    with pytest.raises(SystemExit) as stop:
        abc_parts.parse([str(folder)])
    assert stop.value.code == 2
    assert ("1 clouds" if make else "is not a folder") in capsys.readouterr().err


def test_the_page_has_every_case_and_what_is_stored():
    stored = json.loads((abc_parts.ROOT / "benchmarks" / "results" / "abc.json").read_text())
    page = (abc_parts.ROOT / "docs" / "results" / "abc.md").read_text(encoding="utf-8")
    assert {f"{shape}_{noise}" for shape in cad_shapes.SHAPES for noise in tof_scans.NOISE} <= set(stored)
    assert abc_page.tables(stored) in page


def test_the_best_depth_is_that_of_least_cd():
    row = {"chamfer": 1.0, "normal_consistency": 0.9}
    rows = {
        "auto": {**row, "cd": 0.02},
        "Open3D 5": {**row, "cd": 0.03},
        "Open3D 6": {**row, "cd": 0.01, "chamfer": 0.9},
    }
    rows |= {"Open3D 7": {"error": "no face"}, "case": {"points": 5, "sigma": 0.0}, "floor": {"chamfer": 0.5}}
    found = abc_page.compared(rows)
    assert found["Open3D"]["depth"] == "6"
    assert list(found) == ["auto", "Open3D"]
    text = abc_page.tables({"plate_none": rows, "tube_none": {**rows, "auto": {"error": "none"}}})
    assert "| no noise | 2 | Open3D | **0.90** | **100.0** | **0.9000** | 2 |  |" in text
    assert "| no noise | 2 | auto | 1.00 | 200.0 | **0.9000** | 0 | 1 |" in text
    assert "no surface" in text
