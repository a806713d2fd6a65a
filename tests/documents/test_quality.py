"""What benchmarks/quality.py tells: comparisons, tables and pictures; one small run of it all."""

import json
import math

import cases
import clouds
import documents
import numpy as np
import peers
import pictures
import pytest
import quality
import report
import truths
from cases import Case
from comparison import compare, not_compared
from figures import figures, groups, harm, summary
from results import Results

SQUARE = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float), np.array([(0, 1, 2), (0, 2, 3)])


def row(cd, normals, **more):
    kept = {"cd": cd, "normal_consistency": normals, "components": 1, "watertight": True, "boundary_edges": 0}
    return {**kept, "seconds": 1.0, **more}


def test_the_best_peer_is_compared_with(tmp_path):
    """The least cd of all that may be compared: trimmed only where nothing was filled; a stale peer is none."""
    results, stored = Results(None), Results(None)
    peer = {f"poisson {depth}": row(depth / 10, 0.9) for depth in peers.DEPTHS}
    peer |= {"poisson 7 trimmed 0.05": row(0.2, 0.8), "truth": {"components": 1}}
    stored.add("torus", [1.0], peer)
    results.add("torus", [1.0], {"default": row(0.3, 0.95), "filled": row(0.3, 0.95)})
    default, filled = compare(results, stored, {"torus": Case("torus", 20_000)})
    assert (default.peer, default.ratio) == ("poisson 7 trimmed 0.05", pytest.approx(1.5))
    assert (filled.peer, filled.ratio) == ("poisson 6", pytest.approx(0.5))
    assert "cd better in 1 (50%)" in summary([default, filled])[0]
    assert "1.50 at worst" in summary([default, filled])[1]
    results.add("torus", [2.0], {"default": row(0.3, 0.95)})
    assert compare(results, stored, {"torus": Case("torus", 20_000)}) == []


def stored_peers(results, name, mine, **more):
    """Rows of four depths beside ours; depth 6 has the least cd, .6, and depth 9 the least largest distance, 1."""
    stored = Results(None)
    peer = {f"poisson {d}": row(d / 10, 0.9, hausdorff=10.0 - d) for d in peers.DEPTHS} | more
    stored.add(name, [1.0], {**peer, "truth": {"components": 1}})
    results.add(name, [1.0], mine)
    return stored


@pytest.mark.parametrize("case", [Case("torus", 20_000, holes=6), Case("torus", 20_000, kind="void")])
def test_what_lacks_a_part_is_compared_where_both_close_it(case):
    """Filled against closed Poisson, which counts at `auto`; what was run open alone is told."""
    results = Results(None)
    mine = {"default": row(9.0, 0.5), "filled": row(0.3, 0.95, hausdorff=2.0)}
    stored = stored_peers(results, case.name, mine, **{"poisson 7 trimmed 0.05": row(0.1, 0.8)})
    (filled,) = compare(results, stored, {case.name: case})
    assert filled.at_auto
    assert (filled.peer, filled.ratio) == ("poisson 6", pytest.approx(0.5))
    assert filled.ratio_of_largest == pytest.approx(2.0)  # to the least of any depth, not to that of the least cd
    assert not_compared(results, [filled], {case.name: case}) == []
    opened = Results(None)
    opened.add(case.name, [1.0], {"default": row(9.0, 0.5)})
    assert compare(opened, stored, {case.name: case}) == []
    assert not_compared(opened, [], {case.name: case}) == [f"{case.name} (not filled)"]
    assert not_compared(results, [], {case.name: case}) == [f"{case.name} (no peers of these arrays)"]


def test_figures_tell_borders_harm_and_what_is_held_out():
    case, results = Case("torus", 20_000), Results(None)
    mine = {"default": row(0.3, 0.95, boundary_edges=12), "filled": row(0.33, 0.95, hausdorff=0.5)}
    found = compare(results, stored_peers(results, "torus", mine), {"torus": case})
    assert harm(found) == [
        "clean closed objects, filled to open: ratio of cd 1.10 in the geometric mean of 1; above 1.03 in 1: torus 1.10"
    ]
    text = "\n".join(figures(found))
    assert "border edges in 1 of 1 completely sampled closed objects: torus 12" in text
    assert "filled, all: largest distance better in 1 (100%), ratio 0.50" in text
    named = dict(groups(found))
    assert set(named) == {"all", "the first 79", "held out" if case.held_out else "not held out"}
    sheet = Case("waves", 20_000)
    found = compare(results, stored_peers(results, "waves", mine), {"waves": sheet})
    assert "in 0 of 0" in "\n".join(figures(found))  # a border of an open surface is none too many


def test_a_failed_run_is_lost():
    results, stored = Results(None), Results(None)
    peer = {f"poisson {depth}": row(0.1, 0.9) for depth in peers.DEPTHS}
    stored.add("torus", [1.0], {**peer, "truth": {"components": 1}})
    results.add("torus", [1.0], {"default": {"error": "no face is left", "seconds": 1.0}})
    (lost,) = compare(results, stored, {"torus": Case("torus", 20_000)})
    assert lost.ratio == math.inf
    assert not lost.better_normals
    assert "failed: 1 (100%)" in summary([lost])[1]


@pytest.fixture
def one_case(monkeypatch):
    case = Case("bracket", 1500)
    for module in (quality, report):
        monkeypatch.setattr(module, "all_cases", lambda data: [case])
    return case


def test_a_small_run(one_case, tmp_path, capsys):
    """Ours, and Poisson where open3d is installed; where it is not, the stored rows."""
    out, peer = tmp_path / "ours.json", tmp_path / "peers.json"
    if not peers.available():
        cloud, shape = one_case.build()
        rows = {f"poisson {depth}": row(1.0, 0.5, accuracy=1.0, completeness=1.0) for depth in peers.DEPTHS}
        Results(peer).add("bracket", cases.fingerprint(cloud, shape), {**rows, "truth": {"components": 1}})
    quick = ["--grid", "32", "--samples", "5000", "--settings", "regularization=1e-7"]
    quality.main([*quick, "--out", str(out), "--peers", str(peer)])
    shown = capsys.readouterr().out
    found = json.loads(out.read_text())["bracket"]
    assert 0 < found["default"]["cd"] < 0.01
    assert found["default"]["normal_consistency"] > 0.95
    assert "at `auto`, all: 1 cases: cd better" in shown
    assert len(json.loads(peer.read_text())["bracket"]) == 6  # fingerprint, truth, four depths


def test_tables_take_the_place_between_the_marks(one_case, tmp_path):
    """A row for each mode, what was won in bold, an error in its row; the text around them stays."""
    out, peer, document = (tmp_path / name for name in ("ours.json", "peers.json", "quality.md"))
    results, stored = Results(out), Results(peer)
    mine = row(2e-4, 0.95, accuracy=1e-4, completeness=3e-4, boundary_edges=7)
    theirs = row(4e-4, 0.99, accuracy=4e-4, completeness=4e-4)
    peer_rows = {f"poisson {depth}": theirs for depth in peers.DEPTHS}
    stored.add("bracket", [1.0], {**peer_rows, "truth": {"components": 1}})
    results.add("bracket", [1.0], {"default": mine, "filled": {"error": "no face is left", "seconds": 1.0}})
    document.write_text(f"before\n{documents.BEGIN}\nold\n{documents.END}\nafter\n")
    report.main([str(out), "--peers", str(peer), "--document", str(document), "--before", str(out)])
    text = document.read_text()
    assert "| all | 1 | 1 (100%) | 0.50 | 0.50 (bracket) | 0 (0%) |" in text
    assert "| `auto` | normals: ours against Poisson's | bracket 0.9500 / 0.9900 |" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    text = (tmp_path / "results" / "quality.md").read_text()
    assert (
        "| bracket | 2.00 (1.00 / 3.00) | 0.9500 | 1 of 1, 7 | 6 | 4.00 (4.00 / 4.00) | 0.9900 | **0.50** | 0.50 |"
        in text
    )
    assert "| bracket | no face is left |" in text
    assert "| bracket | **4.00 / 0.9900** | 4.00 / 0.9900 | 4.00 / 0.9900 | 4.00 / 0.9900 |  |" in text


@pytest.mark.skipif(not peers.available(), reason="open3d is not installed")
def test_poisson_is_trimmed_from_the_outside():
    cloud = clouds.sampled(truths.sphere(4), 2000, np.random.default_rng(0))
    half = cloud.keep(cloud.points[:, 2] > 0)
    meshes = list(peers.poisson(half.points, half.normals, 5, (0.1, 0.3)))
    assert [quantile for quantile, *_ in meshes] == [0.0, 0.1, 0.3]
    sizes = [len(faces) for _, _, faces in meshes]
    assert sizes[0] > sizes[1] > sizes[2] > 0
    lowest = [vertices[:, 2].min() for _, vertices, _ in meshes]
    assert lowest[0] < lowest[2]


def test_settings_of_a_run_are_those_that_were_asked_for():
    options = quality.parse(["--settings", "regularization=1e-6", "--settings", "points_per_cell=400", "--seed", "3"])
    settings = quality.settings_of(options, filled=True)
    assert (settings.regularization, settings.seed, settings.grid_size) == (1e-6, 3, 256)
    assert settings.cells.points_per_cell == 400
    assert settings.cells.fill_holes


def test_words_choose_cases(tmp_path):
    def chosen(*words):
        return {case.name for case in quality.chosen_cases(quality.parse([*words, "--data", str(tmp_path)]))}

    assert chosen("--cases", "=torus") == {"torus"}
    assert {"knot_noise1", "gear_noise1_estimated"} <= chosen("--cases", "noise1")
    assert "waves" in chosen("--cases", "open")
    assert not chosen("--split", "tune") & chosen("--split", "held")
    assert chosen("--split", "tune") | chosen("--split", "held") == chosen()


def test_pictures_show_the_nearest_face_and_its_side():
    """A square over a larger one, which is seen from its back: their areas in pixels, grey and orange, white around."""
    vertices, faces = SQUARE
    camera = pictures.Camera.looking((0, 0, 1), (0, 1, 0), (0.5, 0.5, 0), 1.0)
    both = np.concatenate([vertices + np.array([0, 0, 0.5]), 1.6 * vertices - np.array([0.3, 0.3, 0.5])])
    picture = pictures.render(both, np.concatenate([faces, faces[:, ::-1] + 4]), camera, 100, borders=False)
    red, blue = picture[:, :, 0].astype(int), picture[:, :, 2].astype(int)
    white, orange = (picture == 255).all(2), (red > blue + 30)
    assert (~white).sum() == 80 * 80
    assert orange.sum() == 80 * 80 - 50 * 50
    assert not orange[25:75, 25:75].any()
    borders = pictures.render(both, np.concatenate([faces, faces[:, ::-1] + 4]), camera, 100)
    assert (borders[25, 25:75, 0] > borders[25, 25:75, 1] + 50).all()


def test_pictures_of_large_triangles_and_of_points():
    """A triangle of many tiles is drawn without gaps; a cloud is drawn as dots."""
    vertices, faces = np.array([(-9, -9, 0), (9, -9, 0), (0, 9, 0)], float), np.array([(0, 1, 2)])
    camera = pictures.Camera.looking((0, 0, 1), (0, 1, 0), (0, 0, 0), 1.0)
    assert (pictures.render(vertices, faces, camera, 120) < 255).all()
    dots = pictures.render(np.array([(0.0, 0.0, 0.0)]), np.empty((0, 3), int), camera, 120)
    assert 1 <= (dots < 255).any(2).sum() <= 9
