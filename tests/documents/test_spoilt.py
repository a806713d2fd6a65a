"""The kinds of cases of benchmarks/spoilt.py: each does to a cloud what it says, and is the same every time."""

import hashlib
from pathlib import Path

import cases
import numpy as np
import pytest
import scene_shapes
import spoilt
import truths
from cases import Case
from measures import nearest
from scipy.spatial import cKDTree

BALL = truths.sphere(5)  # of radius 1: D is 2 sqrt 3
COUNT = 4000
GEAR = [3000.0, 560.0, 2.85251096118, 2.35361828388, 2.3458425335, 2.0689166221, 2.00208712605, 1.99105840791,
        1.98541842573]  # fmt: skip
TORUS = [2117.0, 262144.0, 3.88200978876, 2.21968357808, 2.35392607239, 2.08523150624, 1.85492446042, 1.99123673855,
         1.95163262589]  # fmt: skip


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("kind", spoilt.KINDS)
def test_a_kind_is_the_same_every_time_and_has_unit_normals(kind):
    case = Case("cube", 3000, kind=kind)
    (cloud, truth), (again, _) = case.build(), case.build()
    assert cases.fingerprint(cloud, truth) == cases.fingerprint(again, truth)
    assert case.name == f"cube_{kind}"
    assert not case.clean
    assert np.allclose(np.linalg.norm(cloud.normals, axis=1), 1)
    assert np.isfinite(cloud.points).all()


def test_old_cases_keep_their_names_and_arrays():
    """The kinds came later: no name, seed or array of an earlier case may change, or its stored peers are lost."""
    names = "\n".join(case.name for case in cases.first_cases(Path()))
    assert hashlib.sha256(names.encode()).hexdigest()[:12] == "89c90e51f78c"
    for case, first in ((Case("gear", 3000, 0.002, True), GEAR), (Case("torus", 2500, holes=3, uneven=True), TORUS)):
        assert cases.fingerprint(*case.build())[:9] == pytest.approx(first, rel=1e-9)


@pytest.mark.parametrize(("noise", "move"), [(0.0, 0.0), (0.0005, 0.0003), (0.002, 0.001)])
def test_scans_lie_within_their_noise_of_the_surface(noise, move):
    """Along rays that meet a ball at most 75 degrees from its normal; normals from pixels are about right."""
    cloud, size = spoilt.scanned(BALL, 0, rng(), noise, move), BALL.diagonal
    radius = np.linalg.norm(cloud.points, axis=1)
    most = (5 * noise + 2 * move) * size + 1e-3  # five sigma; a shift and a turn; the depth of a facet
    assert np.abs(radius - 1).max() < most
    assert np.abs(radius - 1).mean() > 0.4 * noise * size
    facing = (cloud.normals * cloud.points).sum(1) / radius
    assert facing.min() > 0
    assert np.median(facing) > 1 - 0.005 - (2 * noise / spoilt.PIXEL) ** 2
    pixels = spoilt.SCANS * np.pi * (1 - spoilt.GRAZING**2) / (spoilt.PIXEL * size) ** 2
    assert len(cloud) == pytest.approx(pixels, rel=0.02)  # the disk that ten images show


def test_each_scan_is_moved_by_as_much_as_it_says():
    still, moved = (spoilt.scanned(BALL, 0, rng(), 0.0, move) for move in (0.0, 0.01))
    step = np.linalg.norm(still.points - moved.points, axis=1) / BALL.diagonal
    assert step.max() < 0.01 * (1 + 2 / 3**0.5 / 2) + 1e-9  # a shift, and a turn at the radius of the ball
    assert step.mean() > 0.005


def test_a_range_image_shows_one_side_alone():
    """Of an open sheet nothing is seen from below; of two layers the nearer one; a step mixes no normals."""
    sheet = scene_shapes.patch((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), 0.5)
    up, middle = np.array([0.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.0])
    assert np.isnan(spoilt.range_image(sheet, middle, -up, rng(), 0.0)).all()
    lower = scene_shapes.moved(sheet, (0.5, 0.0, -1.0))
    both = scene_shapes.merged(sheet, lower)
    image = spoilt.range_image(both, np.array([0.75, 0.5, -0.5]), up, rng(), 0.0)
    points, normals = spoilt.image_normals(image, up, spoilt.PIXEL * both.diagonal)
    upper = points[:, 2] > -0.5
    assert np.allclose(points[upper, 2], 0)
    assert np.allclose(points[~upper, 2], -1)
    assert points[~upper, 0].min() > 1
    assert np.allclose(normals, up)


def test_lines_are_as_far_apart_as_they_say():
    """On a cube: points of a face lie within THICK of lines ACROSS apart, and on each ALONG apart; eight to one."""
    box, size = truths.box(1.0, 1.0, 1.0), 3**0.5
    cloud = spoilt.lines(box, 0, rng())
    face = cloud.keep((cloud.normals[:, 2] > 0.5) & (np.abs(cloud.points[:, 1] - 0.5) < 0.4))
    turn = (face.points[:, 0] / (spoilt.ACROSS * size) - 0.31) % 1
    assert np.minimum(turn, 1 - turn).max() <= 0.5 * spoilt.THICK / spoilt.ACROSS + 1e-9
    line = np.round(face.points[:, 0] / (spoilt.ACROSS * size) - 0.31).astype(int)
    assert set(np.diff(np.unique(line))) == {1}
    gaps = np.diff(np.sort(face.points[line == line[len(line) // 2], 1]))
    assert np.median(gaps) == pytest.approx(spoilt.ALONG * size, rel=0.01)
    assert spoilt.ACROSS / spoilt.ALONG == pytest.approx(8)


def test_lines_cover_a_surface_without_gaps():
    """No place is further from a line than half of 1.4 ACROSS, though the sweeps are parallel to some of it."""
    cloud, size = spoilt.lines(BALL, 0, rng()), BALL.diagonal
    gap = cKDTree(cloud.points).query(spoilt.sampled(BALL, COUNT, rng()).points)[0]
    assert gap.max() < (0.5 * 2**0.5 * spoilt.ACROSS + 4 * spoilt.ALONG) * size
    distance, _ = nearest(cloud.points, BALL.vertices, BALL.faces)
    assert distance.max() < 0.05 * spoilt.THICK * size
    assert (cloud.normals * cloud.points).sum(1).min() > 0.999 * np.linalg.norm(cloud.points, axis=1).min()


def test_stripes_are_eight_distances_to_the_nearest_point_apart():
    box, size = truths.box(1.0, 1.0, 1.0), 3**0.5
    cloud = spoilt.stripes(box, 0, rng())
    near = cKDTree(cloud.points).query(cloud.points, 2)[0][:, 1]
    assert np.median(near) == pytest.approx(spoilt.ACROSS * size / 8, rel=0.05)
    face = cloud.points[cloud.normals[:, 2] > 0.5]
    assert (face[:, 0] / (spoilt.ACROSS * size) % 1).max() <= spoilt.THICK / spoilt.ACROSS + 1e-9
    assert np.allclose(face[:, 2], 1)
    walls = cloud.points[np.abs(cloud.normals[:, 0]) > 0.5]  # which a sweep along x does not see
    assert (walls[:, 1] / (spoilt.ACROSS * size) % 1).max() <= spoilt.THICK / spoilt.ACROSS + 1e-9


def test_quantised_coordinates_are_multiples():
    cloud, step = spoilt.quantised(BALL, COUNT, rng()), spoilt.STEP * BALL.diagonal
    assert np.allclose(cloud.points / step, np.round(cloud.points / step), atol=1e-9)
    assert np.abs(np.linalg.norm(cloud.points, axis=1) - 1).max() <= step * 3**0.5 / 2 + 1e-3


def test_clumps_are_so_many_and_so_small():
    cloud = spoilt.clumped(BALL, COUNT, rng())
    extra = cloud.points[COUNT:].reshape(spoilt.CLUMPS, spoilt.CLUMP, 3)
    spread = (extra - extra.mean(1, keepdims=True)).std()
    assert spread == pytest.approx(spoilt.CLUMP_SIZE * BALL.diagonal, rel=0.1)
    assert np.abs(extra.mean(1)).max() < 1.2 + 4 * spread
    assert np.abs(cloud.normals[COUNT:].mean(0)).max() < 0.1


def test_normals_are_flipped_in_one_patch():
    cloud = spoilt.flipped(BALL, COUNT, rng())
    wrong = (cloud.normals * cloud.points).sum(1) < 0
    height = 0.5 * (spoilt.PATCH * BALL.diagonal) ** 2  # of the cap within the ball: 2 pi h of 4 pi
    assert wrong.mean() == pytest.approx(height / 2, rel=0.2)
    middle = cloud.points[wrong].mean(0)
    assert np.linalg.norm(cloud.points[wrong] - middle, axis=1).max() < 1.05 * spoilt.PATCH * BALL.diagonal


def test_heavy_tails_have_the_scale_and_the_kurtosis_of_laplace():
    box = truths.box(1.0, 1.0, 1e-9)
    cloud = spoilt.heavy_tailed(box, 40_000, rng())
    off = cloud.points[:, 2] / box.diagonal
    assert np.abs(off).mean() == pytest.approx(spoilt.LAPLACE, rel=0.02)
    assert (off**4).mean() / (off**2).mean() ** 2 == pytest.approx(6, rel=0.15)  # 3 for a Gaussian


def test_a_base_is_missing():
    whole, cloud = spoilt.sampled(BALL, COUNT, rng()), spoilt.without_base(BALL, COUNT, rng())
    assert len(cloud) == pytest.approx(0.8 * COUNT, abs=2)
    low = np.quantile(whole.points @ spoilt.UP, spoilt.LOWEST)
    assert (cloud.points @ spoilt.UP).min() > low
    assert np.linalg.norm(spoilt.UP) == pytest.approx(1)


def test_density_falls_thirtyfold():
    box = truths.box(1.0, 1.0, 1.0)
    x = spoilt.KINDS["uneven30"](box, 40_000, rng()).points[:, 0]
    x = x[(x > 0) & (x < 1)]
    counts = [((low < x) & (x < low + 0.1)).sum() for low in (0.0, 0.9)]
    assert counts[0] / counts[1] == pytest.approx(30**0.9, rel=0.3)


def test_files_of_a_case_are_those_that_it_reads(tmp_path):
    scan = Case("srb-dc", data=tmp_path)
    assert [path.relative_to(tmp_path).parts[0] for path in scan.files] == ["srb", "srb"]
    assert not scan.complete
    assert scan.closed
    assert Case("torus", 2000).files == []
