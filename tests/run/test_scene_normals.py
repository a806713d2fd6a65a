"""Normals in parts are those of a whole run, whatever the order of tasks: estimated, checked, repaired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scripts import captured
from shapes import knot, sphere
from test_evidence import depth_image, ground

from neural_splines.command_line.normals import main
from neural_splines.errors import CloudError
from neural_splines.files.point_clouds import load_point_cloud
from neural_splines.files.scans import ScannedCloud
from neural_splines.files.streams import CloudStream
from neural_splines.files.work_directory import WorkDirectory
from neural_splines.normals.orient import orient
from neural_splines.run import cloud_file, orientation
from neural_splines.run.partition import partition
from neural_splines.run.workers import Here
from neural_splines.runtime.monitor import Silent
from neural_splines.settings import NormalSettings

ESTIMATE = NormalSettings(source="estimate", device="cpu")


class Backwards:
    """A worker that does the last task first, and is stopped after so many."""

    def __init__(self, left=10_000):
        self.left = left

    def run(self, task, shared, items, done):
        for item in items[::-1]:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            task(shared, item, None)
            done(1)


def in_parts(scan, folder, settings=ESTIMATE, most=500, team=None):
    """The points in nodes of at most so many, with their normals."""
    stream = CloudStream(len(scan.points), scan, lambda: iter([scan]))
    store = WorkDirectory(str(folder))
    with store.claimed({"run": 1}):
        found = partition(stream, "cloud", 1.1, most, store, Silent(), settings.source == "file")
        result = orientation.orient_nodes(found, settings, store, most, "cloud", team or Here(), Silent())
        clouds = [result.source.points_of(node) for node in range(len(found.nodes))]
    return result, torch.cat([c.points for c in clouds]).numpy(), torch.cat([c.normals for c in clouds]).numpy()


def aligned(points, normals, others):
    """Normals at points in the order of others."""
    order, wanted = np.lexsort(points.T), np.lexsort(others.T)
    assert np.array_equal(points[order], others[wanted])
    result = np.empty_like(normals)
    result[wanted] = normals[order]
    return result


def assert_same(scan, folder, settings=ESTIMATE, same=0.999):
    """The signs of a whole run, its directions within a degree, and what is known and said of them."""
    whole = orient(scan, settings, "cloud")
    found, points, normals = in_parts(scan, folder, settings)
    cosine = (aligned(points, normals, whole.cloud.points.numpy()) * whole.cloud.normals.numpy()).sum(1)
    assert (cosine > 0).mean() >= same
    assert np.median(np.degrees(np.arccos(np.clip(np.abs(cosine), -1, 1)))) < 1.0
    assert found.estimated.known.source == whole.estimated.known.source
    assert found.estimated.confidence.value == pytest.approx(whole.estimated.confidence.value, abs=0.05)
    assert len(found.notes) == len(whole.notes)
    return found


@pytest.fixture
def thinned(monkeypatch):
    """A sample of the whole of a few hundred points."""
    monkeypatch.setattr(orientation, "SAMPLE", 0)


@pytest.mark.parametrize(
    ("scan", "settings"),
    [
        (ScannedCloud(knot(2000).points.numpy(), None), ESTIMATE),
        (ScannedCloud(ground(2000), None), ESTIMATE),
        (ScannedCloud(depth_image(), None), ESTIMATE),
        (ScannedCloud(sphere(1500).points.numpy(), None), replace(ESTIMATE, inside=True, flip=True)),
    ],
    ids=["a knot", "ground from above", "an image from the origin", "a ball from within, turned round"],
)
def test_parts_are_the_whole(scan, settings, thinned, tmp_path):
    assert_same(scan, tmp_path, settings)


def test_a_thin_plate_is_no_ground_however_it_is_thinned(thinned, tmp_path):
    """Two spacings thick: in a sample of it all points seem to lie on one sheet."""
    x, y = np.random.default_rng(0).random((2, 2500))
    z = np.where(np.arange(2500) % 2, 0.05, 0.0)
    assert_same(ScannedCloud(np.stack([x, y, z], 1), None), tmp_path)


def test_what_is_known_of_each_point_comes_to_its_node(thinned, tmp_path):
    """Viewpoints of a file, on both sides of a sheet that no one could tell otherwise."""
    points = ground(1500, houses=False)
    left = points[:, 0] < 20
    viewpoints = points + np.where(left, 9.0, -9.0)[:, None] * np.array([0.0, 0.0, 1.0])
    found, points, normals = in_parts(ScannedCloud(points, None, viewpoints), tmp_path)
    assert found.estimated.known.source == "the viewpoints of the file"
    assert ((normals[:, 2] > 0) == (points[:, 0] < 20)).mean() > 0.99


def test_the_order_of_tasks_and_stops_change_no_bit(tmp_path):
    scan = ScannedCloud(knot(1200).points.numpy(), None)
    _, points, normals = in_parts(scan, tmp_path / "one")
    count = len(list((tmp_path / "one").glob("normals-*.npz")))
    for left in (1, count, count + 1):  # of three tasks for each node
        with pytest.raises(KeyboardInterrupt):
            in_parts(scan, tmp_path / "two", team=Backwards(left))
    _, same, again = in_parts(scan, tmp_path / "two", team=Backwards())
    assert np.array_equal(same, points)
    assert np.array_equal(again, normals)


def test_points_that_repeat_others_are_counted(tmp_path):
    points = sphere(900).points.numpy()
    found, kept, _ = in_parts(ScannedCloud(np.concatenate([points, points[:50]]), None), tmp_path)
    assert len(kept) == len(points)
    assert sum(found.source.repeated_in(node) for node in range(len(list(tmp_path.glob("normals-*"))))) == 50


def test_too_few_points_are_one_line(tmp_path):
    with pytest.raises(CloudError, match="cloud: 3 points are too few to estimate normals"):
        in_parts(ScannedCloud(np.eye(3), None), tmp_path)


# -- normals of the file ------------------------------------------------------------------------------


def given(cloud, lacking=0):
    """The points of a cloud in a file that lacks some of the normals."""
    normals = cloud.normals.numpy().copy()
    normals[np.linspace(0, len(normals) - 1, lacking).astype(int)] = np.nan
    return ScannedCloud(cloud.points.numpy(), normals)


def test_normals_that_a_file_lacks_are_those_of_a_whole_run(tmp_path):
    scan, settings = given(sphere(1500), 60), NormalSettings(device="cpu")
    whole = orient(scan, settings, "cloud")
    found, points, normals = in_parts(scan, tmp_path, settings)
    assert found.estimated is None
    assert found.notes == whole.notes
    assert len(found.notes) == 1
    assert aligned(points, normals, whole.cloud.points.numpy()) == pytest.approx(whole.cloud.normals.numpy(), abs=1e-9)


def test_where_most_lack_a_normal_all_are_estimated(tmp_path):
    scan = given(sphere(900))
    scan.normals[: len(scan.points) * 2 // 3] = 0.0
    found, _, normals = in_parts(scan, tmp_path, NormalSettings(device="cpu"))
    assert found.estimated
    assert "the normals of all points were estimated" in found.notes[0]
    assert np.isfinite(normals).all()


@pytest.mark.parametrize("settings", [NormalSettings(device="cpu"), NormalSettings(source="file", device="cpu")])
def test_normals_that_contradict_the_points_are_named_as_in_a_whole_run(settings, tmp_path):
    ball = sphere(1500)
    scan = ScannedCloud(ball.points.numpy(), -3.0 * ball.normals.numpy())
    found, _, normals = in_parts(scan, tmp_path, settings)
    assert found.notes == orient(scan, settings, "cloud").notes
    assert len(found.notes) == 2  # their lengths, and that they point into a closed shape
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1.0)


def test_the_normals_of_a_file_are_turned_round(tmp_path):
    ball = sphere(900)
    _, points, normals = in_parts(given(ball), tmp_path, NormalSettings(flip=True, device="cpu"))
    assert ((points * normals).sum(1) < 0).all()


# -- the command -------------------------------------------------------------------------------------


def test_the_command_writes_the_cloud_of_a_whole_run(tmp_path, monkeypatch):
    """In another order; and goes on where it was stopped."""
    points = np.concatenate([knot(900).points.numpy(), np.full((1, 3), np.nan)])
    points[5] = points[4]
    np.save(tmp_path / "cloud.npy", points)
    monkeypatch.setattr(cloud_file, "sizes", lambda asked, kind: (300, 16))
    whole, parts, again = (tmp_path / f"{name}.ply" for name in ("whole", "parts", "again"))
    one = captured(main, tmp_path / "cloud.npy", whole, "--device", "cpu")
    shares = ["--max-memory", "2GB", "--work-dir", tmp_path / "work"]
    two = captured(main, tmp_path / "cloud.npy", parts, "--device", "cpu", *shares)
    assert (one.code, two.code) == (0, 0)
    assert one.err == two.err
    (_,) = {line for found in (one, two) for line in found.out.splitlines() if line.startswith("points:")}
    (x, n), (y, m) = ((c.points.numpy(), c.normals.numpy()) for c in (load_point_cloud(p)[0] for p in (whole, parts)))
    assert ((aligned(y, m, x) * n).sum(1) > 0.99).all()
    assert captured(main, tmp_path / "cloud.npy", again, "--device", "cpu", *shares).code == 0
    assert again.read_bytes() == parts.read_bytes()
