"""The coordinate system of LAS files and of --crs, and rasters that have it."""

import importlib.util
import json
import sys

import numpy as np
import pytest
from test_cloud_formats import P

from neural_splines.errors import OutputError, ReconstructionWarning, SettingsError
from neural_splines.files import rasters
from neural_splines.files.earth import east_north_up, projected_again
from neural_splines.files.georeference import CoordinateSystem, given
from neural_splines.files.merging import joined
from neural_splines.files.point_clouds import load_scanned_cloud
from neural_splines.files.rasters import Heights, Squares, save_contours, save_dem
from neural_splines.files.streams import merged, open_stream

RECORDS = [("1.4", 6, ".laz"), ("1.2", 2, ".las")]  # as WKT, and as GeoTIFF keys


def las(path, crs, version="1.4", format_=6, offset=(410_000.0, 5_650_000.0, 100.0)):
    laspy, pyproj = pytest.importorskip("laspy"), pytest.importorskip("pyproj")
    header = laspy.LasHeader(point_format=format_, version=version)
    header.scales, header.offsets = [1e-3] * 3, offset
    if crs:
        header.add_crs(pyproj.CRS(crs))
    file = laspy.LasData(header)
    file.x, file.y, file.z = (P + np.array(offset)).T
    file.write(str(path))
    return path


@pytest.mark.parametrize(("version", "format_", "suffix"), RECORDS)
def test_a_las_file_says_its_coordinate_system(tmp_path, version, format_, suffix):
    path = las(tmp_path / f"a{suffix}", "EPSG:25833", version, format_)
    found = load_scanned_cloud(path)
    assert found.crs.summary() == "ETRS89 / UTM zone 33N (EPSG:25833)"
    assert not found.crs.degrees
    assert open_stream(path).form.crs == found.crs
    assert load_scanned_cloud(las(tmp_path / f"b{suffix}", None, version, format_)).crs is None


def test_of_a_compound_system_the_code_is_that_of_the_ground(tmp_path):
    """And its definition has the heights, too."""
    found = load_scanned_cloud(las(tmp_path / "a.las", "EPSG:25833+7837")).crs
    assert (found.name, found.epsg) == ("ETRS89 / UTM zone 33N + DHHN2016 height", 25833)
    assert "DHHN2016" in found.wkt


def test_degrees_are_warned_of(tmp_path):
    with pytest.warns(ReconstructionWarning, match=r"WGS 84 \(EPSG:4326\), is in degrees.*project the points"):
        assert load_scanned_cloud(las(tmp_path / "a.las", "EPSG:4326", offset=(13.0, 51.0, 0.0))).crs.degrees


@pytest.mark.parametrize("text", [b'PROJCS["nothing at all"]', b"\x1b[31m" + bytes(range(1, 50)), b"\xff" * 40])
def test_a_system_that_is_not_understood_is_a_warning_and_the_points_are_read(tmp_path, text):
    path = las(tmp_path / "a.las", "EPSG:25833")
    data = path.read_bytes()
    start = data.index(b"PROJCRS") if b"PROJCRS" in data else data.index(b"PROJCS")
    path.write_bytes(data[:start] + text.ljust(60, b" ") + data[start + 60 :])
    with pytest.warns(ReconstructionWarning) as caught:
        found = load_scanned_cloud(path)
    assert len(found.points) == len(P)
    assert found.crs is None
    (line,) = [str(warning.message) for warning in caught]
    assert line.startswith(f"{path}: its coordinate system is not understood (")
    assert line.isprintable()


def test_without_pyproj_the_points_are_read_and_a_line_says_what_to_install(tmp_path, monkeypatch):
    path = las(tmp_path / "a.las", "EPSG:25833")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "pyproj" else find(name, *rest)
    )
    found = load_scanned_cloud(path)
    assert len(found.points) == len(P)
    assert found.crs.summary() == ("is named by the file and not read, which needs pyproj: pip install pyproj")
    assert not found.crs.wkt


@pytest.mark.parametrize("missing", ["rasterio", "pyproj"])
def test_what_is_missing_is_one_line(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(OutputError, match=r"--dem needs rasterio and pyproj \(.*\); pip install rasterio pyproj"):
        rasters.require_rasters("--dem")
    if missing == "pyproj":
        with pytest.raises(SettingsError, match=r"crs needs pyproj: pip install pyproj \("):
            given("EPSG:25833")


def test_a_system_is_named_by_code_name_or_wkt():
    pyproj = pytest.importorskip("pyproj")
    by_code = given("EPSG:25833")
    assert by_code == given(pyproj.CRS(25833).to_wkt())
    assert by_code.epsg == 25833
    with pytest.raises(SettingsError, match="crs 'EPSG:1' is no coordinate system; give its code, as EPSG:25833"):
        given("EPSG:1")
    with pytest.raises(SettingsError, match="is in degrees, which are no lengths"):
        given("EPSG:4326")


def test_files_of_one_system_have_it_and_of_several_none(tmp_path):
    """Whole and in pieces, with a line that names them."""
    kinds = {"a": ("EPSG:25833", "1.4", 6), "b": ("EPSG:25833", "1.2", 2), "c": ("EPSG:25832",), "d": (None,)}
    paths = {name: las(tmp_path / f"{name}.las", *kind) for name, kind in kinds.items()}
    clouds = {name: load_scanned_cloud(path) for name, path in paths.items()}
    streams = {name: open_stream(path) for name, path in paths.items()}
    for names, code in (("ab", 25833), ("da", 25833), ("ac", None), ("dd", None)):
        cloud, lines = joined([clouds[name] for name in names], names)
        stream, again = merged([streams[name] for name in names], names)
        assert lines == again
        assert (cloud.crs and cloud.crs.epsg, stream.form.crs and stream.form.crs.epsg) == (code, code)
        assert lines == [] if names != "ac" else "a ETRS89 / UTM zone 33N (EPSG:25833)" in lines[0]


def heights():
    squares = Squares.covering([410_000.2, 5_650_000.3], [410_150.0, 5_650_090.0], 0.5)
    values = np.random.default_rng(0).normal(100.0, 5.0, (squares.rows, squares.columns))
    values[3:9, :50] = np.nan
    return Heights(squares, values)


@pytest.mark.parametrize("code", ["EPSG:25833", "EPSG:25833+7837", "ESRI:102329", None])
def test_a_raster_is_read_back_with_its_place_and_system(tmp_path, code):
    rasterio = pytest.importorskip("rasterio")
    pytest.importorskip("pyproj")
    made = heights()
    save_dem(tmp_path / "a.tif", made, given(code) if code else None)
    with rasterio.open(tmp_path / "a.tif") as file:
        assert (file.crs is None) == (code is None)
        assert code is None or rasterio.CRS.from_user_input(code) == file.crs
        found = file.read(1, masked=True)
        np.testing.assert_array_equal(found.mask, np.isnan(made.values))
        np.testing.assert_array_equal(found.compressed(), made.values[made.known].astype(np.float32))
        assert file.bounds == (410_000.0, 5_650_000.0, 410_150.0, 5_650_090.0)
        assert file.res == (0.5, 0.5)
        rows, columns = np.array([0, 4, 179]), np.array([0, 9, 299])
        x, y = np.array(rasterio.transform.xy(file.transform, rows, columns))
        np.testing.assert_array_equal(np.stack([x, y], 1), made.squares.middles(rows, columns))


def test_a_definition_that_gdal_does_not_know_is_a_warning(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    with pytest.warns(ReconstructionWarning, match="is written without its coordinate system"):
        save_dem(tmp_path / "a.tif", heights(), CoordinateSystem("odd", 'PROJCS["odd"]'))
    with rasterio.open(tmp_path / "a.tif") as file:
        assert file.crs is None


def test_contour_lines_are_geojson_to_a_thousandth_of_a_square(tmp_path):
    lines = [(10.0, np.array([[1.23456, 2.0], [3.0, 4.0]])), (11.0, np.array([[5.0, 6.0], [7.0, 8.00004]]))]
    for system, name in ((CoordinateSystem("a", "b", 25833), "urn:ogc:def:crs:EPSG::25833"), (None, None)):
        assert save_contours(tmp_path / "a.geojson", iter(lines), 1.0, system) == 2
        found = json.loads((tmp_path / "a.geojson").read_text())
        assert found["type"] == "FeatureCollection"
        assert found.get("crs", {"properties": {"name": None}})["properties"]["name"] == name
        assert [feature["properties"] for feature in found["features"]] == [{"elevation": 10.0}, {"elevation": 11.0}]
        assert found["features"][0]["geometry"] == {"type": "LineString", "coordinates": [[1.235, 2.0], [3.0, 4.0]]}
    assert save_contours(tmp_path / "a.geojson", [], 0.5, None) == 0
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []


@pytest.mark.parametrize(("code", "corner"), [(25833, (389_000.0, 5_820_000.0)), (2263, (980_000.0, 200_000.0))])
def test_the_way_back_from_the_earth_is_a_polynomial_as_exact_as_is_said(code, corner):
    """In metres and in feet; where none is exact enough there is none."""
    pytest.importorskip("pyproj")
    crs, rng = given(f"EPSG:{code}"), np.random.default_rng(0)
    points = np.array([*corner, 40.0]) + rng.random((500, 3)) * (3000.0, 2000.0, 150.0)
    local, matrix = east_north_up(points, crs, 39.5)
    found = projected_again(points.min(0), points.max(0), crs, 39.5, matrix)
    u = (local - found["centre"]) / found["scale"]
    back = sum(np.prod(u ** row[:3], axis=1)[:, None] * row[3:] for row in np.array(found["terms"]))
    assert np.abs(back - points).max() < 1e-3
    far = points.min(0) + np.array([(0.0, 0.0, 0.0), (600_000.0, 900_000.0, 100.0)])
    _, matrix = east_north_up(far, crs, 0.0)
    assert projected_again(*far, crs, 0.0, matrix) is None
