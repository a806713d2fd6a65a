"""A surface that trimming leaves in narrow strips is said to be one, and what closes it does."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from scripts import run, write_cloud

from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.settings import Settings
from neural_splines.surface.advice import SHRED_LOOPS, SHREDS, shred_lines
from neural_splines.surface.checks import checked

OPEN = Settings(trim="auto")


def strips(count: int, width: float) -> tuple[np.ndarray, np.ndarray]:
    """So many rectangles of that width and length 1, beside each other."""
    corners = np.array([[0, 0, 0], [width, 0, 0], [width, 1, 0], [0, 1, 0]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    moves = 2.0 * width * np.arange(count)[:, None, None] * (1.0, 0.0, 0.0)
    vertices = (corners + moves).reshape(-1, 3)
    return vertices, (faces + 4 * np.arange(count)[:, None, None]).reshape(-1, 3)


@pytest.mark.parametrize(("width", "said"), [(0.05, True), (0.5, False)])
def test_strips_are_shreds_where_they_are_narrow(width, said):
    """Of rectangles w x 1 the mean width is 2 w / (2 w + 2) = w / (1 + w)."""
    shape = checked(*strips(SHRED_LOOPS, width))
    spacing = 0.01
    assert 2 * shape.area / shape.border_length == pytest.approx(width / (1 + width))
    assert (width / (1 + width) < SHREDS * spacing) == said
    assert len(shred_lines(shape, spacing, 0.01, OPEN)) == said


def test_one_narrow_surface_is_small_and_not_in_shreds():
    assert not shred_lines(checked(*strips(1, 0.01)), 0.01, 0.01, OPEN)


def test_a_closed_surface_and_one_that_a_user_trimmed_have_no_shreds():
    shape = checked(*strips(SHRED_LOOPS, 0.01))
    assert shred_lines(shape, 0.01, 0.01, OPEN)
    assert not shred_lines(shape, 0.01, 0.01, Settings(trim=3.0))
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    closed = checked(corners, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]))
    assert not shred_lines(closed, 10.0, 0.01, OPEN)


def test_crossing_scan_lines_are_named_and_the_remedy_closes_them(tmp_path):
    """Pairs of lines in three directions, the gaps between them ten times as wide as the points are apart."""
    rng = np.random.default_rng(0)
    points = []
    for turn in (0.0, 0.3, -0.3):
        for offset in np.linspace(-1, 1, 10):
            for beside in (0.0, 0.02):
                t = np.arange(-1, 1, 0.015) + rng.uniform(0, 0.015)
                x, y = t, np.full_like(t, offset + beside)
                points.append(np.stack([np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y], 1))
    flat = np.concatenate(points)
    flat = flat[np.abs(flat).max(1) < 0.9]
    cloud = np.column_stack([flat, 0.2 * np.sin(2 * flat[:, 0])])
    normals = np.column_stack([-0.4 * np.cos(2 * flat[:, 0]), np.zeros(len(flat)), np.ones(len(flat))])
    unit = torch.from_numpy(normals / np.linalg.norm(normals, axis=1)[:, None])
    path = write_cloud(tmp_path / "lines.ply", OrientedCloud(torch.from_numpy(cloud), unit))
    words = ["fit-grid.py", path, "auto", "auto", 60, "auto", "--seed", 0, "--regularization", 1e-8]
    found = run(*words, "--out", tmp_path / "mesh.ply")
    assert found.code == 0, found.err
    assert "the mesh is in narrow strips" in found.err
    trim = re.search(r"--trim (\d+) closes", found.err)
    assert trim
    closed = run(*words, "--trim", trim[1], "--out", tmp_path / "closed.ply")
    assert "in 1 loop" in closed.out, closed.out
