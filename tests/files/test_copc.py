"""COPC: the nodes that overlap a region are read, and no others."""

import struct

import numpy as np
import pytest
from copc_bytes import HEADER, copc
from format_bytes import las
from pieces import in_pieces, same

from neural_splines.errors import CloudError
from neural_splines.files.bounds import inside
from neural_splines.files.copc import chunks_within
from neural_splines.files.point_clouds import load_scanned_cloud
from neural_splines.files.streams import ReadOptions

COUNT, CORNER = 5000, np.array([410000.0, 5650000, 0])
BOX = (410010.0, 5650010.0, 410030.0, 5650030.0)
INFO = HEADER + 54  # where the record of the octree begins
NAMES = ("intensity", "classification")


def survey(points=None, form=7):
    """Hills with colours, classes, an extra dimension and the numbers of the points."""
    laspy = pytest.importorskip("laspy")
    rng = np.random.default_rng(1)
    if points is None:
        xy = rng.random((COUNT, 2)) * (100, 80)
        points = CORNER + np.column_stack([xy, 8 * np.sin(xy[:, 0] / 9)])
    file = laspy.LasData(laspy.LasHeader(point_format=form, version="1.4"))
    file.add_extra_dim(laspy.ExtraBytesParams(name="heat", type=np.float32))
    file.header.scales, file.header.offsets = [1e-3] * 3, CORNER
    file.x, file.y, file.z = points.T
    file.intensity, file.heat = np.arange(len(points)), rng.random(len(points))
    file.classification = np.resize([2, 5, 7, 6, 6], len(points))
    file.red, file.green, file.blue = rng.integers(0, 65536, (3, len(points)))
    return file


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    found = tmp_path_factory.mktemp("copc") / "a.copc.laz"
    found.write_bytes(copc(survey()))
    return found


def whole(path, bounds, **asked):
    """The points within, found by hand among all that a reader of LAZ gives."""
    found = load_scanned_cloud(path, ("intensity", "heat"), **asked)
    keep = inside(found.points, bounds)
    return found.points[keep], found.colours[keep], found.scalars["intensity"][keep], found.scalars["heat"][keep]


@pytest.mark.parametrize("bounds", [BOX, (410010.0, 5650010, 2, 410060, 5650070, 5)])
@pytest.mark.filterwarnings("ignore:.*are marked as noise")
def test_the_points_within_are_those_of_the_whole_file_in_its_order(path, bounds):
    found = load_scanned_cloud(path, ("intensity", "heat"), bounds=bounds)
    expected = whole(path, bounds)
    for values, others in zip(
        (found.points, found.colours, found.scalars["intensity"], found.scalars["heat"]), expected, strict=True
    ):
        assert np.array_equal(values, others)
    assert len(found.points) > 100
    assert same(in_pieces(path, ReadOptions(("intensity", "heat"), bounds=bounds)), found)


@pytest.mark.filterwarnings("ignore:.*are marked as noise")
def test_only_nodes_that_overlap_are_read(path):
    """Of 16 % of the ground less than a third of the points, all levels of the table looked through."""
    found = chunks_within(path, BOX)
    share = found.counts.sum() / COUNT
    assert 0.05 < share < 0.33
    assert found.points == COUNT
    assert found.nodes > len(found.counts) > 4
    reading = load_scanned_cloud(path, bounds=BOX).reading
    assert reading == f"COPC, {len(found.counts)} of {found.nodes} nodes read, with {share:.1%} of the points"
    # What is not read cannot matter: with all other chunks overwritten the points are the same.
    data = bytearray(path.read_bytes())
    everything = chunks_within(path, (-1e9, -1e9, 1e9, 1e9))
    assert everything.counts.sum() == COUNT
    for offset, size in zip(everything.offsets.tolist(), everything.sizes.tolist(), strict=True):
        if offset not in found.offsets:
            data[offset : offset + size] = bytes(size)
    broken = path.with_name("broken.copc.laz")
    broken.write_bytes(data)
    assert same(load_scanned_cloud(broken, bounds=BOX), load_scanned_cloud(path, bounds=BOX))


def test_laspy_reads_the_same_points(path):
    """By its own reader of COPC."""
    from laspy.copc import Bounds, CopcReader

    with CopcReader.open(str(path)) as reader:
        found = reader.query(Bounds(np.array(BOX[:2]), np.array(BOX[2:])))
    own = load_scanned_cloud(path, ("intensity",), classes=(2, 5, 6, 7), bounds=BOX)
    assert np.array_equal(np.sort(found.intensity), np.sort(own.scalars["intensity"]))


def test_a_file_by_another_writer(tmp_path):
    """copclib's, of three nodes; and it reads what tests/copc_bytes.py writes."""
    copclib = pytest.importorskip("copclib")
    rng, place = np.random.default_rng(0), tmp_path / "b.copc.laz"
    writer = copclib.FileWriter(
        str(place), copclib.CopcConfigWriter(7, copclib.Vector3(*[1e-3] * 3), copclib.Vector3(0, 0, 0))
    )
    header, info = writer.copc_config.las_header, writer.copc_config.copc_info
    header.min, header.max = copclib.Vector3(0, 0, 0), copclib.Vector3(16, 16, 16)
    info.center_x = info.center_y = info.center_z = info.halfsize = 8
    info.spacing = 1
    everything = []
    for key in ((0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 1, 1)):
        points, side = copclib.Points(header), 16 / 2 ** key[0]
        for row in side * (np.array(key[1:]) + rng.random((50, 3))).round(3):
            point = points.CreatePoint()
            point.x, point.y, point.z = row
            points.AddPoint(point)
            everything.append(row)
        writer.AddNode(copclib.VoxelKey(*key), points)
    writer.Close()
    box = (0.0, 0.0, 7.0, 7.0)
    found = load_scanned_cloud(place, bounds=box)
    expected = np.array(everything)[inside(np.array(everything), box)]
    assert "2 of 3 nodes" in found.reading
    assert np.allclose(np.sort(found.points, 0), np.sort(expected, 0), atol=1e-3)
    (tmp_path / "a.copc.laz").write_bytes(copc(survey()))
    reader = copclib.FileReader(str(tmp_path / "a.copc.laz"))
    assert sum(node.point_count for node in reader.GetAllNodes()) == COUNT


@pytest.mark.parametrize(
    ("place", "form", "value", "line"),
    [
        (INFO, "<d", np.nan, "its octree has no finite cube"),
        (INFO + 24, "<d", -1.0, "its octree has no finite cube"),
        (INFO + 40, "<Q", 2**62, "the table of its octree declares"),
        (INFO + 48, "<Q", 2**40, "the table of its octree declares"),
        (INFO + 48, "<Q", 33, "the table of its octree declares 33 bytes"),
        ("table", "<i", -2, "has a node outside it"),
        ("points", "<i", 2**30, "a node of its octree lies at byte"),
        ("offset", "<Q", 2**60, "a node of its octree lies at byte"),
        ("points", "<i", 7, "its octree has"),
        ("page", "<iQii", None, "has a page twice"),
    ],
)
def test_a_table_that_contradicts_the_file_is_one_line(path, tmp_path, place, form, value, line):
    data = bytearray(path.read_bytes())
    table, length = struct.unpack_from("<QQ", data, INFO + 40)
    places = {"table": table, "points": table + 28, "offset": table + 16}
    if place == "page":  # the last entry of the first page leads to that page
        struct.pack_into("<Qii", data, table + length - 16, table, length, -1)
    else:
        struct.pack_into(form, data, places.get(place, place), value)
    broken = tmp_path / "a.laz"
    broken.write_bytes(data)
    for read in (load_scanned_cloud, lambda path, bounds: in_pieces(path, ReadOptions(bounds=bounds))):
        with pytest.raises(CloudError, match=line) as error:
            read(broken, bounds=BOX)
        assert str(error.value).count("\n") == 0


def test_a_chunk_that_is_cut_off_is_one_line(path, tmp_path):
    data, found = path.read_bytes(), chunks_within(path, BOX)
    at = int(found.offsets[2])
    (tmp_path / "a.laz").write_bytes(data[:at] + bytes(200) + data[at + 200 :])
    with pytest.raises(CloudError, match=r"a\.laz: "):
        load_scanned_cloud(tmp_path / "a.laz", bounds=BOX)


def test_other_laz_is_no_copc(tmp_path):
    pytest.importorskip("laspy")
    (tmp_path / "a.laz").write_bytes(las(np.random.default_rng(0).random((50, 3)), compressed=True))
    assert chunks_within(tmp_path / "a.laz", (0, 0, 1, 1)) is None
