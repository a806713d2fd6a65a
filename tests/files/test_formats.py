"""Meshes in every format that can be written: trimesh reads the same vertices, faces, normals and colours."""

import numpy as np
import pytest
import trimesh
from format_bytes import read_3mf
from scripts import run, write_cloud
from shapes import sphere

from neural_splines.errors import ReconstructionWarning
from neural_splines.files import mesh_content
from neural_splines.files.large_meshes import written_in_parts
from neural_splines.files.meshes import load_mesh, save_mesh
from neural_splines.files.obj_off import read_off
from neural_splines.placement import Placement
from neural_splines.settings import MESH_FORMATS as FORMATS

# A tetrahedron of no symmetry, with colours and a scalar at its corners.
V = np.array([(0, 0, 0), (1, 0.123456789, 0), (0, 1, 0.3), (0.2, 0.1, 1.5)], float)
F = np.array([(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])
N = np.array([(-1, -1, -1), (1, 0.1, -0.2), (0, 1, 0), (0, 0.2, 1)]) / np.sqrt([[3], [1.05], [1], [1.04]])
RGB = np.array([(255, 0, 0), (0, 255, 0), (1, 2, 253), (128, 127, 60)], np.uint8)
UTM = np.array([5.1e5, 4.57e6, 812.0])
FLOATS = (".stl",)  # that have nothing but float32


def read(path):
    """What trimesh finds, in the world's coordinates; it reads 3MF with lxml alone."""
    if path.suffix == ".3mf":
        _, vertices, faces = read_3mf(path.read_bytes())
        return trimesh.Trimesh(vertices, faces, process=False)
    found = trimesh.load(path, process=False, maintain_order=True)
    if isinstance(found, trimesh.Scene):
        (node,) = found.graph.nodes_geometry
        transform, name = found.graph[node]
        found = found.geometry[name]
        found.apply_transform(transform)
    return found


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_what_is_written_is_read(tmp_path, suffix, scale):
    """The same triangles in the same order, whatever the size of the mesh: 1e-6 of it where float32 is all there is."""
    path = tmp_path / f"mesh{suffix}"
    save_mesh(path, scale * V, N, F, colours=RGB)
    mesh = read(path)
    tolerance = scale * (2e-7 if suffix in (*FLOATS, ".glb") else 1e-15)
    assert np.abs(mesh.vertices[mesh.faces] - scale * V[F]).max() <= tolerance
    if suffix not in (*FLOATS, ".3mf"):
        assert np.array_equal(mesh.faces, F)
        normals = read_off(path.read_bytes())[1] if suffix == ".off" else mesh.vertex_normals  # trimesh drops OFF's
        assert np.abs(normals - N).max() < 1e-6
        if suffix not in (".off", ".glb"):  # nor their colours: Open3D reads them, below; and test_gltf.py those of GLB
            assert np.array_equal(mesh.visual.vertex_colors[:, :3], RGB)


@pytest.mark.parametrize("suffix", FORMATS)
def test_far_from_the_origin_vertices_keep_their_digits(tmp_path, suffix):
    """UTM metres, details of a micrometre: double, or an offset beside float32. STL cannot, and says so."""
    path = tmp_path / f"mesh{suffix}"
    if suffix in FLOATS:
        with pytest.warns(ReconstructionWarning, match="STL has only float32, which moves vertices by up to"):
            save_mesh(path, V + UTM, N, F, voxel_size=0.1)
        return
    save_mesh(path, V + UTM, N, F, voxel_size=0.1)
    assert np.abs(read(path).vertices - (V + UTM)).max() < (2e-7 if suffix == ".glb" else 1e-9)


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".stl"])
def test_our_own_readers_agree(tmp_path, suffix):
    save_mesh(tmp_path / f"mesh{suffix}", V, N, F, colours=RGB)
    vertices, faces = load_mesh(tmp_path / f"mesh{suffix}")
    assert np.abs(vertices[faces].numpy() - V[F]).max() < 1e-7


def test_scalars_are_where_programs_look_for_them(tmp_path):
    quality = np.array([0.25, 0.5, 0.75, 1.0], np.float32)
    save_mesh(tmp_path / "mesh.ply", V, N, F, scalars={"quality": quality})
    assert b"property float quality\n" in (tmp_path / "mesh.ply").read_bytes()
    assert np.array_equal(
        trimesh.load(tmp_path / "mesh.ply").metadata["_ply_raw"]["vertex"]["data"]["quality"], quality
    )
    save_mesh(tmp_path / "mesh.glb", V, N, F, scalars={"quality": quality})
    assert np.array_equal(read(tmp_path / "mesh.glb").vertex_attributes["_QUALITY"].ravel(), quality)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_run_writes_the_format_of_its_extension(tmp_path, suffix):
    """The surface of a ball, normals outwards, the same from each format."""
    cloud, out = write_cloud(tmp_path / "cloud.ply", sphere(300)), tmp_path / f"mesh{suffix.upper()}"
    outcome = run("fit.py", cloud, "auto", 150, 16, "--seed", 0, "--out", out)
    assert outcome.code == 0, outcome.err
    out.rename(out.with_suffix(suffix))  # trimesh does not know capitals of all
    mesh = read(out.with_suffix(suffix))
    mesh.merge_vertices()  # of STL
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4.19, abs=0.1)
    assert (mesh.vertex_normals * mesh.vertices).sum(1).min() > 0.9


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("place", [0.0, UTM])
@pytest.mark.parametrize("placement", [Placement(), Placement(size=0.7, to_origin=True)], ids=["as it is", "placed"])
def test_parts_have_the_bytes_of_the_whole(tmp_path, suffix, place, placement, monkeypatch):
    """Whatever is written of a mesh, and in whichever chunks."""
    heat = {"heat": np.arange(4.0), "Class 1": np.arange(4, dtype=np.int16)}
    everything, nothing = {"colours": RGB, "scalars": heat}, {}
    for normals, more in ((N, everything), (None, nothing)):
        arguments = {"voxel_size": 100.0 if suffix in FLOATS else 0.1, "placement": placement}
        save_mesh(tmp_path / f"whole{suffix}", V + place, normals, F, **more, **arguments)
        monkeypatch.setattr(mesh_content, "TABLE_ROWS", 3)
        with written_in_parts(tmp_path / f"parts{suffix}", str(tmp_path), **arguments) as writer:
            for rows, faces in ((slice(0, 3), F[:1]), (slice(3, 3), F[:0]), (slice(3, 4), F[1:])):
                parts = {"colours": RGB[rows], "scalars": {name: values[rows] for name, values in heat.items()}}
                writer.add(V[rows] + place, None if normals is None else N[rows], faces, **(parts if more else {}))
        assert (tmp_path / f"parts{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
        assert not list(tmp_path.glob(".*"))


def test_our_own_stl_is_that_of_trimesh(tmp_path):
    """Byte for byte: normals of float64 corners, a face without area with a normal of zeros."""
    faces = np.vstack([F, [[0, 0, 1]]])
    save_mesh(tmp_path / "mesh.stl", V, N, faces)
    assert (tmp_path / "mesh.stl").read_bytes() == trimesh.Trimesh(V, faces, process=False).export(file_type="stl")


@pytest.mark.parametrize("suffix", [".obj", ".off"])
def test_open3d_reads_it_too(tmp_path, suffix):
    o3d = pytest.importorskip("open3d")
    save_mesh(tmp_path / f"mesh{suffix}", V, N, F, colours=RGB)
    mesh = o3d.io.read_triangle_mesh(str(tmp_path / f"mesh{suffix}"))
    corners = np.asarray(mesh.triangles)  # it may reorder vertices
    assert np.abs(np.asarray(mesh.vertices)[corners] - V[F]).max() < 1e-7
    assert np.abs(np.asarray(mesh.vertex_normals)[corners] - N[F]).max() < 1e-6
    assert np.abs(np.asarray(mesh.vertex_colors)[corners] - RGB[F] / 255).max() < 1e-3
