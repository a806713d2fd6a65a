"""From where to scan next, against what is seen of a ball by formula and by rays one after another; the command."""

import inspect
import json

import numpy as np
import pytest
import trimesh
from scripts import captured
from shapes import sphere

import neural_splines as ns
from neural_splines.command_line import views as command
from neural_splines.files.meshes import save_mesh
from neural_splines.settings import VIEWS_BY
from neural_splines.surface.mesh import Mesh
from neural_splines.surface.views import around

UP, DOWN = np.array([0.0, 0.0, 3.0]), np.array([0.0, 0.0, -3.0])


@pytest.fixture(scope="module")
def ball():
    """Of 20,480 faces, whose vertices say by their height how well they are supported."""
    found = trimesh.creation.icosphere(5)
    return Mesh(np.array(found.vertices), np.empty((0, 3)), np.array(found.faces))


def seen_by_formula(mesh, eye, grazing):
    """The area of the faces of a ball, which hides nothing else, that see the eye."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    area = np.linalg.norm(across, axis=1) / 2
    out = eye - (a + b + c) / 3
    sine = (across * out).sum(1) / (2 * area * np.linalg.norm(out, axis=1))
    return area, sine >= np.sin(np.radians(grazing))


@pytest.mark.parametrize("grazing", [0.0, 15.0, 40.0])
def test_a_ball_is_seen_up_to_grazing_rays(ball, grazing):
    numbers = np.where(ball.vertices[:, 2] > 0.3, 0.0, 0.9)
    found = ns.views(ball, numbers=numbers, positions=[DOWN, UP], grazing=grazing)
    area, sees = seen_by_formula(ball, UP, grazing)
    bad = numbers[ball.faces].mean(1) < 2 / 3
    assert found[0].position == tuple(UP)
    assert found[0].new_area == pytest.approx(area[bad & sees].sum(), rel=1e-3)
    assert found.uncertain == pytest.approx(area[bad].sum())
    assert found[0].direction == pytest.approx((0, 0, -1))
    assert len(found) == 1  # from below nothing of the cap is seen


def test_what_something_hides_is_not_seen_and_backs_are_not(ball):
    """Of two balls above one another the lower is behind the upper one; trimesh says what rays meet."""
    vertices = np.concatenate([ball.vertices, 0.9 * ball.vertices - [1.8, 0.0, 2.5]])
    faces = np.concatenate([ball.faces, ball.faces + len(ball.vertices)])
    both = Mesh(vertices, np.empty((0, 3)), faces)
    numbers = np.where(np.arange(len(vertices)) < len(ball.vertices), 1.0, 0.0)
    found = ns.views(both, numbers=numbers, positions=[UP])
    area, sees = seen_by_formula(both, UP, 15.0)
    rows = np.flatnonzero(sees & (numbers[faces[:, 0]] == 0.0))
    middles = vertices[faces[rows]].mean(1)
    ray = (middles - UP) / np.linalg.norm(middles - UP, axis=1)[:, None]
    along = ray @ -UP  # the nearest a ray comes to the upper ball's middle
    hidden = np.linalg.norm(UP + along[:, None] * ray, axis=1) < 1.0
    assert 0.1 < hidden.mean() < 0.95
    assert sum(view.new_area for view in found) == pytest.approx(area[rows[~hidden]].sum(), rel=0.02)
    turned = Mesh(ball.vertices, np.empty((0, 3)), ball.faces[:, ::-1])
    assert len(ns.views(turned, numbers=0 * numbers[: len(ball.vertices)], positions=[UP])) == 0


def test_views_are_taken_greedily_and_shares_add_up(ball):
    """Each sees the most of what is left: no other place sees more of it; the whole ball is seen in the end."""
    numbers = np.abs(ball.vertices[:, 0])
    places, _ = around(ball.vertices, 20)
    assert np.linalg.norm(places, axis=1) == pytest.approx(np.linalg.norm([2, 2, 2]))
    found = ns.views(ball, "uncertainty", numbers=numbers, worse_than=0.3, candidates=20, count=4)
    bad, left = numbers[ball.faces].mean(1) > 0.3, np.ones(len(ball.faces), bool)
    for view in found:
        gains = []
        for place in places:
            area, sees = seen_by_formula(ball, place, 15.0)
            gains.append(area[bad & left & sees].sum())
        assert view.new_area == pytest.approx(max(gains), rel=1e-3)
        left &= ~seen_by_formula(ball, np.array(view.position), 15.0)[1]
    areas = [view.new_area for view in found]
    assert areas == sorted(areas, reverse=True)
    assert [view.share for view in found] == pytest.approx(np.cumsum(areas) / found.uncertain)
    every = ns.views(ball, numbers=0 * numbers, count=50)
    assert every[-1].share > 0.995
    assert len(every) < 50


def test_a_narrow_field_sees_what_it_looks_at(ball):
    numbers = np.zeros(len(ball.vertices))
    wide, narrow, away = (
        ns.views(ball, numbers=numbers, positions=[UP], directions=[look], field_of_view=field)
        for look, field in (((0, 0, -1), 180.0), ((0, 0, -2), 20.0), ((0, 0, 1), 90.0))
    )
    assert len(away) == 0
    radius = 2.0 * np.tan(np.radians(10.0))  # of the cap, about
    assert narrow[0].new_area == pytest.approx(np.pi * radius**2, rel=0.15)
    assert wide[0].new_area > 5 * narrow[0].new_area


def test_a_missing_cap_is_looked_at_from_its_side(tmp_path):
    """A ball without its top, closed: the first view is from above, of the reconstruction itself and of its file."""
    cloud = sphere(600)
    keep = cloud.points[:, 2] < 0.6
    result = ns.reconstruct(cloud.points[keep], cloud.normals[keep], grid_size=24, fill_holes=True, regularization=1e-6)
    found = ns.views(result, candidates=60)
    assert np.dot(found[0].position, (0, 0, 1)) > 0.8 * np.linalg.norm(found[0].position)
    assert found[0].share > 0.8
    ns.save_mesh(tmp_path / "a.ply", result, scalars=result.qualities("support", "uncertainty"))
    told = captured(command.main, tmp_path / "a.ply", "--candidates", 60)
    assert [float(x) for x in told.out.splitlines()[2].split()[1:4]] == pytest.approx(
        found[0].position, rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "does not know its support; give the numbers"),
        ({"numbers": [1.0]}, "numbers must be one of each of"),
        ({"numbers": 0, "by": "colour"}, "must be one of support, uncertainty"),
        ({"numbers": 0, "candidates": 0}, "candidates must be a whole number"),
        ({"numbers": 0, "positions": [[0, 0, np.nan]]}, "positions must be finite"),
        ({"numbers": 0, "positions": [UP], "directions": [UP, UP]}, "1 positions but 2 directions"),
        ({"numbers": 0, "positions": [UP], "directions": [0 * UP]}, "directions must be finite and not zero"),
        ({"numbers": 0, "directions": [UP]}, "directions need positions"),
        ({"numbers": 0, "grazing": 91.0}, "grazing must be at least 0, at most 90"),
        ({"numbers": 0, "field_of_view": 0.0}, "field_of_view must be greater than 0"),
        ({"numbers": 0, "worse_than": -1.0}, "worse_than must be at least 0"),
    ],
)
def test_what_cannot_be_is_one_line(ball, given, line):
    if isinstance(given.get("numbers"), int):
        given = given | {"numbers": np.zeros(len(ball.vertices))}
    with pytest.raises(ns.SettingsError, match=line):
        ns.views(ball, **given)


def test_the_command_and_python_have_the_same_defaults():
    args = vars(command.parse_arguments(["a.ply"], "views"))
    given = {name: p.default for name, p in inspect.signature(ns.views).parameters.items() if name in args}
    assert given.pop("by") == VIEWS_BY[0]  # of the command the first that a file has
    del given["mesh"]
    assert set(given) == {"candidates", "distance", "count", "worse_than", "grazing", "field_of_view"}
    assert given == {name: args[name] for name in given}


def test_the_command_ranks_views_and_writes_them(tmp_path, ball):
    numbers = {"support": np.where(ball.vertices[:, 2] > 0.3, 0.0, 1.0), "uncertainty": 1.0 + ball.vertices[:, 0] ** 2}
    save_mesh(tmp_path / "a.ply", ball.vertices, None, ball.faces, scalars=numbers)
    found = captured(command.main, tmp_path / "a.ply", "--candidates", 30, "--out", tmp_path / "a.json")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert "uncertain" in lines[0]
    assert lines[0].endswith("support below 0.6667")
    assert lines[1].split() == ["view", "x", "y", "z", "new", "area", "share"]
    said = json.loads((tmp_path / "a.json").read_text())
    ours = ns.views(ball, numbers=numbers["support"], candidates=30)
    assert said["views"][0]["position"] == pytest.approx(ours[0].position)
    assert said["uncertain_area"] == pytest.approx(ours.uncertain)
    assert float(lines[2].split()[3]) == pytest.approx(ours[0].position[2], rel=1e-5)
    np.savetxt(tmp_path / "path.xyz", [[0, 0, 3, 0, 0, -1], [3, 0, 0, -1, 0, 0]])
    more = ["--path", tmp_path / "path.xyz", "--by", "uncertainty", "--worse-than", 1.5, "--field-of-view", 90]
    found = captured(command.main, tmp_path / "a.ply", *more, "--out", tmp_path / "a.csv")
    assert found.code == 0, found.err
    rows = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1, ndmin=2)
    assert rows[0, :6].tolist() == [3, 0, 0, -1, 0, 0]
    assert rows[-1, 7] == pytest.approx(rows[:, 6].sum() / 1.0 / float(found.out.split(", ")[1].split()[0]), rel=1e-2)


def test_errors_of_the_command_are_one_line_each(tmp_path, ball):
    save_mesh(tmp_path / "plain.ply", ball.vertices, None, ball.faces)
    save_mesh(tmp_path / "a.ply", ball.vertices, None, ball.faces[:-1], scalars={"support": ball.vertices[:, 0]})
    (tmp_path / "words.xyz").write_text("a b c\n")
    for words, line in (
        (["plain.ply"], "plain.ply: its vertices have no support or uncertainty; write it as PLY with --fill-holes"),
        (["a.ply", "--by", "uncertainty"], "have no uncertainty; write it as PLY"),
        (["a.ply", "--out", tmp_path / "a.xml"], "a.xml: cannot write .xml; use .json, .csv"),
        (["a.ply", "--path", tmp_path / "words.xyz"], "words.xyz: "),
        (["a.ply", "--path", tmp_path / "words.xyz", "--distance", 2], "--path has its own; drop one"),
        (["a.ply", "--candidates", 0], "--candidates must be a whole number"),
        (["a.ply", "--out", tmp_path / "a.ply"], "a.ply: "),
    ):
        found = captured(command.main, tmp_path / words[0], *words[1:])
        assert found.code == 2, words
        assert found.err.count("\n") == 1
        assert line in found.err, found.err
    found = captured(command.main, tmp_path / "a.ply")
    assert found.code == 0
    assert "a.ply: 3 edges have one face, and what is missing there is not counted" in found.err
