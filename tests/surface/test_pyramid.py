"""A mesh in tiles of several levels: the finest are the mesh, no two of any levels have a gap, errors are bounds."""

import itertools

import numpy as np
import pytest
from meshes import borders, hills, places, ring

from neural_splines.surface.distance import Tree, distances
from neural_splines.surface.pyramid import coarser, divided, joined, leaf, shared_depth

MESHES = {"hills": hills(70), "ring": ring(60)}


@pytest.fixture(scope="module", params=MESHES)
def pyramid(request):
    """A mesh, its tree, and the tiles by name; of each vertex a number, its x."""
    vertices, faces = MESHES[request.param]
    root = divided(vertices, faces, 400)
    shared = shared_depth(root, faces, len(vertices))
    tiles = {}
    for node in sorted(root.all(), key=lambda node: -node.depth):
        if node.rows is not None:
            tiles[node.name] = leaf(vertices, faces, lambda ids: vertices[ids, :1], node.rows)
            continue
        tile = joined([tiles[part.name] for part in node.parts])
        count = len(tile.faces) // len(node.parts)
        tiles[node.name] = coarser(tile, shared[tile.ids] < node.depth, count, (vertices, faces[node.below]), 1e-5)
    return vertices, faces, root, tiles


def cut(node, refine):
    """The tiles that a viewer shows which goes on to the parts of a tile where refine(tile) says so."""
    if not node.parts or not refine(node):
        return [node]
    return [shown for part in node.parts for shown in cut(part, refine)]


def soup(nodes, tiles):
    """The meshes of some tiles as one, with what is at several tiles' borders as often as it is there."""
    starts = itertools.accumulate((len(tiles[node.name].vertices) for node in nodes), initial=0)
    faces = [tiles[node.name].faces + start for node, start in zip(nodes, starts, strict=False)]
    return np.concatenate([tiles[node.name].vertices for node in nodes]), np.concatenate(faces)


def test_every_face_is_in_one_leaf(pyramid):
    _, faces, root, tiles = pyramid
    leaves = [node for node in root.all() if node.rows is not None]
    assert np.array_equal(np.sort(np.concatenate([node.rows for node in leaves])), np.arange(len(faces)))
    for node in leaves:
        assert 200 <= len(node.rows) <= 400
        assert np.array_equal(tiles[node.name].ids[tiles[node.name].faces], faces[node.rows])


def test_flat_scenes_have_a_quadtree_of_compact_tiles():
    vertices, faces = hills(60)
    for node in divided(vertices, faces, 500).all():
        if node.rows is not None:
            sides = np.ptp(vertices[faces[node.rows]].reshape(-1, 3)[:, :2], axis=0)
            assert sides.max() < 3.0 * sides.min()


def test_coarser_tiles_have_fewer_faces(pyramid):
    _, faces, _, tiles = pyramid
    for name, tile in tiles.items():
        assert len(tile.faces) <= 420, name
    assert len(tiles[""].faces) < 0.1 * len(faces)


@pytest.mark.parametrize("seed", range(6))
def test_no_tile_has_a_gap_to_another_of_any_level(pyramid, seed):
    """Every edge within the mesh has two faces, to the bit of their vertices, whichever tiles are shown."""
    vertices, faces, root, tiles = pyramid
    rng = np.random.default_rng(seed)
    level = seed % 3
    refine = (lambda node: node.depth < level) if seed < 3 else (lambda node: not node.name or rng.random() < 0.6)
    shown = cut(root, refine)
    assert seed == 0 or len(shown) > 1
    open_edges = borders(*soup(shown, tiles))
    if not len(borders(vertices, faces)):
        assert len(open_edges) == 0
        return
    off = np.minimum(open_edges[..., :2], 1.0 - open_edges[..., :2]).min(-1)  # from the rim of the square
    assert off.max() < 0.02
    assert np.linalg.norm(open_edges[:, 0] - open_edges[:, 1], axis=1).sum() == pytest.approx(4.3, abs=0.3)


def test_errors_are_never_less_than_what_is_measured(pyramid):
    """At places that were not used to find them, both ways; and hardly more."""
    vertices, faces, root, tiles = pyramid
    for node in root.all():
        tile = tiles[node.name]
        rows = node.below
        there = distances(places(vertices, faces[rows], 20_000), Tree.of(tile.vertices, tile.faces)).max()
        back = distances(places(tile.vertices, tile.faces, 20_000), Tree.of(vertices, faces[rows])).max()
        assert tile.error >= max(there, back) - 1e-12, node.name
        assert tile.error <= 1.25 * max(there, back) + 1e-4, node.name
        assert node.parts == [] or tile.error > 0.0


def test_numbers_are_means_of_what_became_one_vertex(pyramid):
    """x of a vertex is near the mean of x of those that it stands for, and none is lost."""
    vertices, _, root, tiles = pyramid
    for node in root.all():
        tile = tiles[node.name]
        assert np.abs(tile.values[:, 0] - tile.vertices[:, 0]).max() < 0.15
    assert tiles[""].weights.sum() == len(vertices)
    assert tiles[""].values[:, 0] @ tiles[""].weights == pytest.approx(vertices[:, 0].sum(), abs=1e-6)
