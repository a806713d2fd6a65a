"""Files read in pieces: joined they are what is read as a whole, whatever the format and the size of the pieces."""

import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from cloud_bytes import N, P, ply
from format_bytes import numpy_bytes, pcd, text
from fuzz_seeds import SUFFIXES, seeds
from pieces import in_pieces, same

from neural_splines.errors import CloudError
from neural_splines.files import columns, records
from neural_splines.files import ply as ply_headers
from neural_splines.files.columns import Survey
from neural_splines.files.merging import joined, stacked
from neural_splines.files.point_clouds import load_scanned_cloud
from neural_splines.files.streams import ReadOptions, merged, open_stream
from neural_splines.runtime.arrays import largest_of_rows

HEADER_LIMIT = 4096
DECODED = (".las", ".laz", ".e57")  # by a process for each pass, so that they are tried less
RNG = np.random.default_rng(0)


@pytest.mark.filterwarnings("ignore:.*points have no viewpoint")
@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix != ".stl"])
def test_pieces_are_the_whole(suffix, rows, tmp_path):
    """Points, normals, viewpoints, colours, further numbers, classes and what a laser tells, in their types."""
    if suffix in DECODED and rows != 7:
        pytest.skip("a process for each")
    for number, data in enumerate(seeds(suffix)[: 1 if suffix in DECODED else None]):
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(data)
        whole = load_scanned_cloud(path, ("all",))
        assert same(in_pieces(path, rows=rows), whole), number
        assert len(whole.points) > 0


def fields(dtype, **values):
    return numpy_bytes(np.save, np.rec.fromarrays(list(values.values()), names=list(values)))


LATE = np.linspace(0.0, 1.0, 400)  # of 400 points, what the last ones say of all
EXTRA = {name: ("uchar", np.arange(400) % 250) for name in ("red", "green", "blue")}
EXTRA |= {"heat": ("int", np.arange(400)), "height": ("double", LATE), "classification": ("uchar", np.arange(400) % 3)}
SPLATS = {name: ("float", LATE * 9 - 4) for name in ("f_dc_0", "f_dc_1", "f_dc_2", "opacity")}
DECIDED = {
    "splats.ply": ply(extra=SPLATS, names=("x", "y", "z", *SPLATS)),
    "colours of 16 bits.csv": text(
        [P, np.minimum(LATE, 0.5)[:, None] * (9.0, 9.0, 600.0)], ",", "x,y,z,red,green,blue\n"
    ),
    "colours of fractions.csv": text([P, LATE, LATE, LATE], ",", "x,y,z,r,g,b\n"),
    "whole numbers.csv": text([P, np.arange(400), np.r_[np.arange(399), 0.5]], ",", "x,y,z,class,heat\n"),
    "columns.xyz": text([np.arange(400), P, N, RNG.integers(0, 256, (400, 3)), LATE]),
    "count.xyz": text([np.r_[np.arange(399), 0], P]),
    "16 bits.npy": fields("f8", x=P[:, 0], y=P[:, 1], z=P[:, 2], red=LATE, green=400 * LATE, blue=LATE),
    "table.npy": numpy_bytes(np.save, np.hstack([P, N, np.round(255 * np.abs(N))]).astype(np.float32)),
    "rows.npy": numpy_bytes(np.save, np.ascontiguousarray(np.hstack([P, N]).T)),
    "laser.npz": numpy_bytes(np.savez, points=P, number_of_returns=1 + LATE.astype(int), scan_angle=LATE.astype("f4")),
    "columns.npz": numpy_bytes(np.savez_compressed, points=np.asfortranarray(P), normals=N, heat=np.arange(400)),
    "text.ply": ply(order="ascii", extra=EXTRA, names=("x", "y", "z", *EXTRA)),
    "binary.ply": ply(order=">", extra=EXTRA, names=("x", "y", "z", *EXTRA)),
}


@pytest.mark.parametrize("name", DECIDED)
def test_what_all_values_decide_is_decided_by_all(name, tmp_path):
    """Not by those of a piece."""
    (tmp_path / name).write_bytes(DECIDED[name])
    whole = load_scanned_cloud(tmp_path / name, ("all",))
    for rows in (13, 399):
        assert same(in_pieces(tmp_path / name, rows=rows), whole)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100])
def test_the_sample_of_a_table_does_not_depend_on_its_pieces(count, monkeypatch):
    monkeypatch.setattr(columns, "LOOKED_AT", 8)
    table = np.hstack([np.arange(count)[:, None], RNG.random((count, 3))])
    whole = Survey.of(table)
    for rows in (1, 3, 64):
        survey = Survey()
        for start in range(0, count, rows):
            survey.take(table[start : start + rows])
        assert np.array_equal(survey.sample, whole.sample)
        assert (survey.rows, survey.counting) == (whole.rows, whole.counting) == (count, True)
    assert len(whole.sample) <= 8


def test_names_of_columns_and_classes_in_pieces(tmp_path):
    path = tmp_path / "a.xyz"
    codes = np.arange(400) % 3
    path.write_bytes(text([P, codes, LATE]))
    options = ReadOptions(("heat",), "x y z class heat", (1, 2))
    found = in_pieces(path, options)
    assert same(found, load_scanned_cloud(path, ("heat",), "x y z class heat", (1, 2)))
    assert np.array_equal(found.points, P[codes > 0])
    with pytest.raises(CloudError, match="no points of class 5"):
        in_pieces(path, ReadOptions((), "x y z class heat", (5,)))
    with pytest.raises(CloudError, match="has no attribute 'hot'"):
        open_stream(path, None, ReadOptions(("hot",)))


@pytest.mark.parametrize("name", ["a.xyz", "a.npy", "a.npz", "a.ply", "text.ply"])
def test_memory_does_not_grow_with_the_file(name, tmp_path, monkeypatch):
    """Of what is read in pieces, at the peak of two passes: not more for a file of four times the points."""
    monkeypatch.setattr(columns, "LOOKED_AT", 100)
    monkeypatch.setattr(ply_headers, "HEADER_LIMIT", HEADER_LIMIT)
    peaks = []
    for count in (100, 1_000, 4_000):  # the first makes what is made once
        points = RNG.random((count, 6))
        data = {"xyz": text([points]), "npy": numpy_bytes(np.save, points), "npz": numpy_bytes(np.savez, points=P)}
        data |= {"ply": ply(points[:, :3], points[:, 3:], order="<" if name[0] == "a" else "ascii")}
        (tmp_path / name).write_bytes(data[name.split(".")[1]])
        tracemalloc.start()
        for _ in open_stream(tmp_path / name, 0, rows=100).pieces():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.2 * peaks[1] + 4 * HEADER_LIMIT  # bytes in which a header is looked for


def test_what_is_read_as_a_whole_is_refused_where_memory_is_short(tmp_path):
    """Faces tell the sides of points without normals: all of them are needed."""
    path = tmp_path / "mesh.ply"
    face = "element face 1\nproperty list uchar int vertex_indices"
    path.write_bytes(ply(P, None, names=("x", "y", "z"), after=face) + bytes([3, *bytes(12)]))
    with pytest.raises(CloudError, match=r"mesh\.ply: is written so that it is read as a whole"):
        open_stream(path, 1000)
    assert len(in_pieces(path).points) == len(P)


def test_what_follows_is_said_once(tmp_path):
    path = tmp_path / "a.ply"
    path.write_bytes(ply(P, N) + b"more")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for pieces in [open_stream(path, rows=100).pieces] * 2:
            assert len(list(pieces())) == 4
    (line,) = said
    assert str(line.message) == f"{path}: ignored 4 bytes after the 400 points that the header declares; check it"


MERGED = {
    "a.csv": text([P, N, np.arange(400), LATE], ",", "x,y,z,nx,ny,nz,Class,heat\n"),
    "b.npz": numpy_bytes(np.savez, points=P, normals=N, CLASS=LATE, colors=LATE[:, None] * (1.0, 1.0, 1.0)),
    "c.pcd": pcd("binary", dict(zip("xyz", P.T, strict=True)) | {"class": LATE.astype("f4")}, "1 2 3 1 0 0 0"),
}  # fmt: skip


@pytest.mark.parametrize("names", [["a.csv", "b.npz"], ["b.npz", "a.csv"], ["a.csv", "c.pcd", "b.npz"], ["c.pcd"]])
def test_several_files_in_pieces_are_joined_as_wholes_are(names, tmp_path):
    """What all of them have, in types wide enough for all; viewpoints of those that have some; a station of each."""
    for name in names:
        (tmp_path / name).write_bytes(MERGED[name])
    wholes = [load_scanned_cloud(tmp_path / name, ("class",)) for name in names]
    places = [(k, 2.0, 3.0) for k in range(len(names))]
    expected, lines = joined(wholes, names, places)
    streams = [open_stream(tmp_path / name, None, ReadOptions(("class",)), 70) for name in names]
    stream, said = merged(streams, names, places)
    found = stacked([stream.form, *stream.pieces()])
    assert same(found, expected, but=("reading", "faces", "classes", "parts"))
    assert said == lines
    assert stream.count == len(expected.points)


@pytest.mark.parametrize("suffix", [".xyz", ".csv", ".laz", ".e57"])
def test_what_is_decoded_once_is_not_decoded_again(suffix, tmp_path):
    """Passes after the first have all of the file where it is gone: a cut copy would be told otherwise."""
    path, scratch = tmp_path / f"cloud{suffix}", tmp_path / "scratch"
    path.write_bytes(seeds(suffix)[0])
    scratch.mkdir()
    whole = load_scanned_cloud(path, ("all",))
    stream = open_stream(path, None, ReadOptions(("all",)), rows=7, scratch=str(scratch))
    first = list(stream.pieces())
    path.write_bytes(b"")
    assert same(stacked(list(stream.pieces())), stacked(first))
    assert same(stacked(first), whole)
    del stream
    assert not list(scratch.iterdir())


def test_signalling_nans_are_silent_in_every_thread():
    """NumPy's settings about them belong to a thread; a warning ends these tests."""
    bits = np.full((200_000, 3), 0x7F800001, np.uint32)
    bits[1:] = np.float32(0.5).view(np.uint32)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        table = records.block(dict(zip("xyz", bits.view(np.float32).T, strict=True)), "xyz")
        largest = largest_of_rows(table)
    finally:
        torch.set_num_threads(threads)
    assert np.isnan(largest[0])
    assert (table[1:] == 0.5).all()
    assert (largest[1:] == 0.5).all()
