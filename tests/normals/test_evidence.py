"""Which side a surface was seen from: by what a user, a file and the points say, and where they are not believed."""

from __future__ import annotations

import numpy as np
import pytest
from shapes import sphere, torus

from neural_splines.errors import SettingsError
from neural_splines.files.scans import ScannedCloud
from neural_splines.normals.graph import PointGraph
from neural_splines.normals.orient import orient
from neural_splines.normals.views import from_above, from_place
from neural_splines.run.upright import upright
from neural_splines.settings import NormalSettings


def depth_image(rows=45, columns=60):
    """A camera at the origin that looks along z: a wall, a ball before it, a step."""
    v, u = np.meshgrid(np.linspace(-0.35, 0.35, rows), np.linspace(-0.45, 0.45, columns), indexing="ij")
    z = np.where(u < -0.2, 1.6, 2.2 + 0.4 * u)
    inside = 0.25**2 - (u - 0.1) ** 2 - v**2
    z = np.where(inside > 0, 1.5 - 0.8 * np.sqrt(np.maximum(inside, 0)), z)
    return np.stack([u * z, v * z, z], -1).reshape(-1, 3)


def ground(n=3000, houses=True, seed=0):
    """Hills, with two blocks whose walls have points, from straight above."""
    rng = np.random.default_rng(seed)
    x, y = rng.random((2, n)) * 40
    z = 1.5 * np.sin(0.2 * x) * np.cos(0.15 * y)
    for left, low in ((5, 8), (24, 20)) if houses else ():
        z = np.where((x > left) & (x < left + 9) & (y > low) & (y < low + 7), 6.0, z)
    return np.stack([x, y, z], 1)


def forest(n=2400, seed=0):
    """Ground that is seen through crowns, and returns in these; for each its number of returns."""
    rng = np.random.default_rng(seed)
    low, high = ground(n, houses=False, seed=seed), ground(n, houses=False, seed=seed + 1)
    crowns = rng.random((30, 2)) * 40
    near = np.sqrt(((high[:, None, :2] - crowns) ** 2).sum(2).min(1))
    high = (high + [0, 0, 7] + near[:, None] * [0, 0, -1.2])[near < 2.5]
    return np.concatenate([low, high]), np.r_[np.full(len(low), 2), np.full(len(high), 2)]


def oriented(points, normals=None, viewpoints=None, laser=None, faces=None, **settings):
    scanned = ScannedCloud(points, normals, viewpoints, laser=laser or {}, faces=faces)
    return orient(scanned, NormalSettings(source="estimate", device="cpu", **settings), "cloud")


def towards(found, place):
    x, n = found.cloud.points.numpy(), found.cloud.normals.numpy()
    return float(((n * (np.asarray(place) - x)).sum(1) > 0).mean())


def upwards(found, up=(0.0, 0.0, 1.0)):
    return float((found.cloud.normals.numpy() @ np.array(up) > -0.05).mean())


# -- what the points show -----------------------------------------------------------------------------


def test_rays_that_meet_at_the_origin_are_found():
    """Whatever the frame of the camera is, and in any order of the points; the result says so and is sure."""
    points = depth_image()
    for turn in (np.eye(3), np.diag([1.0, -1.0, -1.0]), np.eye(3)[[2, 0, 1]]):
        found = oriented(points @ turn)
        assert towards(found, (0, 0, 0)) > 0.99
        assert "seen from the origin" in found.summary()
        assert found.notes == []
    mixed = oriented(np.random.default_rng(0).permutation(points))
    assert towards(mixed, (0, 0, 0)) > 0.99


def test_the_centre_of_a_scanned_room_is_not_the_centre_of_a_ball():
    """The same directions and the same closed shape: the rays of one are even, the points of the other."""
    rng = np.random.default_rng(0)
    ray = rng.normal(size=(4000, 3))
    ray /= np.linalg.norm(ray, axis=1, keepdims=True)
    room = ray * (np.array([3.0, 2.0, 1.3]) / np.abs(ray)).min(1, keepdims=True)
    assert towards(oriented(room), (0, 0, 0)) > 0.99
    face = rng.choice(6, 4000, p=np.repeat([2.6, 3.9, 6.0], 2) / 25.0)
    block = (2 * rng.random((4000, 3)) - 1) * (3.0, 2.0, 1.3)
    block[np.arange(4000), face // 2] = np.array([3.0, 2.0, 1.3])[face // 2] * (2 * (face % 2) - 1)
    assert towards(oriented(block), (0, 0, 0)) < 0.01


@pytest.mark.parametrize("offset", [(0, 0, 0), (431_000, 5_412_000, 220)])
def test_ground_and_roofs_look_up(offset):
    found = oriented(ground() + np.asarray(offset, float))
    assert upwards(found) > 0.98
    assert "seen from above" in found.summary()


def test_up_is_another_axis_where_the_user_says_so():
    points = ground(2000, houses=False)[:, [0, 2, 1]]
    assert upwards(oriented(points, up="y"), (0, 1, 0)) > 0.99
    assert upwards(oriented(points, up="-y"), (0, -1, 0)) > 0.99


def test_closed_things_are_seen_neither_from_above_nor_from_the_origin():
    """Also thin and flat ones, and those around the origin."""
    rng = np.random.default_rng(0)
    plate = rng.random((6000, 3)) * (1.0, 1.0, 0.04)  # its spacing is .018
    plate[:, 2] = 0.045 * (rng.random(6000) < 0.5)
    lattice = np.stack(np.meshgrid(np.arange(60.0), np.arange(40.0), np.arange(2.0)), -1).reshape(-1, 3)
    assert "above" not in oriented(lattice).summary()  # two sides a spacing apart
    for points in (sphere(2000).points.numpy(), torus(2000).points.numpy(), plate, plate - (0.5, 0.5, 0.02)):
        graph = PointGraph.of(points)
        assert from_above(graph, np.array([0.0, 0.0, 1.0])).single < 0.7
        view = from_place(graph, -graph.center / graph.spacing)
        assert view.single < 0.8 or view.evenness > 0.9


def test_a_thing_cut_in_level_lines_around_the_origin_was_not_seen_from_there():
    """How even rays are is compared with distances in space, whichever neighbours lie across the lines."""
    step, parts = 0.015, []
    for z in np.arange(-0.388, 0.4, 6 * step):
        for radius in 1.0 + np.sqrt(0.16 - z * z) * np.array([1.0, -1.0]):
            angle = np.arange(0.0, 2.0 * np.pi, step / radius)
            parts.append(np.stack([radius * np.cos(angle), radius * np.sin(angle), 0.0 * angle + z], 1))
    points = np.concatenate(parts)
    assert oriented(points).estimated.known.source == ""


def test_a_plate_a_spacing_thick_is_no_terrain():
    """Its heights lie in two layers; those of ground with as much noise do not, nor those of a floor in whole steps."""
    rng, up = np.random.default_rng(2), np.array([0.0, 0.0, 1.0])
    spacing, flat = np.sqrt(2.0 / 8000), rng.random((8000, 3)) * (1.0, 1.0, 0.0)
    for height, layers in (
        (0.7 * spacing * (rng.random(8000) < 0.5), True),
        (0.85 * spacing * ((rng.random(8000) < 0.5) + 0.1 * rng.normal(size=8000)), True),
        (0.2 * spacing * rng.normal(size=8000), False),
        (0.01 * spacing * (rng.random(8000) < 0.5), False),
    ):
        points = flat + height[:, None] * up
        assert (from_above(PointGraph.of(points), up).kurtosis < 2.0) == layers
        assert ("above" in oriented(points).summary()) != layers


# -- what is up ---------------------------------------------------------------------------------------


def test_what_is_up_in_pictures():
    """y downwards of a camera that looks along z, upwards of one against it; z from above; what the user says."""

    def seen(scanned, origin):
        known = origin.estimated and origin.estimated.known
        return upright(origin.settings.up, scanned.upright, known, origin.cloud.points.mean(0).numpy())

    image = depth_image()
    for points, settings, up in [
        (image, {}, (0, -1, 0)),
        (image * (1, -1, -1), {}, (0, 1, 0)),
        (ground(2000), {}, (0, 0, 1)),
        (ground(2000), {"up": "-x", "aerial": True}, (-1, 0, 0)),
        (torus(500).points.numpy(), {}, None),
    ]:
        found = seen(ScannedCloud(points, None), oriented(points, **settings))
        assert found == up
    ball = sphere(300).points.numpy()
    assert seen(ScannedCloud(ball, None, upright=True), oriented(ball)) == (0, 0, 1)


# -- what cannot be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [{"aerial": True, "inside": True}, {"aerial": True, "source": "file"}, {"up": "w"}]
)
def test_options_that_contradict_each_other_are_refused(settings):
    with pytest.raises(SettingsError, match=r"aerial|inside|up must"):
        NormalSettings(**settings)
