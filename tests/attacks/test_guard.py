"""Files that ended readers in a traceback, a hang, an abort or gigabytes, and what libraries raise: one line each."""

import contextlib
import io
import struct
import tracemalloc
import zipfile

import numpy as np
import odd_decoders
import pytest
from cloud_bytes import N, P, lists, ply
from format_bytes import las, numpy_bytes, pcd, text

from neural_splines.errors import CloudError
from neural_splines.files import isolation, meshes, point_clouds, text_tables
from neural_splines.files.point_clouds import load_scanned_cloud
from neural_splines.files.streams import open_stream

SIX = np.hstack([P, N])
FIELDS = dict(zip(("x", "y", "z", "normal_x", "normal_y", "normal_z"), SIX.T, strict=True))
ASCII, BINARY = (pcd(kind, FIELDS | {"rgb": np.zeros(400, "<u4")}) for kind in ("ascii", "binary"))


def npy(header: str, data: bytes = bytes(9600), version: bytes = b"\1\0") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header.encode() + data


def shaped(shape: str, descr: str = "'<f8'") -> bytes:
    return npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n")


def npz(method=zipfile.ZIP_STORED, **arrays) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, array in arrays.items():
            file.writestr(f"{name}.npy", numpy_bytes(np.save, array))
    return stream.getvalue()


def broken(data: bytes) -> bytes:
    """With the middle of it changed."""
    return data[: len(data) // 2] + bytes(40) + data[len(data) // 2 + 40 :]


BAD = {
    "no count.pcd": (BINARY.replace(b"COUNT 1 1 1 1 1 1 1", b"COUNT 1 1 1 1 1 1 -1"), "header is not understood"),
    "many.pcd": (BINARY.replace(b"POINTS 400", b"POINTS %d" % 2**63), "declares 9223372036854775808 points but 400"),
    "many ascii.pcd": (ASCII.replace(b"POINTS 400", b"POINTS %d" % 2**63), "declares 9223372036854775808 points but"),
    "no points.pcd": (BINARY.replace(b"POINTS 400\n", b"").replace(b"WIDTH 400", b"W 400"), "is not understood"),
    "no fields.pcd": (BINARY.replace(b"FIELDS", b"F"), "header is not understood"),
    "empty.npy": (b"", "the file is empty"),
    "huge.npy": (shaped("(10" + 30 * "0" + ", 6)"), "and 9600 follow"),
    "float.npy": (shaped("(1e30, 6)"), "is not read as NPY"),
    "true.npy": (shaped("(True, 6)"), "and 9600 follow"),
    "negative.npy": (shaped("(-200, -6)"), "and 9600 follow"),
    "token.npy": (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (200, 6\n"), "is not read as NPY"),
    "nested.npy": (shaped("(200,)", "[('x', [('a', '<f8'), ('b', '<f8')])]"), "has no columns x, y and z"),
    "long header.npy": (npy("{}", version=b"\2\0")[:8] + b"\xff\xff\xff\x7f" + bytes(99), "is not read as NPY"),
    "version.npy": (npy("{}", version=b"\0\0"), "of the version 0.0 of NPY"),
    "text.npz": (npz(points=np.array(["a", "b", "c"])), "its array 'points' is of <U1"),
    "text columns.npz": (npz(x=P[:, 0], y=P[:, 1], z=np.array(["a"] * 400)), "has no columns x, y and z"),
    "lzma.npz": (broken(npz(zipfile.ZIP_LZMA, points=P)), "compressed in a way that NumPy does not write"),
    "deflated.npz": (broken(npz(zipfile.ZIP_DEFLATED, points=P)), "is not read as NPZ"),
    "las header.las": (b"LASF" + bytes(50), "is not read as LAS or LAZ"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_each_is_one_line_as_a_whole_and_in_pieces(name, tmp_path):
    contents, message = BAD[name]
    (tmp_path / name).write_bytes(contents)
    for read in (load_scanned_cloud, lambda path: list(open_stream(path).pieces())):
        with pytest.raises(CloudError) as caught:
            read(tmp_path / name)
        line = str(caught.value)
        assert line.startswith(f"{tmp_path / name}: ")
        assert message in line
        assert "; " in line
        assert line.isprintable()


def test_a_field_of_none_is_left_out(tmp_path):
    """COUNT 0, as some programs write for what they do not have."""
    without = BINARY.replace(b"COUNT 1 1 1 1 1 1 1", b"COUNT 1 1 1 1 1 1 0")
    (tmp_path / "a.pcd").write_bytes(without)
    assert load_scanned_cloud(tmp_path / "a.pcd").colours is None


def test_an_archive_does_not_grow_without_bound(tmp_path):
    """Refused by its directory, before anything is unpacked."""
    (tmp_path / "a.npz").write_bytes(npz(zipfile.ZIP_DEFLATED, points=np.zeros((3_000_000, 3))))
    tracemalloc.start()
    with pytest.raises(CloudError, match="bytes that would become 72000128; save it again without compression"):
        load_scanned_cloud(tmp_path / "a.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


@pytest.mark.parametrize("mark", ["\x85", "\v", "\f", "\r", "\x1c"])
def test_a_mark_in_a_comment_ends_no_line_but_that_of_a_return(mark):
    data = f"x y z\n# made{mark} by hand\n".encode("latin-1") + text([P])
    if mark == "\r":
        with pytest.raises(CloudError, match="names 2 columns and has 3"):
            text_tables.read_text(data)
    else:
        assert np.array_equal(text_tables.read_text(data).points, P)


def test_many_columns_take_time_in_proportion():
    """They had taken its square; the line about them is short."""
    found = text_tables.read_text(text([np.full(3, k % 7) for k in range(5_000)]))
    assert len(found.points) == 3
    assert len(found.reading) < 500


def test_a_long_word_is_looked_at_once():
    with pytest.raises(CloudError, match="is not a number"):
        text_tables.read_text(b"0 0 0\n" + b"1" * 200_000 + b"x 0 0\n")


@pytest.mark.parametrize("order", ["<", "ascii"])
def test_lists_take_memory_in_proportion(order, tmp_path):
    """Most of them empty, so that they are a byte or two in the file."""
    before = "element face 30000\nproperty list uchar int vertex_indices"
    data = ply(before=before, data_before=lists([0] * 29_999 + [3], order), order=order)
    (tmp_path / "mesh.ply").write_bytes(data)
    meshes.load_mesh(tmp_path / "mesh.ply")  # what is made once
    tracemalloc.start()
    meshes.load_mesh(tmp_path / "mesh.ply")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * len(data)


@pytest.mark.parametrize("error", [ZeroDivisionError("x\n y"), OverflowError(), AttributeError("a\x1b[2J"), EOFError()])
def test_whatever_a_reader_raises_is_one_line(error, tmp_path, monkeypatch):
    def read(*_, **__):
        raise error

    monkeypatch.setitem(point_clouds.TABLES, ".xyz", read)
    monkeypatch.setattr(text_tables, "text_source", read)
    (tmp_path / "a.xyz").write_bytes(b"0 0 0\n")
    for way in (load_scanned_cloud, open_stream):
        with pytest.raises(CloudError, match=r"a.xyz: is not read as XYZ \(.*\); export it again") as caught:
            way(tmp_path / "a.xyz")
        assert str(caught.value).isprintable()


def test_what_the_receiver_of_pieces_raises_is_its_own(tmp_path):
    (tmp_path / "a.npy").write_bytes(numpy_bytes(np.save, SIX))
    pieces = open_stream(tmp_path / "a.npy").pieces()
    next(pieces)
    with pytest.raises(ZeroDivisionError):
        pieces.throw(ZeroDivisionError())


@pytest.mark.parametrize("name", odd_decoders.DECODERS)
def test_a_decoder_that_ends_its_process_or_does_not_end_is_one_line(name, tmp_path, monkeypatch):
    (tmp_path / "a.las").write_bytes(b"LASF")
    monkeypatch.setattr(isolation, "CODE", f"{isolation.BOOT}; import odd_decoders; odd_decoders.main({name!r})")
    expected = odd_decoders.DECODERS[name][1]
    with pytest.raises(CloudError, match=expected) if expected else contextlib.nullcontext():
        (columns,) = isolation.decoded("", tmp_path / "a.las")
        assert np.array_equal(columns["x"], np.arange(5.0))


@pytest.mark.parametrize(
    ("offset", "width", "value"),
    [(96, 2, 65535), (100, 4, 2**32 - 1), (283, 4, 0), (925, 4, 2**32 - 1), (940, 4, 0), (2065, 4, 2**32 - 1)],
    ids=["LazrsError", "hang", "ZeroDivisionError", "abort", "PanicException", "abort of the table"],
)
def test_laz_in_pieces_is_one_line_whatever_its_decoder_does(offset, width, value, tmp_path):
    """What each of these single numbers made of it."""
    pytest.importorskip("laspy")
    data = bytearray(las(P[:50], N[:50], compressed=True))
    data[offset : offset + width] = value.to_bytes(width, "little")
    (tmp_path / "a.laz").write_bytes(data)
    with pytest.raises(CloudError, match=r"a\.laz: .*; "):
        list(open_stream(tmp_path / "a.laz").pieces())
