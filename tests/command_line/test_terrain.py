"""--dem, --contours and --crs of the commands: hills whose heights are known, in the coordinates of a map."""

import json
import sys

import numpy as np
import pytest
from scripts import run, write_cloud
from shapes import sphere

rasterio = pytest.importorskip("rasterio")
pytest.importorskip("pyproj")
laspy = pytest.importorskip("laspy")

CORNER = np.array([410_000.0, 5_650_000.0])
SIDE, ROOF = 30.0, 6.0
ARGS = ["auto", 60, "auto", "auto", "--device", "cpu", "--seed", 0, "--normals", "file", "--regularization", 1e-7]


def hill(xy):
    """Heights [n] and normals [n, 3] in metres from the corner."""
    x, y = xy.T / 4.0
    slope = np.stack([np.cos(x) * np.cos(y), -np.sin(x) * np.sin(y)], 1) * 0.25
    normals = np.column_stack([-slope, np.ones(len(xy))])
    return 50.0 + np.sin(x) * np.cos(y), normals / np.linalg.norm(normals, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """A LAS of a hill with a flat roof in its middle, of class 6."""
    import pyproj

    rng = np.random.default_rng(0)
    xy = SIDE * rng.random((2500, 2))
    z, normals = hill(xy)
    roof = (np.abs(xy - SIDE / 2) < 4.0).all(1)
    z, normals = np.where(roof, 50.0 + ROOF, z), np.where(roof[:, None], [0.0, 0.0, 1.0], normals)
    header = laspy.LasHeader(point_format=6, version="1.4")
    header.scales, header.offsets = [1e-4] * 3, [*CORNER, 0.0]
    header.add_crs(pyproj.CRS("EPSG:25833"))
    header.add_extra_dims([laspy.ExtraBytesParams(name=name, type=np.float64) for name in ("nx", "ny", "nz")])
    file = laspy.LasData(header)
    file.x, file.y, file.z = (np.column_stack([xy, z]) + np.append(CORNER, 0.0)).T
    file.classification = np.where(roof, 6, 2).astype(np.uint8)
    for name, values in zip(("nx", "ny", "nz"), normals.T, strict=True):
        file[name] = values
    path = tmp_path_factory.mktemp("hill") / "hill.las"
    file.write(str(path))
    return path


def read(path):
    """Places of squares [n, 2] from the corner, and heights [n] there, NaN for none."""
    with rasterio.open(path) as file:
        assert file.crs.to_epsg() == 25833
        rows, columns = (index.reshape(-1) for index in np.mgrid[: file.height, : file.width])
        x, y = np.array(rasterio.transform.xy(file.transform, rows, columns))
        return np.stack([x, y], 1) - CORNER, file.read(1, masked=True).astype(float).filled(np.nan).reshape(-1)


@pytest.mark.parametrize("parts", [[], ["--max-memory", "2GB"]])
def test_the_ground_has_its_heights_without_the_roof(cloud, tmp_path, parts):
    """In the system of the LAS; no data below the roof; contour lines at their heights; all of it in the report."""
    names = {name: tmp_path / f"a.{name}" for name in ("tif", "geojson", "json", "ply")}
    words = ["--classes", 2, "--dem", names["tif"], "--contours", names["geojson"], "--report", names["json"]]
    more = ["--resolution", 0.5, "--interval", 0.5, "--out", names["ply"], *parts]
    found = run("fit-grid.py", cloud, *ARGS, *words, *more)
    assert found.code == 0, found.err
    assert "crs:      ETRS89 / UTM zone 33N (EPSG:25833)" in found.out
    assert "terrain:  6" in found.out
    places, heights = read(names["tif"])
    inner = ((places > 1.0) & (places < SIDE - 1.0)).all(1)
    under, around = (np.abs(places - SIDE / 2) < 2.5).all(1), (np.abs(places - SIDE / 2) < 5.0).all(1)
    assert np.isnan(heights[under]).all()
    assert np.isfinite(heights[inner & ~around]).all()
    error = (heights - hill(places)[0])[inner & ~around]
    assert np.sqrt((error**2).mean()) < 0.01
    lines = json.loads(names["geojson"].read_text())
    assert lines["crs"]["properties"]["name"].endswith("EPSG::25833")
    for line in lines["features"]:
        where = np.array(line["geometry"]["coordinates"]) - CORNER
        keep = ((where > 1.0) & (where < SIDE - 1.0)).all(1) & ~(np.abs(where - SIDE / 2) < 5.0).all(1)
        assert np.abs(hill(where[keep])[0] - line["properties"]["elevation"]).max(initial=0.0) < 0.05
    entry = json.loads(names["json"].read_text())["runs"][0]
    assert entry["crs"]["epsg"] == 25833
    assert entry["terrain"]["resolution"] == 0.5
    assert entry["terrain"]["lines"] == len(lines["features"]) > 3


def test_with_the_roof_it_is_the_topmost_surface(cloud, tmp_path):
    found = run("fit-grid.py", cloud, *ARGS, "--dem", tmp_path / "a.tif", "--out", tmp_path / "a.ply")
    assert found.code == 0, found.err
    places, heights = read(tmp_path / "a.tif")
    roof = (np.abs(places - SIDE / 2) < 3.0).all(1)
    assert np.abs(heights[roof] - 50.0 - ROOF).max() < 0.1
    assert np.allclose(np.diff(np.unique(places[:, 0])), np.diff(np.unique(places[:, 0]))[0])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--resolution", 1], "--resolution needs --dem or --contours; give one of them, or drop it"),
        (["--interval", 1], "--interval needs --contours; name a file for them, or drop it"),
        (["--dem", "a.tif", "--interval", 1], "--interval needs --contours; name a file for them, or drop it"),
        (["--dem", "a.tif", "--resolution", 0], "--resolution must be greater than 0, got 0"),
        (["--dem", "a.png"], "a.png: is written as GeoTIFF; give it the extension .tif"),
        (["--contours", "a.shp"], "a.shp: is written as GeoJSON or DXF; give it the extension .geojson"),
        (["--dem", "a.tif", "--up", "y"], "--dem and --contours need heights along z, but --up is y; turn the cloud"),
        (["--crs", "EPSG:1"], "--crs 'EPSG:1' is no coordinate system; give its code, as EPSG:25833"),
        (["--dem", "a.tif", "--resolution", 1e-9], "--resolution 1e-09 makes more than 10000000 squares along a side"),
        (["--contours", "a.geojson", "--interval", 1e-9], "--interval 1e-09 makes more than 100000 contour lines"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(tmp_path, monkeypatch, words, line):
    monkeypatch.chdir(tmp_path)
    cloud = write_cloud(tmp_path / "ball.ply", sphere(300))
    found = run("fit-grid.py", cloud, "auto", 30, 10, "auto", "--regularization", 1e-7, *words, "--out", "mesh.ply")
    assert found.code == 2
    assert found.err.startswith(f"fit-grid.py: error: {line}")
    assert len(found.err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ball.ply"]


def test_without_rasterio_only_a_raster_is_refused(tmp_path, monkeypatch):
    """Before any work; contour lines need none of it."""
    monkeypatch.setitem(sys.modules, "rasterio", None)
    cloud = write_cloud(tmp_path / "ball.ply", sphere(300))
    args = [cloud, "auto", 30, 10, "auto", "--regularization", 1e-7, "--out", tmp_path / "mesh.ply"]
    found = run("fit-grid.py", *args, "--dem", tmp_path / "a.tif")
    assert found.code == 2
    assert "error: --dem needs rasterio and pyproj" in found.err
    assert "pip install rasterio pyproj" in found.err
    assert run("fit-grid.py", *args, "--contours", tmp_path / "a.geojson", "--interval", 0.2).code == 0
    assert json.loads((tmp_path / "a.geojson").read_text())["features"]


def test_contours_as_a_drawing_are_those_of_geojson(cloud, tmp_path):
    """ezdxf reads them: each at its height, in a layer for it, closed where the line is."""
    ezdxf = pytest.importorskip("ezdxf")
    for name in ("a.geojson", "a.DXF"):
        words = ["--resolution", 0.5, "--interval", 0.5, "--contours", tmp_path / name, "--out", tmp_path / "a.ply"]
        found = run("fit-grid.py", cloud, *ARGS, *words)
        assert found.code == 0, found.err
    lines = json.loads((tmp_path / "a.geojson").read_text())["features"]
    drawing = ezdxf.readfile(tmp_path / "a.DXF")
    assert not drawing.audit().has_errors
    shapes = list(drawing.modelspace().query("POLYLINE"))
    assert len(shapes) == len(lines) > 3
    for shape, line in zip(shapes, lines, strict=True):
        assert shape.is_3d_polyline
        height, expected = line["properties"]["elevation"], np.array(line["geometry"]["coordinates"])
        places = np.array([tuple(vertex.dxf.location) for vertex in shape.vertices])
        assert (places[:, 2] == height).all()
        assert shape.dxf.layer == f"CONTOUR_{height:g}".replace(".", "_")
        assert shape.is_closed == bool((expected[0] == expected[-1]).all())
        assert np.array_equal(places[:, :2], expected[:-1] if shape.is_closed else expected)
    assert any(shape.is_closed for shape in shapes)


def test_without_ezdxf_only_a_drawing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ezdxf", None)
    cloud = write_cloud(tmp_path / "ball.ply", sphere(300))
    found = run("fit-grid.py", cloud, *ARGS, "--contours", tmp_path / "a.dxf", "--out", tmp_path / "mesh.ply")
    assert (found.code, found.out) == (2, "")
    assert "error: --contours needs ezdxf for DXF" in found.err
    assert found.err.endswith("; pip install ezdxf\n")


def test_many_clouds_have_a_raster_each(cloud, tmp_path):
    (tmp_path / "out").mkdir()
    ball = write_cloud(tmp_path / "ball.ply", sphere(300))
    words = ["--out-dir", tmp_path / "out", "--crs", "EPSG:25833", "--resolution", 0.1, "--dem"]
    args = ["auto", 30, 10, "auto", "--regularization", 1e-7, "--trim", "none"]
    assert "--dem needs a name for each mesh" in run("fit-grid.py", ball, *args, *words, tmp_path / "a.tif").err
    found = run("fit-grid.py", ball, *args, *words, "{}.tif")
    assert found.code == 0, found.err
    places, heights = read(tmp_path / "out" / "ball.tif")
    flat = np.linalg.norm(places + CORNER, axis=1)
    ring = (flat > 0.2) & (flat < 0.8)  # its poles lie on the walls of the box and are open
    np.testing.assert_allclose(heights[ring], np.sqrt(1.0 - flat[ring] ** 2), atol=0.05)
