"""A texture: charts apart, texels on the surface, both sides of a seam alike, files that readers understand."""

import io

import numpy as np
import pytest
import trimesh
from glb import parsed, values
from scipy.ndimage import map_coordinates
from skimage.io import imread

from neural_splines.files import meshes
from neural_splines.files.mesh_content import TextureMap
from neural_splines.pictures import png
from neural_splines.surface.charts import charted
from neural_splines.surface.mesh import Mesh
from neural_splines.surface.texture import _fill, textured

pytest.importorskip("xatlas")

SIZE = 256


def tint(x):
    """A smooth function of place, 0..255, whose slope is at most 60 in each channel."""
    return 127.5 + 60.0 * np.stack([np.sin(x[:, 0]), np.cos(x[:, 1] + 1.0), np.sin(x[:, 2] - x[:, 0] / 2.0)], 1)


def ball(x):
    """The distance from the unit ball, and its gradient."""
    length = np.linalg.norm(x, axis=1)
    return length - 1.0, x / length[:, None]


@pytest.fixture(scope="module")
def icosphere():
    found = trimesh.creation.icosphere(subdivisions=2)
    return Mesh(np.array(found.vertices), np.array(found.vertices), np.array(found.faces))


def looked_up(image, uv):
    """Colours [n, 3] as renderers read them: a mean of four texels, weighted by how near their centres are."""
    at = (uv * (image.shape[1], image.shape[0]) - 0.5)[:, ::-1].T
    return np.stack(
        [map_coordinates(layer, at, float, order=1, mode="nearest") for layer in np.moveaxis(image, 2, 0)], 1
    )


@pytest.fixture(scope="module")
def texture(icosphere):
    return textured(icosphere, ball, tint, SIZE, 0.01)


def seam_places(faces, corners):
    """Pairs of (face, corner, next corner) of edges whose two faces have other corners there."""
    sides = {}
    for vertices, own in zip(faces, corners, strict=True):
        for k in range(3):
            sides.setdefault(tuple(sorted((vertices[k], vertices[k - 1]))), []).append(
                dict(zip((vertices[k], vertices[k - 1]), (own[k], own[k - 1]), strict=True))
            )
    pairs = [(key, *both) for key, both in sides.items() if len(both) == 2 and both[0] != both[1]]
    return [np.array([[side[key[0]], side[key[1]]] for key, *both in pairs for side in [both[k]]]) for k in (0, 1)]


def test_every_face_has_a_place_of_its_own(icosphere, texture):
    """Within 0..1, with an area, turned the same way, and where no other face is."""
    charts = texture.charts
    assert charts.uv.min() >= 0.0
    assert charts.uv.max() <= 1.0
    assert np.array_equal(charts.parents[charts.corners], icosphere.faces)
    a, b, c = charts.places[charts.corners].transpose(1, 0, 2)
    area = np.cross(np.insert(b - a, 2, 0, axis=1), np.insert(c - a, 2, 0, axis=1))[:, 2] / 2
    assert np.abs(area).min() > 0.1
    hits = np.zeros((SIZE, SIZE), int)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    for p, q, r in zip(a, b, c, strict=True):
        sides = [(u[0] - s[0]) * (rows - s[1]) - (u[1] - s[1]) * (columns - s[0]) for s, u in ((p, q), (q, r), (r, p))]
        hits += np.all([side > 1e-9 for side in sides], 0) | np.all([side < -1e-9 for side in sides], 0)
    assert hits.max() == 1
    assert hits.sum() == pytest.approx(np.abs(area).sum(), rel=0.02)
    assert charts.gap > 3.0  # two texels of either side


def test_a_texel_has_the_colour_of_its_place_of_the_surface(icosphere, texture):
    """Not of its triangle: these cut up to 0.02 off the ball. 1: half a value of rounding, and what lies between."""
    weights = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0], (40, len(icosphere.faces)))
    x = np.einsum("mfk,fkd->mfd", weights, icosphere.vertices[icosphere.faces]).reshape(-1, 3)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    uv = np.einsum("mfk,fkd->mfd", weights, texture.charts.uv[texture.charts.corners]).reshape(-1, 2)
    assert np.abs(looked_up(texture.image, uv) - tint(x)).max() < 1.0


def rough(x):
    """A function of place that has thirty texels of 512 for a wave."""
    return 127.5 + 100.0 * np.sin(20.0 * x)


@pytest.mark.parametrize(("of", "size"), [(tint, SIZE), (rough, 512)])
def test_both_sides_of_a_seam_have_the_same_colour(icosphere, of, size, monkeypatch):
    """Of what bends within a few texels as well; few texels change for it, and it does not get worse in the mean."""
    texture = textured(icosphere, ball, of, size, 0.01)
    monkeypatch.setattr("neural_splines.surface.texture.levelled", lambda *_: None)
    plain = textured(icosphere, ball, of, size, 0.01)
    off, before = across_seams(icosphere, texture), across_seams(icosphere, plain)
    assert off.max() <= 2.0
    assert np.square(off).mean() < np.square(before).mean() * (1.0 if of is tint else 0.9)
    moved = np.abs(texture.image.astype(float) - plain.image).max(2)
    assert (moved > 1.0).mean() < 0.1
    assert moved.max() < 20.0


def across_seams(icosphere, texture):
    """The differences of both sides at places of all seams."""
    charts = texture.charts
    one, other = seam_places(icosphere.faces, charts.corners)
    assert len(one) > 20
    assert np.array_equal(charts.parents[one], charts.parents[other])
    off = []
    for t in np.linspace(0.0, 1.0, 21):
        left, right = ((1 - t) * charts.uv[side[:, 0]] + t * charts.uv[side[:, 1]] for side in (one, other))
        off.append(np.abs(looked_up(texture.image, left) - looked_up(texture.image, right)))
    return np.stack(off)


def test_faces_without_area_have_the_place_of_a_corner(icosphere):
    """xatlas leaves them out; their corners would lie at 0, 0. Of a mesh of nothing else nothing is left."""
    faces = np.vstack([[[0, 0, 1]], icosphere.faces, [[7, 9, 7], [5, 5, 5]]])
    charts = charted(icosphere.vertices, faces, SIZE)
    assert np.array_equal(charts.parents[charts.corners], faces)
    assert len(np.unique(charts.corners)) == len(charts.parents)
    for face in (0, -2, -1):
        (place,) = np.unique(charts.places[charts.corners[face]], axis=0)
        others = charts.places[charts.corners[1:-2]].reshape(-1, 2)
        (found,) = np.unique(charts.parents[charts.corners[1:-2]].reshape(-1)[(others == place).all(1)])
        assert found in faces[face]


def test_texels_lie_on_the_surface_or_where_it_is_far_on_the_triangle(icosphere):
    """A step that leads far, or to the other side of a wall, or nowhere, is not taken."""
    seen = []

    def noted(x):
        seen.append(x.copy())
        return tint(x)

    found = textured(icosphere, ball, noted, 64, 0.01)
    assert np.abs(np.linalg.norm(np.concatenate(seen), axis=1) - 1.0).max() < 1e-9
    assert 0.005 < found.moved < 0.2
    for field in (
        lambda x: (ball(x)[0] + 0.5, ball(x)[1]),
        lambda x: (ball(x)[0], -ball(x)[1]),
        lambda x: (np.full(len(x), np.nan), np.full(x.shape, np.nan)),
        lambda x: (np.ones(len(x)), np.zeros(x.shape)),
    ):
        seen.clear()
        assert textured(icosphere, field, noted, 64, 0.01).moved == 0.0
        assert np.linalg.norm(np.concatenate(seen), axis=1).min() < 0.99


def test_texels_of_no_chart_have_the_colours_around():
    """Known ones stay; the others lie between them, as near ones say first; one colour everywhere stays one."""
    random = np.random.default_rng(0)
    known = random.random((37, 50)) < 0.05
    image = random.integers(40, 200, (37, 50, 3)).astype(np.uint8) * known[..., None].astype(np.uint8)
    before = image.copy()
    _fill(image, known)
    assert np.array_equal(image[known], before[known])
    assert image.min() >= before[known].min()
    assert image.max() <= before[known].max()
    one = np.full((37, 50, 3), 77, np.uint8) * known[..., None].astype(np.uint8)
    _fill(one, known)
    assert (one == 77).all()


def save(path, mesh, texture, **more):
    charts = texture.charts
    picture = TextureMap(charts.parents, charts.corners, charts.uv, png.encode(texture.image))
    meshes.save_mesh(path, mesh.vertices, mesh.normals, mesh.faces, texture=picture, **more)


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_other_readers_find_the_colours(tmp_path, icosphere, texture, suffix):
    """trimesh, which knows our words of neither format, on a mesh far from the origin."""
    path, place = tmp_path / f"a mesh{suffix}", np.array([5.1e5, 4.5e6, 800.0])
    moved = Mesh(icosphere.vertices + place, icosphere.normals, icosphere.faces)
    save(path, moved, texture, voxel_size=0.01, colours=np.zeros((len(moved.vertices), 3)))
    found = trimesh.load(path, process=False, force="mesh")
    material = found.visual.material
    image = np.asarray(material.baseColorTexture if suffix == ".glb" else material.image)
    assert np.array_equal(image, texture.image)
    uv = np.stack([found.visual.uv[:, 0], 1.0 - found.visual.uv[:, 1]], 1)
    assert np.abs(looked_up(image, uv) - tint(found.vertices - place)).max() < 1.0
    assert len(found.faces) == len(icosphere.faces)
    names = {".glb": ["a mesh.glb"], ".obj": ["a mesh.mtl", "a mesh.obj", "a mesh_texture.png"]}
    assert sorted(p.name for p in tmp_path.iterdir()) == names[suffix]


def test_a_glb_says_what_the_specification_wants(tmp_path, icosphere, texture):
    """A closed mesh has no second side, seams or not; colours of vertices, which would be multiplied, are gone."""
    path = tmp_path / "a.glb"
    scalars = {"height": icosphere.vertices[:, 2]}
    save(path, icosphere, texture, colours=np.zeros((len(icosphere.vertices), 3)), scalars=scalars)
    said, data = parsed(path)
    (primitive,), (material,) = said["meshes"][0]["primitives"], said["materials"]
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "TEXCOORD_0", "_HEIGHT"}
    assert "doubleSided" not in material
    assert material["pbrMetallicRoughness"]["baseColorTexture"] == {"index": 0}
    assert said["textures"] == [{"source": 0, "sampler": 0}]
    assert said["samplers"][0] == {"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}
    image = said["images"][0]
    view = said["bufferViews"][image["bufferView"]]
    assert set(view) == {"buffer", "byteOffset", "byteLength"}
    assert view["byteOffset"] % 4 == 0
    assert image["mimeType"] == "image/png"
    file = data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    assert np.array_equal(imread(io.BytesIO(file)), texture.image)
    accessor = said["accessors"][primitive["attributes"]["TEXCOORD_0"]]
    assert (accessor["type"], accessor["componentType"]) == ("VEC2", 5126)
    assert len({a["count"] for a in said["accessors"][1:]}) == 1
    assert np.abs(values(path, "_HEIGHT")[:, 0] - values(path, "POSITION")[:, 2]).max() < 1e-6
