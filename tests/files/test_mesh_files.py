"""Meshes from OBJ and STL: the mesh that was written, or one line; and what the benchmarks measure on a mesh."""

import contextlib
import math
import struct
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from measures import measure
from scripts import run, write_cloud
from shapes import sphere, torus

from neural_splines.errors import CloudError, OutputError
from neural_splines.files import mesh_content, writers
from neural_splines.files.large_meshes import PartWriter, written_in_parts
from neural_splines.files.meshes import load_mesh, save_mesh

V = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1.5)], float)
F = np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])


def obj(vertices=V, faces=F) -> bytes:
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    return "\n".join([*lines, *(f"f {a} {b} {c}" for a, b, c in (faces + 1).tolist()), ""]).encode()


def binary_stl(vertices=V, faces=F, count=None, header=b"") -> bytes:
    body = b"".join(struct.pack("<12fH", 0, 0, 0, *vertices[face].reshape(-1), 0) for face in faces)
    return header.ljust(80, b" ") + struct.pack("<I", len(faces) if count is None else count) + body


def text_stl(vertices=V, faces=F) -> bytes:
    def facet(face):
        corners = "".join(f"      vertex {x!r} {y!r} {z!r}\n" for x, y, z in vertices[face].tolist())
        return f"  facet normal 0 0 0\n    outer loop\n{corners}    endloop\n  endfacet\n"

    return ("solid my part\n" + "".join(map(facet, faces)) + "endsolid my part\n").encode()


def load(tmp_path, name: str, contents: bytes):
    (tmp_path / name).write_bytes(contents)
    return load_mesh(tmp_path / name)


GOOD = {
    "mesh.obj": obj(),
    "MESH.OBJ": obj().replace(b"\n", b"\r\n"),
    "binary.stl": binary_stl(),
    "SOLID.STL": binary_stl(header=b"solid by an exporter that does not know better"),
    "text.stl": text_stl(),
    "upper.stl": text_stl().upper(),
    "two solids.stl": text_stl(faces=F[:2]) + text_stl(faces=F[2:]),
    "no newline.stl": text_stl().strip(),
}


@pytest.mark.parametrize("name", GOOD)
def test_the_mesh_that_was_written_is_read(tmp_path, name):
    """The same triangles at the same places; STL, which repeats corners, gives each position one vertex."""
    vertices, faces = load(tmp_path, name, GOOD[name])
    assert vertices.dtype == torch.float64
    assert faces.dtype == torch.int64
    assert len(vertices) == len(V)
    assert torch.equal(vertices[faces], torch.from_numpy(V[F]))


def test_one_triangle_is_a_mesh(tmp_path):
    for name, contents in (("a.obj", obj(faces=F[:1])), ("a.stl", binary_stl(faces=F[:1]))):
        vertices, faces = load(tmp_path, name, contents)
        assert torch.equal(vertices[faces], torch.from_numpy(V[F[:1]]))


def test_obj_keeps_digits_that_float_would_lose(tmp_path):
    far = V + 1e5 + 0.123456789
    assert torch.equal(load(tmp_path, "a.obj", obj(far))[0], torch.from_numpy(far))
    assert torch.equal(load(tmp_path, "a.stl", text_stl(far))[0].sort(0).values, torch.from_numpy(far).sort(0).values)


def test_polygons_negative_indices_and_texture_of_obj(tmp_path):
    text = b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0 1\nvt 0 0\nvn 0 0 1\nf 1/1/1 2//1 3/1 4\nf -4 -3 -2\ng a b\ns off\n"
    vertices, faces = load(tmp_path, "a.obj", text)
    assert faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]
    assert len(vertices) == 4


MALFORMED = {
    "cut face.obj": (obj()[:-3], "line 8: a face of 2 corners"),
    "cut vertex.obj": (obj()[:16], "does not begin with 3 numbers"),
    "word.obj": (b"v 1 2 x\n" + obj(), "line 1: '1 2 x'"),
    "comma.obj": (obj().replace(b"1.0", b"1,0", 1), "does not begin with 3 numbers"),
    "zero index.obj": (obj() + b"f 0 1 2\n", "not there"),
    "large index.obj": (obj() + b"f 1 2 99\n", "not there"),
    "huge index.obj": (obj() + b"f 1 2 99999999999999999999\n", "not a corner"),
    "far back.obj": (obj() + b"f -1 -2 -9\n", "not there"),
    "cloud.obj": (obj(faces=F[:0]), "no faces"),
    "infinite.obj": (b"v inf 0 0\n" + obj(), "not finite"),
    "empty.stl": (b"", "empty"),
    "short.stl": (binary_stl()[:40], "not an STL file"),
    "truncated.stl": (binary_stl()[:-1], "4 triangles but 199 bytes"),
    "claims more.stl": (binary_stl(count=2**32 - 1), "4294967295 triangles"),
    "claims less.stl": (binary_stl(count=1), "1 triangles but 200 bytes"),
    "no triangles.stl": (binary_stl(faces=F[:0]), "no faces"),
    "nan.stl": (binary_stl(np.nan * V), "NaN"),
    "cut text.stl": (text_stl()[:-20], "no endsolid"),
    "cut facet.stl": (text_stl().replace(b"endloop", b"", 1), "21 words"),
    "word.stl": (text_stl().replace(b"vertex 1.0", b"vertex one", 1), "not numbers"),
    "other word.stl": (text_stl().replace(b"endloop", b"endlop", 1), "facet 1 is not understood"),
    "long line.stl": (text_stl().replace(b"endloop", b"endloop" + 100_000 * b"y", 1), "100007 characters"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_mesh_is_one_line(tmp_path, name, capfd):
    contents, message = MALFORMED[name]
    with pytest.raises(CloudError, match=message) as caught:
        load(tmp_path, name, contents)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "; " in str(caught.value)
    assert str(caught.value).isprintable()
    assert capfd.readouterr() == ("", "")  # compiled code has nothing to say either


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["mesh.obj", "binary.stl", "text.stl"]))
def test_mutations_end_in_a_mesh_or_a_line(tmp_path, data, name):
    contents = bytearray(GOOD[name])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(contents) - 1, 0)))
        contents[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=8))
    try:
        vertices, faces = load(tmp_path, name, bytes(contents))
    except CloudError:
        return
    assert vertices.isfinite().all()
    assert 0 <= faces.min() <= faces.max() < len(vertices)


def test_without_the_package_stl_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "point_cloud_utils", None)
    with pytest.raises(CloudError, match=r"needs the package point-cloud-utils .*convert it to PLY"):
        load(tmp_path, "a.stl", binary_stl())


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl"])
def test_trim_surface_takes_every_format(tmp_path, suffix):
    """The corner at the origin is 1.1 from a sphere around it: the three faces that have it go."""
    path, cloud = tmp_path / f"mesh{suffix}", write_cloud(tmp_path / "cloud.ply", sphere(500, 1.1))
    if suffix == ".ply":
        save_mesh(path, V, None, F)
    else:
        path.write_bytes(obj() if suffix == ".obj" else binary_stl())
    outcome = run("trim-surface.py", cloud, path, 0.9, "--out", tmp_path / "out.ply", "--use-abs-units")
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("4 faces, 1 kept")


def test_quality_of_a_shifted_square():
    """Two parallel squares at distance h: accuracy and completeness are h / diagonal, normals agree; half a square is
    accurate and half complete."""
    square, faces = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float), np.array([(0, 1, 2), (0, 2, 3)])
    diagonal = 2**0.5
    found = measure((square, faces), (square + np.array([0, 0, 0.1]), faces[:, ::-1]), 2000)
    assert found.accuracy == pytest.approx(0.1 / diagonal, rel=1e-6)
    assert found.completeness == pytest.approx(0.1 / diagonal, rel=1e-6)
    assert found.normal_consistency == pytest.approx(1.0)

    half = square * [0.5, 1, 1]
    found = measure((square, faces), (half, faces), 20_000)
    assert found.accuracy == pytest.approx(0.0, abs=1e-7)
    assert found.completeness == pytest.approx(0.5**3 / diagonal, rel=0.05)  # the integral of x - 1/2 from 1/2 to 1


def test_a_table_in_pieces_has_the_same_bytes(tmp_path, monkeypatch):
    shape = torus(300)
    v, n = shape.points, shape.normals
    faces = torch.arange(300).reshape(100, 3)
    columns = {"colours": np.arange(900).reshape(300, 3) % 256, "scalars": {"heat": np.linspace(0, 1, 300)}}
    for k, rows in enumerate((1 << 20, 7)):
        monkeypatch.setattr(mesh_content, "TABLE_ROWS", rows)
        save_mesh(tmp_path / f"{k}.ply", v, n, faces, **columns, voxel_size=0.1)
    assert (tmp_path / "0.ply").read_bytes() == (tmp_path / "1.ply").read_bytes()
    assert b"property float x" in (tmp_path / "0.ply").read_bytes()


def test_a_coordinate_that_is_no_number_does_not_pass_for_exact(tmp_path):
    v = torch.zeros(5000, 3, dtype=torch.float64)
    v[17], v[4000] = 1 / 3, math.nan
    save_mesh(tmp_path / "mesh.ply", v, None, torch.tensor([[0, 1, 2]]), voxel_size=1e9)
    assert b"property double x" in (tmp_path / "mesh.ply").read_bytes()


def header_of(vertices):
    """The header of a PLY with so many vertices, of which none is written; all lie at one place in memory."""
    content = mesh_content.Content(np.broadcast_to(0.0, (vertices, 3)), None, F)
    content.__dict__["single"] = True
    return next(writers.write_ply(content, "mesh.ply")).decode()


def test_the_integers_of_a_ply_count_its_vertices(monkeypatch, tmp_path):
    assert "list uchar int vertex" in header_of(2**31 - 1)
    assert "list uchar uint vertex" in header_of(2**31)
    assert "list uchar uint vertex" in header_of(2**32 - 1)
    with pytest.raises(OutputError, match=r"mesh\.ply: the mesh has 4294967296 vertices, and PLY counts 4294967295"):
        header_of(2**32)
    monkeypatch.setattr(writers, "LARGEST_INT", 3)
    save_mesh(tmp_path / "mesh.ply", V, None, F)
    with written_in_parts(tmp_path / "parts.ply", str(tmp_path)) as writer:
        writer.add(V, V, F)
    for name in ("mesh.ply", "parts.ply"):
        assert b"list uchar uint vertex" in (tmp_path / name).read_bytes()
        assert load_mesh(tmp_path / name)[1].tolist() == F.tolist()


def test_a_mesh_in_parts_that_ply_cannot_count_is_one_line(tmp_path):
    with contextlib.closing(PartWriter(str(tmp_path), "mesh.ply")) as writer:
        writer.vertices = 2**32 - 4
        with pytest.raises(OutputError, match="use a smaller grid_size, or cut the cloud into tiles"):
            writer.add(V, V, F)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("suffix", "what"), [("stl", "4 faces, and STL counts 3"), ("glb", r"\d+ bytes, and GLB counts 3")]
)
def test_what_a_format_cannot_count_is_one_line_and_no_file(suffix, what, monkeypatch, tmp_path):
    monkeypatch.setattr(mesh_content, "LARGEST_UINT", 3)
    with pytest.raises(OutputError, match=f"mesh.{suffix}: the mesh has {what}"):
        save_mesh(tmp_path / f"mesh.{suffix}", V, None, F)
    assert not list(tmp_path.iterdir())
