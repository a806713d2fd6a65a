"""benchmarks/scenes.py: its places, rays and measures, and that its halves are halves."""

import numpy as np
import scene_list
import scene_shapes as shapes
import scenes
import truths
from results import Results
from scene_makers import held_out


def test_half_of_the_scenes_are_held_out():
    held = sum(map(held_out, scene_list.SCENES))
    assert len(scene_list.SCENES) >= 40
    assert 0.4 < held / len(scene_list.SCENES) < 0.6


def test_places_are_turned_to_the_air():
    """A box has its volume, a room seen from within the negative one, a house looks away from its middle."""
    for shape, volume in ((shapes.block((0, 0, 0), (1, 2, 3), 0.5), 6.0), (shapes.room(1, 2, 3, 0.5), -6.0)):
        corners = shape.vertices[shape.faces]
        six = (corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum()
        assert abs(six / 6 - volume) < 1e-9
    built = shapes.house(4.0, 6.0, 3.0, 2.0)
    away = built.vertices[built.faces].mean(1) - (0.0, 0.0, 1.0)
    assert ((truths._cross(built.vertices, built.faces) * away).sum(1) > 0).mean() > 0.99
    ground, z = shapes.relief(10.0, np.random.default_rng(0), 1.0)
    assert np.abs(z(*ground.vertices.T[:2]) - ground.vertices[:, 2]).max() < 1e-12
    assert (truths._cross(ground.vertices, ground.faces)[:, 2] > 0).all()


def test_what_is_seen_of_a_box():
    """From above its top, from a corner three sides; behind a wall nothing."""
    box = shapes.block((-1, -1, -1), (1, 1, 1), 0.5)
    top = shapes.seen(box, np.array([0.0, 0.0, 5.0]))
    assert (top.vertices[top.faces][:, :, 2] == 1.0).all()
    assert len(shapes.seen(box, np.array([5.0, 5.0, 5.0])).faces) == len(box.faces) // 2
    wall = shapes.patch((-9, -9, 2), (9, -9, 2), (9, 9, 2), (-9, 9, 2), 1.0)
    assert len(shapes.seen(box, np.array([0.0, 0.0, 5.0]), wall).faces) == 0
    far, face = shapes.hits(box, np.array([(0.0, 0.1, 5.0), (3.0, 0.0, 5.0)]), np.tile((0.0, 0.0, -1.0), (2, 1)))
    assert abs(far[0] - 4.0) < 1e-5
    assert np.isinf(far[1])
    assert face[1] == -1


def test_the_right_side_is_told_from_the_wrong_one():
    ball = truths.sphere(3)
    mesh = 1.01 * ball.vertices, ball.faces
    truth = ball.vertices, ball.faces
    assert scenes.right_area(mesh, truth) == 1.0
    assert scenes.right_area((mesh[0], mesh[1][:, ::-1]), truth) == 0.0


def test_one_scene_from_its_name_to_its_line(capsys, tmp_path):
    scenes.main(["--scenes", "whole-ball", "--split", "all", "--signs", "--out", str(tmp_path / "out.json")])
    said = capsys.readouterr().out
    assert "signs 1.000" in said
    assert "1 scenes" in said
    assert (tmp_path / "out.json").exists()


def test_the_page_has_a_row_for_each_scene_the_worst_first(tmp_path):
    ours, peers = Results(tmp_path / "ours.json"), Results(tmp_path / "peers.json")
    for name, cd in (("tube", 2e-4), ("town", 8e-4)):
        row = {"points": 9, "right": 0.5, "confidence": 0.25, "cd": cd, "seen": cd}
        ours.add(name, [1.0], {"ours": row})
        peers.add(name, [1.0], {"camera depth 8": {"cd": 4e-4, "seen": 4e-4}})
    words = ["--out", str(tmp_path / "ours.json"), "--peers", str(tmp_path / "peers.json")]
    scenes.main([*words, "--document", str(tmp_path / "scenes.md")])
    first, second = (tmp_path / "results" / "scenes.md").read_text().splitlines()[-2:]
    assert first == "| town (held out) | 9 | 0.500 | 0.25 | 8.0 | 4.0 (camera depth 8), 2.00 | 2.00 |"
    assert second == "| tube | 9 | 0.500 | 0.25 | 2.0 | 4.0 (camera depth 8), **0.50** | 0.50 |"
