"""A map of normals: decoded as glTF says, with the tangents of the file, it has the normals of the field."""

import io

import numpy as np
import pytest
import trimesh
from glb import parsed, values
from skimage.io import imread

from neural_splines.files import meshes
from neural_splines.run.texturing import as_map
from neural_splines.surface.charts import Charts
from neural_splines.surface.mesh import Mesh
from neural_splines.surface.normal_map import FLAT, Frames
from neural_splines.surface.texture import textured

pytest.importorskip("xatlas")

SIZE, ROUNDING = 192, 0.5  # degrees that 8 bits may be off: half a step of 1 / 127.5 in each of three numbers is .39
WAVES, HEIGHT = 9.0, 0.03


def waved(x):
    """A ball of radius 1 with waves on it, and its gradient."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    wave = WAVES * x
    slope = x / length - HEIGHT * WAVES * np.cos(wave)
    return length[:, 0] - 1.0 - HEIGHT * np.sin(wave).sum(1), slope


@pytest.fixture(scope="module")
def coarse():
    """Vertices on the waves, with their normals, and few faces."""
    found = trimesh.creation.icosphere(subdivisions=2)
    x = np.array(found.vertices)
    for _ in range(9):
        value, slope = waved(x)
        x = x - value[:, None] * slope / np.square(slope).sum(1, keepdims=True)
    slope = waved(x)[1]
    return Mesh(x, slope / np.linalg.norm(slope, axis=1, keepdims=True), np.array(found.faces))


@pytest.fixture(scope="module")
def mapped(coarse):
    return textured(coarse, waved, None, SIZE, 0.05, normal_map=True)


@pytest.fixture(scope="module")
def file(coarse, mapped, tmp_path_factory):
    path = tmp_path_factory.mktemp("normals") / "a.glb"
    save(path, coarse, mapped)
    return path


def save(path, mesh, texture):
    meshes.save_mesh(path, mesh.vertices, mesh.normals, mesh.faces, texture=as_map(texture), voxel_size=0.05)


class Read:
    """A GLB by the words of the specification."""

    def __init__(self, path):
        said, data = parsed(path)
        (primitive,) = said["meshes"][0]["primitives"]
        accessor = said["accessors"][primitive["indices"]]
        start = said["bufferViews"][accessor["bufferView"]]["byteOffset"]
        self.faces = np.frombuffer(data, "<u4", accessor["count"], start).reshape(-1, 3).astype(int)
        accessor = said["accessors"][primitive["attributes"]["TEXCOORD_0"]]
        start = said["bufferViews"][accessor["bufferView"]]["byteOffset"]
        self.uv = np.frombuffer(data, "<f4", 2 * accessor["count"], start).reshape(-1, 2).astype(float)
        self.x, self.n, self.t = (values(path, name) for name in ("POSITION", "NORMAL", "TANGENT"))
        material = said["materials"][0]
        view = said["bufferViews"][said["images"][material["normalTexture"]["index"]]["bufferView"]]
        self.image = imread(io.BytesIO(data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]))
        self.said = said

    def decoded(self, face, weights, colour):
        """Normals [n, 3] of places of faces: red along the tangent, green along the bitangent, blue outwards."""
        corners = self.faces[face]
        n, t = (np.einsum("nk,nkd->nd", weights, part[corners]) for part in (self.n, self.t[:, :3]))
        b = np.einsum("nk,nkd->nd", weights, (self.t[:, 3:] * np.cross(self.n, self.t[:, :3]))[corners])
        m = 2.0 * colour / 255.0 - 1.0
        found = sum(m[:, k, None] * unit(part) for k, part in enumerate((t, b, n)))
        return unit(found)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def degrees(a, b):
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), (a * b).sum(1)))


def texels_within(uv, faces, size):
    """(texel, face, weights) of all texels whose centres lie in a face, one face after the other."""
    column, row = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    centres = np.stack([column.reshape(-1), row.reshape(-1)], 1)
    found = []
    for k, corners in enumerate(uv[faces] * size):
        system = np.vstack([corners.T, np.ones(3)])
        if abs(np.linalg.det(system)) < 1e-6:
            continue
        weights = np.linalg.solve(system, np.vstack([centres.T, np.ones(len(centres))])).T
        inside = np.flatnonzero((weights > 1e-6).all(1))
        found.append((inside, np.full(len(inside), k), weights[inside]))
    return (np.concatenate(part) for part in zip(*found, strict=True))


def on_waves(x):
    for _ in range(9):
        value, slope = waved(x)
        x = x - value[:, None] * slope / np.square(slope).sum(1, keepdims=True)
    return x


def test_decoded_at_texels_it_has_the_normals_of_the_field(file, coarse):
    """Where the one step from the triangle leads, within what 8 bits tell; and so those of the surface, nearly, from
    which the mesh's own are far."""
    read = Read(file)
    texel, face, weights = texels_within(read.uv, read.faces, SIZE)
    assert len(texel) > 5000
    found = read.decoded(face, weights, read.image.reshape(-1, 3)[texel].astype(float))
    place = np.einsum("nk,nkd->nd", weights, read.x[read.faces[face]])
    value, slope = waved(place)
    step = place - value[:, None] * slope / np.square(slope).sum(1, keepdims=True)
    assert degrees(found, unit(waved(step)[1])).max() < ROUNDING
    truth = unit(waved(on_waves(place))[1])
    own = unit(np.einsum("nk,nkd->nd", weights, read.n[read.faces[face]]))
    assert degrees(found, truth).mean() < 0.2 * degrees(own, truth).mean()


def test_tangents_are_unit_vectors_across_normals_that_follow_the_picture(file):
    """As MikkTSpace makes them, by a slow twin of its definition; the picture has its upper rows where v is small."""
    read = Read(file)
    t, sign = read.t[:, :3], read.t[:, 3]
    assert np.abs(np.linalg.norm(t, axis=1) - 1.0).max() < 1e-6
    assert np.isin(sign, (-1.0, 1.0)).all()
    assert np.abs((t * read.n).sum(1)).max() < 1e-6
    total, turned = np.zeros_like(t), np.zeros(len(t))
    for corners in read.faces:
        (p, q, r), (a, b, c) = read.x[corners], read.uv[corners]
        edges = np.stack([q - p, r - p], 1)
        uv = np.stack([b - a, c - a], 1) * [[1.0], [-1.0]]  # v upwards
        along, upwards = (edges @ np.linalg.inv(uv)).T
        for k, corner in enumerate(corners):
            n = read.n[corner]
            one, other = (read.x[corners[j]] - read.x[corner] for j in (k - 1, k - 2))
            one, other = unit(one - one @ n * n), unit(other - other @ n * n)
            angle = np.arccos(np.clip(one @ other, -1.0, 1.0))
            total[corner] += angle * unit(along - along @ n * n)
            turned[corner] += angle * np.sign(np.cross(along, upwards) @ n)
    assert degrees(t, unit(total - (total * read.n).sum(1, keepdims=True) * read.n)).max() < 0.05  # float32
    assert np.array_equal(sign, np.sign(turned))


def plane():
    """A square of 5 x 5 vertices that faces z."""
    x, y = (part.reshape(-1) for part in np.mgrid[:5, :5].astype(float))
    corner = (np.arange(4)[:, None] * 5 + np.arange(4)).reshape(-1)
    faces = np.vstack([corner[:, None] + [0, 5, 6], corner[:, None] + [0, 6, 1]])
    return Mesh(np.stack([x, y, 0 * x], 1), np.tile([0.0, 0.0, 1.0], (25, 1)), faces)


def test_a_flat_surface_has_the_colour_of_no_normal_of_its_own():
    """Everywhere, also between charts, where pictures are made smaller."""
    found = textured(plane(), lambda p: (p[:, 2], np.tile([0.0, 0.0, 2.0], (len(p), 1))), None, 64, 0.1, True)
    assert (found.normals == FLAT).all()
    assert FLAT == (128, 128, 255)
    assert found.image is None
    assert found.summary().endswith(" in 1 chart, normals")


@pytest.mark.parametrize(("height", "flat"), [(0.1, True), (0.5, True), (0.7, False), (2.0, False)])
def test_a_plane_that_cuts_the_surface_keeps_its_own_normal(height, flat):
    """A wall that the plane closes at its foot is another surface, if it stands steeper than 60 degrees to it."""
    found = textured(plane(), lambda p: (0.0 * p[:, 0], np.tile([1.0, 0.0, height], (len(p), 1))), None, 64, 0.1, True)
    assert (found.normals == FLAT).all() == flat


@pytest.mark.parametrize(
    "gradient",
    [
        lambda x: (np.full(len(x), np.nan), np.full(x.shape, np.nan)),
        lambda x: (np.ones(len(x)), np.zeros(x.shape)),
        lambda x: (waved(x)[0], -waved(x)[1]),
        lambda x: (waved(x)[0] + 5.0, waved(x)[1]),
    ],
)
def test_where_the_field_knows_no_surface_the_mesh_keeps_its_own(coarse, gradient):
    """None at all, the other side of a wall, or one that is too far."""
    assert (textured(coarse, gradient, None, 64, 0.05, True).normals == FLAT).all()


def test_a_mirrored_picture_has_the_other_sign_and_shows_the_same(mapped, coarse):
    """Charts may lie mirrored in it: the bitangent is on the other side of the tangent then."""
    charts = mapped.charts
    places = charts.places * [-1.0, 1.0] + [charts.size, 0.0]
    mirrored = Charts(charts.parents, charts.corners, places, charts.size, charts.count, charts.gap)
    straight, turned = (Frames(coarse.vertices, coarse.normals, c) for c in (charts, mirrored))
    assert np.array_equal(straight.tangents[:, 3], -turned.tangents[:, 3])
    assert np.abs(straight.tangents[:, :3] + turned.tangents[:, :3]).max() < 1e-9
    face, weights = np.arange(len(coarse.faces)), np.full((len(coarse.faces), 3), 1.0 / 3.0)
    for frames in (straight, turned):
        axes = frames.at(face, weights)
        normals = unit(axes[:, 2] + 0.2)
        colours = frames.encoded(face, weights, normals, np.ones(len(face), bool))
        found = np.einsum("nk,nkd->nd", 2.0 * colours / 255.0 - 1.0, axes)
        assert degrees(found, normals).max() < ROUNDING


def test_both_sides_of_a_seam_show_the_same_normal(coarse):
    """As renderers mix texels: within what normals turn over a texel."""
    from test_texture import looked_up, seam_places

    texture = textured(coarse, waved, None, 512, 0.05, True)
    charts, frames = texture.charts, Frames(coarse.vertices, coarse.normals, texture.charts)
    off = []
    for t in (0.2, 0.5, 0.8):
        sides = []
        for pair in seam_places(coarse.faces, charts.corners):
            weights = np.array([1.0 - t, t])
            colour = looked_up(texture.normals, np.einsum("k,nkd->nd", weights, charts.uv[pair]))
            axes = np.einsum("k,nkij->nij", weights, frames.axes[pair])
            sides.append(np.einsum("nk,nkd->nd", 2.0 * colour / 255.0 - 1.0, unit(axes)))
        off.append(degrees(*sides))
    assert np.max(off) < 1.5
    assert np.mean(off) < 0.3


def test_files_name_it_as_their_readers_look_for_it(tmp_path, file, coarse, mapped):
    """Without colours there is no picture of them."""
    said = Read(file).said
    (primitive,) = said["meshes"][0]["primitives"]
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "TANGENT", "TEXCOORD_0"}
    assert said["materials"][0]["normalTexture"] == {"index": 0}
    assert "baseColorTexture" not in said["materials"][0]["pbrMetallicRoughness"]
    assert [image["name"] for image in said["images"]] == ["normals"]
    accessor = said["accessors"][primitive["attributes"]["TANGENT"]]
    assert (accessor["type"], accessor["componentType"]) == ("VEC4", 5126)
    save(tmp_path / "a.obj", coarse, mapped)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mtl", "a.obj", "a_normals.png"]
    words = [line.split() for line in (tmp_path / "a.mtl").read_text().splitlines()]
    assert [line for line in words if line[-1].endswith(".png")] == [
        ["norm", "a_normals.png"],
        ["map_Bump", "a_normals.png"],
    ]
    assert np.array_equal(imread(tmp_path / "a_normals.png"), mapped.normals)
    both = textured(coarse, waved, lambda x: 0.0 * x + 9.0, SIZE, 0.05, True)
    assert both.summary().endswith("charts, colours and normals")
    assert np.array_equal(both.normals, mapped.normals)
    save(tmp_path / "b.obj", coarse, both)
    assert {"b.mtl", "b.obj", "b_normals.png", "b_texture.png"} < {path.name for path in tmp_path.iterdir()}
    save(tmp_path / "b.glb", coarse, both)
    material = Read(tmp_path / "b.glb").said["materials"][0]
    assert material["normalTexture"] == {"index": 1}
    assert material["pbrMetallicRoughness"]["baseColorTexture"] == {"index": 0}
