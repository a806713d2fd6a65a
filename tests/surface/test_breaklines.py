"""Breaklines: heights that follow measured lines and are not smoothed across them."""

import json
import re

import numpy as np
import pytest
from scripts import run

from neural_splines.errors import CloudError
from neural_splines.files.breaklines import load_breaklines
from neural_splines.files.rasters import Heights, Squares
from neural_splines.surface.breaklines import follow

SIDE, CORNER = 40.0, np.array([410_000.0, 5_650_000.0])
DENSITY, NOISE = 4.0, 0.03


def distance(xy):
    """From the middle of a dam that winds through the square."""
    x, y = xy.T
    return np.abs(y - 20 - 2 * np.sin(x / 9)) / np.hypot(1.0, np.cos(x / 9) * 2 / 9)


def dam(xy):
    """The height of the ground, with slopes of 1 : 2, a crest 4 m wide and 3 m high."""
    x, y = xy.T
    return 0.3 * np.sin(x / 9) * np.cos(y / 11) + np.clip(3 - (distance(xy) - 2) / 2, 0, 3)


def edges():
    """The two edges of the crest and the two feet of the slopes, measured every half metre."""
    x, found = np.linspace(0, SIDE, 81), []
    for off in (2, -2, 8, -8):
        y = 20 + 2 * np.sin(x / 9) + off * np.hypot(1.0, np.cos(x / 9) * 2 / 9)
        found.append(np.column_stack([x, y, dam(np.stack([x, y], 1))]))
    return found


def cloud(noise=NOISE, seed=0):
    rng = np.random.default_rng(seed)
    xy = SIDE * rng.random((int(DENSITY * SIDE**2), 2))
    return np.column_stack([xy, dam(xy) + noise * rng.standard_normal(len(xy))])


def placed(rows):
    return rows + np.array([*CORNER, 0.0])


def geojson(path, lines, kind="LineString"):
    def feature(coordinates, kind):
        return {"type": "Feature", "properties": {}, "geometry": {"type": kind, "coordinates": coordinates}}

    rows = [line.tolist() for line in lines]
    features = [feature(rows, "MultiLineString")] if kind == "MultiLineString" else [feature(r, kind) for r in rows]
    features.append({"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [0, 0, 0]}})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def dxf(path, lines):
    ezdxf = pytest.importorskip("ezdxf")
    drawing = ezdxf.new("R2010")
    for line in lines:
        drawing.modelspace().add_polyline3d(line.tolist())
    drawing.saveas(path)
    return path


def raster(resolution=0.25, blur=1.0):
    """Heights that a fit has rounded off: means over discs of the true ones."""
    squares = Squares.covering(CORNER, CORNER + SIDE, resolution)
    rows, columns = (index.reshape(-1) for index in np.mgrid[: squares.rows, : squares.columns])
    xy = squares.middles(rows, columns) - CORNER
    ring = [
        np.zeros(2),
        *(r * blur * np.array([np.cos(a), np.sin(a)]) for r in (0.5, 1) for a in np.arange(0, 6.28, 0.39)),
    ]
    values = np.mean([dam(xy + step) for step in ring], axis=0)
    return Heights(squares, values.reshape(squares.rows, squares.columns)), xy


def errors(found, xy):
    """RMSE within half a metre of a line, from there to a metre, and farther than four, without the rim."""
    away = np.min([np.abs(distance(xy) - edge) for edge in (2, 8)], axis=0)
    inner = ((xy > 2) & (xy < SIDE - 2)).all(1)
    wrong = found.values.reshape(-1) - dam(xy)
    zones = (away < 0.5, (away >= 0.5) & (away < 1), away > 4)
    return [float(np.sqrt((wrong[inner & zone] ** 2).mean())) for zone in zones]


def test_heights_follow_lines_and_are_not_smoothed_across_them():
    """Of noisy points; what is far from the lines stays to the bit, and so do squares without a height."""
    heights, xy = raster()
    heights.values[:8, :8] = np.nan
    points, lines = placed(cloud()), [placed(line) for line in edges()]
    found = follow(heights, lines, lambda: [points[:3000], points[3000:]], len(points))
    before, after = errors(heights, xy), errors(found, xy)
    assert after[0] < 0.1 * before[0]
    assert after[0] < 0.006  # of noise of .03
    assert after[1] < 0.5 * before[1]
    assert after[2] == before[2]
    assert found.breaklines.count == 4
    assert found.breaklines.reach == pytest.approx(np.sqrt(100 / np.pi / DENSITY), rel=0.02)
    assert np.isnan(found.values[:8, :8]).all()


def test_a_middle_on_a_line_has_its_height_exactly_and_beside_it_there_is_no_step():
    squares = Squares(0.5, 0, 40, 40, 40)
    heights = Heights(squares, np.full((40, 40), 7.0))
    rng = np.random.default_rng(0)
    points = np.column_stack([20 * rng.random((1600, 2)), np.full(1600, 7.0)])
    line = np.array([[1.25, 10.25, 7.5], [9.25, 10.25, 7.9], [18.25, 10.25, 7.1]])  # through middles of squares
    found = follow(heights, [line], lambda: [points], len(points)).values
    row = squares.top - 1 - 20
    x = (np.arange(40) + 0.5) * 0.5
    on = (x >= 1.25) & (x <= 18.25)
    assert np.allclose(found[row, on], np.interp(x[on], line[:, 0], line[:, 2]), rtol=0, atol=1e-12)
    near = Heights(Squares(0.01, 0, 2000, 2000, 2000), np.full((2000, 2000), 7.0))
    close = follow(near, [line], lambda: [points], len(points)).values[2000 - 1 - 1030 : 2000 - 1020, 500]
    assert np.abs(np.diff(close)).max() < 0.02  # .5 m of difference go over in more than a metre


def test_two_sides_of_a_step_do_not_mix():
    """A wall: lines above and below, a hand's breadth apart. One spline would have the mean between."""
    squares = Squares(0.25, 0, 80, 80, 80)
    x = (np.arange(80) + 0.5) * 0.25
    blurred = 5.0 / (1 + np.exp(-(x - 10) / 0.5))
    heights = Heights(squares, np.tile(blurred, (80, 1)))
    rng = np.random.default_rng(1)
    xy = 20 * rng.random((4 * 400, 2))
    points = np.column_stack([xy, np.where(xy[:, 0] > 10, 5.0, 0.0)])
    lines = [np.array([[9.95, 0, 0.0], [9.95, 20, 0]]), np.array([[10.05, 0, 5.0], [10.05, 20, 5]])]
    found = follow(heights, lines, lambda: [points], len(points)).values[20:60]
    assert np.abs(found[:, x < 9.9][:, -8:]).max() < 0.25
    assert np.abs(found[:, x > 10.1][:, :8] - 5.0).max() < 0.25
    assert np.abs(blurred[(x < 9.9) & (x > 9.4)]).max() > 1.0


def test_geojson_and_drawings_are_the_same_lines(tmp_path):
    lines = [placed(line) for line in edges()]
    for path in (
        geojson(tmp_path / "a.geojson", lines),
        geojson(tmp_path / "b.json", lines, "MultiLineString"),
        dxf(tmp_path / "a.dxf", lines),
    ):
        found = load_breaklines(path)
        assert len(found) == 4
        assert all(np.abs(a - b).max() < 1e-6 for a, b in zip(found, lines, strict=True))


def test_all_polylines_of_drawings_are_read(tmp_path):
    ezdxf = pytest.importorskip("ezdxf")
    drawing = ezdxf.new("R2010")
    space = drawing.modelspace()
    space.add_line((0, 0, 1), (1, 0, 2))
    space.add_lwpolyline([(0, 0), (2, 0), (2, 2)], close=True, dxfattribs={"elevation": 5.5})
    space.add_polyline2d([(0, 0), (3, 0)], dxfattribs={"elevation": (0, 0, 7.5)})
    space.add_circle((0, 0), 1)
    drawing.saveas(tmp_path / "a.dxf")
    one, ring, flat = load_breaklines(tmp_path / "a.dxf")
    assert one.tolist() == [[0, 0, 1], [1, 0, 2]]
    assert ring.tolist() == [[0, 0, 5.5], [2, 0, 5.5], [2, 2, 5.5], [0, 0, 5.5]]
    assert flat.tolist() == [[0, 0, 7.5], [3, 0, 7.5]]


LINE = '{"type": "LineString", "coordinates": %s}'
BROKEN = {
    "no JSON": ("a.geojson", "{", "is no GeoJSON"),
    "deep": ("a.geojson", "[" * 100_000, "is no GeoJSON"),
    "empty": ("a.geojson", "", "the file is empty"),
    "another thing": ("a.json", "[1, 2]", "has no line"),
    "no lines": ("a.geojson", '{"type": "Point", "coordinates": [0, 0, 0]}', "has no line"),
    "one place": ("a.geojson", LINE % "[[0, 0, 0]]", "has no line"),
    "no heights": ("a.geojson", LINE % "[[0, 0], [1, 1]]", "line 1 has places without heights"),
    "words": ("a.geojson", LINE % '[[0, 0, "a"], [1, 1, 1]]', "line 1 has a coordinate that is no finite number"),
    "infinite": ("a.geojson", LINE % "[[0, 0, 1e999], [1, 1, 1]]", "line 1 has a coordinate that is no finite number"),
    "huge": ("a.geojson", LINE % f"[[0, 0, 1{'0' * 400}], [1, 1, 1]]", "line 1 has a coordinate that is no finite"),
    "no list": ("a.geojson", LINE % "7", "has a line that is no list"),
    "no drawing": ("a.dxf", "0\nSECTION\n2\n", "is not read as DXF"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_are_one_line(tmp_path, kind):
    name, text, line = BROKEN[kind]
    if name.endswith(".dxf"):
        pytest.importorskip("ezdxf")
    (tmp_path / name).write_text(text)
    with pytest.raises(CloudError, match=line) as error:
        load_breaklines(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: ")
    assert str(error.value).isprintable()
    assert "; " in str(error.value)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dam")
    np.savetxt(folder / "a.xyz", placed(cloud()), fmt="%.4f")
    geojson(folder / "lines.geojson", [placed(line) for line in edges()])
    return folder


@pytest.mark.parametrize("parts", [(), ("--max-memory", "2GB")])
def test_the_raster_of_a_run_is_better_along_the_lines(survey, tmp_path, parts):
    """Whole and in parts; contour lines and the report know of them."""
    rasterio = pytest.importorskip("rasterio")
    words = [survey / "a.xyz", "auto", "auto", "auto", "auto", "--seed", 0, "--aerial", "--up", "z", "--shift", "none"]
    words += ["--resolution", 0.25, "--out", tmp_path / "m.ply", *parts]
    wrong = {}
    for name, more in (("without", ()), ("with", ("--breaklines", survey / "lines.geojson"))):
        report, path = tmp_path / f"{name}.json", tmp_path / f"{name}.tif"
        outcome = run("fit-grid.py", *words, "--dem", path, "--report", report, *more)
        assert outcome.code == 0, outcome.err
        with rasterio.open(path) as file:
            rows, columns = (index.reshape(-1) for index in np.mgrid[: file.height, : file.width])
            xy = np.stack(rasterio.transform.xy(file.transform, rows, columns), 1) - CORNER
            values = file.read(1, masked=True).astype(float).filled(np.nan).reshape(-1)
        keep = np.isfinite(values)
        wrong[name] = errors(Heights(None, values[keep]), xy[keep])
        terrain = json.loads(report.read_text())["runs"][0]["terrain"]
        assert terrain["breaklines"] == (4 if more else None)
    assert ", along 4 breaklines" in outcome.out
    assert wrong["with"][0] < 0.25 * wrong["without"][0]
    assert wrong["with"][1] < wrong["without"][1]
    assert wrong["with"][2] == pytest.approx(wrong["without"][2], rel=1e-6)


def test_lines_elsewhere_or_in_other_units_are_a_warning(survey, tmp_path):
    words = [survey / "a.xyz", "auto", 60, 24, "auto", "--seed", 0, "--aerial", "--contours", tmp_path / "a.geojson"]
    for move, line in (
        ((900.0, 0, 0), "none of its lines lies near the raster"),
        ((*CORNER, 300.0), "its lines are 3.* above or below the surface"),
    ):
        path = geojson(tmp_path / "lines.geojson", [edge + move for edge in edges()])
        outcome = run("fit-grid.py", *words, "--breaklines", path, "--out", tmp_path / "m.ply")
        assert outcome.code == 0

        assert re.search(f"warning: .*lines.geojson: {line}", outcome.err), outcome.err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--breaklines", "lines.geojson"], "--breaklines needs --dem or --contours; give one of them, or drop it"),
        (["--breaklines", "a.shp", "--contours", "a.json"], "a.shp: is read as GeoJSON or DXF; give it the extension"),
        (["--breaklines", "none.json", "--contours", "a.json"], "none.json: cannot be read (No such file"),
    ],
)
def test_what_cannot_be_is_one_line(survey, tmp_path, monkeypatch, words, line):
    monkeypatch.chdir(tmp_path)
    outcome = run("fit-grid.py", survey / "a.xyz", "auto", 60, 24, "auto", *words, "--out", "m.ply")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"fit-grid.py: error: {line}")
    assert len(outcome.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
