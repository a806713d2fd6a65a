"""What a page of --html has in it: all, or what it says; and few bytes."""

import re

import numpy as np
from slopes import ORIGIN, SLOPE, hillside, slope_page

from neural_splines.pictures.page import MOST_POINTS, Page, span
from neural_splines.run.drawing import in_bytes


def test_what_is_left_out_is_said():
    vertices, faces = hillside()
    none = np.zeros(0)
    many = np.repeat(vertices, 1 + MOST_POINTS // len(vertices), axis=0)
    page = Page("a", vertices, faces, many, none, none).render()
    assert f"{-(-len(many) // 2):,} of {len(many):,} points" in page
    few = in_bytes(slope_page(numbers={"support": np.linspace(0, 1, len(vertices))}), 1.0, 600)
    assert 100 < len(few.faces) <= 600
    assert len(few.numbers["support"]) == len(few.distances) == len(few.vertices)
    assert re.search(rf"a thinned mesh of {len(few.faces)} faces.*the mesh itself has {len(faces):,}", few.render())
    height = few.vertices - ORIGIN
    assert np.abs(height[:, 2] - SLOPE * height[:, 0]).max() < 1e-6  # means on a plane lie on it
    assert in_bytes(slope_page(), 1.0).thinned == ""
    assert f"all {len(faces):,}" in slope_page().render()


def test_a_page_stays_small():
    """A face of a mesh of cubes takes a few bytes, and the program of the page about 40 kB."""
    page = slope_page()
    empty = len(page.render())
    vertices, faces = hillside(401, 301)
    grown = len(Page("slope", vertices, faces, vertices, np.zeros(0), np.zeros(0)).render()) - empty
    assert empty < 90_000
    assert grown < 8 * len(faces)


def test_where_numbers_end():
    assert span("support", np.array([0.2, 0.4])) == (0.0, 1.0)
    assert span("a", np.zeros(3)) == (0.0, 1.0)
    low, high = span("mean_curvature", np.array([-1.0, 1.0, 0.5]))
    assert low == -high
