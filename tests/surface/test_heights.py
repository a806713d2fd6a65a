"""Rasters of heights: of a mesh met from above, of the field's zero set, and their contour lines."""

import numpy as np
import pytest
import torch

from neural_splines.errors import OutOfMemoryBudgetError, SettingsError
from neural_splines.files.rasters import Heights, Squares
from neural_splines.surface import heights as room
from neural_splines.surface.heights import AskedHeights, chosen_resolution, contours, on_the_field, topmost

CPU = [torch.device("cpu")]


class Ball:
    """|x| - radius, which is no linear function along z."""

    def __init__(self, radius=1.0):
        self.radius = radius

    def evaluate(self, points):
        return points.norm(dim=1) - self.radius

    def gradient(self, points):
        return self.evaluate(points), points / points.norm(dim=1, keepdim=True)


def middles(squares):
    rows, columns = (index.reshape(-1) for index in np.mgrid[: squares.rows, : squares.columns])
    return squares.middles(rows, columns)


def slow(vertices, faces, squares):
    """The largest z of all triangles at each place, by barycentric coordinates of all of them."""
    found = np.full(squares.count, np.nan)
    for place, (x, y) in enumerate(middles(squares)):
        for a, b, c in vertices[faces]:
            matrix = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1.0, 1.0, 1.0]])
            weights = np.linalg.solve(matrix, [x, y, 1.0])
            if (weights >= 0.0).all():
                found[place] = np.fmax(found[place], weights @ [a[2], b[2], c[2]])
    return found.reshape(squares.rows, squares.columns)


def sheet(n, step=1.0):
    """A square of n x n cells of two triangles, with corners at multiples of the step."""
    x, y = (index.reshape(-1) * step for index in np.mgrid[: n + 1, : n + 1])
    first = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).reshape(-1)
    faces = np.concatenate([first[:, None] + [0, n + 1, 1], first[:, None] + [1, n + 1, n + 2]])
    return np.stack([x, y, 0.0 * x], 1), faces


def test_heights_are_those_of_the_highest_triangle():
    rng = np.random.default_rng(0)
    vertices, faces = rng.random((60, 3)) * [4.0, 3.0, 5.0] - [0.5, 0.2, 1.0], rng.permutation(60).reshape(20, 3)
    squares = Squares.covering([-0.5, -0.2], [3.5, 2.8], 0.25)
    found = topmost(vertices, faces, squares).values
    np.testing.assert_allclose(found, slow(vertices, faces, squares), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found, topmost(vertices, faces[::-1, [0, 2, 1]], squares).values, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 5e6])
@pytest.mark.parametrize("turned", [0.0, 0.3, 1.1])
def test_a_sheet_without_holes_has_a_height_everywhere(turned, shift):
    """Also where middles of squares lie on its vertices and edges, and far from the origin."""
    vertices, faces = sheet(16, 0.5)
    rotation = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    middle = vertices[:, :2].mean(0)
    flat = (vertices[:, :2] - middle) @ rotation.T + shift + 0.25
    tilted = 2.0 * (flat[:, 0] - shift) - (flat[:, 1] - shift)
    squares = Squares.covering([shift - 2.0] * 2, [shift + 2.5] * 2, 0.5)
    found = topmost(np.column_stack([flat, tilted]), faces, squares).values
    x, y = middles(squares).T - shift
    np.testing.assert_allclose(found.reshape(-1), 2.0 * x - y, atol=1e-7)


def test_squares_of_tiles_fit_into_those_of_the_whole():
    whole = Squares.covering([-3.2, 10.1], [8.9, 20.3], 0.5)
    for lower, upper in (([-3.2, 10.1], [2.1, 15.0]), ([2.1, 15.0], [8.9, 20.3])):
        part = Squares.covering(lower, upper, 0.5)
        rows, columns = part.within(whole)
        inside = middles(whole).reshape(whole.rows, whole.columns, 2)[rows, columns]
        np.testing.assert_array_equal(inside, middles(part).reshape(part.rows, part.columns, 2))
    assert (middles(whole).min(0) > [-4.0, 9.5]).all()


def test_cropped_heights_keep_their_places():
    rng = np.random.default_rng(1)
    squares = Squares.covering([0.0, 0.0], [9.0, 7.0], 1.0)
    values = np.full((7, 9), np.nan)
    values[2:5, 3:8] = rng.random((3, 5))
    found = Heights(squares, values).cropped()
    assert found.values.shape == (3, 5)
    np.testing.assert_array_equal(values[found.squares.within(squares)], found.values)


def test_heights_come_to_the_zero_set_and_stay_where_it_has_none():
    """A ball that is meshed 0.02 too low, too high, or by planes; and a sheet far above it."""
    squares = Squares.covering([-0.9, -0.9], [0.9, 0.9], 0.1)
    flat = np.linalg.norm(middles(squares), axis=1)
    true = np.sqrt(np.maximum(0.0, 1.0 - flat**2)).reshape(squares.rows, squares.columns)
    inner = (flat < 0.9).reshape(true.shape)
    rng = np.random.default_rng(0)
    for start in (true - 0.02, true + 0.02, true + 0.04 * (rng.random(true.shape) - 0.5), true):
        found = on_the_field(Heights(squares, np.where(inner, start, np.nan)), Ball(), 0.1, CPU).values
        assert np.abs(found - true)[inner].max() < 1e-6
        assert np.isnan(found[~inner]).all()
    far = on_the_field(Heights(squares, true + 0.5), Ball(), 0.1, CPU).values
    np.testing.assert_array_equal(far[inner], (true + 0.5)[inner])


def test_contour_lines_lie_on_their_heights():
    """Of a cone circles; their heights are multiples of the interval, all of them; holes end them."""
    squares = Squares.covering([999.0, -4.0], [1007.0, 4.0], 0.25)
    radius = np.linalg.norm(middles(squares) - [1003.0, 0.0], axis=1).reshape(squares.rows, squares.columns)
    values = np.where(radius < 3.9, 10.0 - radius, np.nan)
    lines = list(contours(Heights(squares, values), 0.5))
    assert {height for height, _ in lines} == set(np.arange(6.5, 10.0, 0.5))
    for height, places in lines:
        distance = np.linalg.norm(places - [1003.0, 0.0], axis=1)
        assert np.abs(distance - (10.0 - height)).max() < 0.25**2 / 8 / max(0.25, 10.0 - height) + 1e-9
        assert (places[0] == places[-1]).all()
    values[:, : squares.columns // 2] = np.nan
    assert all((places[0] != places[-1]).any() for _, places in contours(Heights(squares, values), 0.5))
    assert list(contours(Heights(squares, np.full_like(values, np.nan)), 0.5)) == []


@pytest.mark.parametrize(
    ("voxel", "size"), [(0.39, 0.5), (0.5, 0.5), (0.51, 1.0), (1.2, 2.0), (0.0021, 0.005), (70, 100)]
)
def test_a_resolution_that_is_chosen_is_round_and_no_finer_than_the_mesh(voxel, size):
    assert chosen_resolution(voxel) == size


def test_what_is_too_much_is_one_line(monkeypatch):
    with pytest.raises(SettingsError, match="resolution must be greater than 0"):
        AskedHeights(resolution=0.0)
    with pytest.raises(SettingsError, match="interval must be greater than 0"):
        AskedHeights(interval=float("nan"))
    for tiny in (1e-9, 1e-320):
        with pytest.raises(SettingsError, match="squares along a side; use a larger one"):
            room.squares_around([0.0, 0.0], [1.0, 1.0], tiny)
    monkeypatch.setattr(room.memory, "available", lambda device: 4 * 10**6)
    with pytest.raises(OutOfMemoryBudgetError, match=r"use a resolution of at least 0\."):
        room.squares_around([0.0, 0.0], [1.0, 1.0], 1e-3)
    squares = Squares.covering([0.0, 0.0], [2.0, 1.0], 1.0)
    for interval in (1e-9, 1e-320):
        with pytest.raises(SettingsError, match="contour lines; use a larger one"):
            room.levels(Heights(squares, np.array([[1.0, 2.0]])), interval)
