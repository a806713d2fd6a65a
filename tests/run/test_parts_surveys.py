"""Every line of the table of options in parts, with clouds as LAZ and as COPC; and runs of them that go on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from copc_bytes import copc
from parts import tiny
from parts_table import GROUPS, PLAIN, SHARES
from shapes import torus
from test_parts_table import IN_PARTS, assert_alike, assert_same_heights, outcome_of, told, warnings

from neural_splines.errors import OutputError
from neural_splines.files.meshes import load_mesh_numbers
from neural_splines.files.point_clouds import load_scanned_cloud
from neural_splines.run import in_parts
from neural_splines.settings import MESH_FORMATS

KINDS = ("laz", "copc.laz")
QUICK = ("seen from a place", "two tables as one cloud")


def written(path, cloud):
    """With normals, colours, classes, and which sensor saw a point; steps of a micrometre, UTM's system."""
    laspy = pytest.importorskip("laspy")
    file = laspy.LasData(laspy.LasHeader(point_format=7, version="1.4"))
    file.header.scales = [1e-6] * 3
    for name in ("NormalX", "NormalY", "NormalZ"):
        file.add_extra_dim(laspy.ExtraBytesParams(name=name, type=np.float32))
    file.add_extra_dim(laspy.ExtraBytesParams(name="sensor_id", type=np.uint8))
    points = cloud.points.numpy()
    file.x, file.y, file.z = points.T
    file.NormalX, file.NormalY, file.NormalZ = cloud.normals.numpy().T
    file.sensor_id = points[:, 0] > 0
    file.classification = np.ones(len(points), np.uint8)
    file.red, file.green, file.blue = (257 * (100 + 50 * np.sign(points))).astype(np.uint16).T
    if path.name.endswith("copc.laz"):
        path.write_bytes(copc(file, most=60, pages=1))
    else:
        file.write(str(path))
    return path


@pytest.fixture(scope="module")
def clouds(tmp_path_factory):
    folder, both = tmp_path_factory.mktemp("clouds"), torus(1400)
    parts = {name: both.part(torch.arange(start, 1400, 2)) for name, start in (("one", 0), ("two", 1))}
    parts |= {"left": both.part(both.points[:, 0] < 0), "right": both.part(both.points[:, 0] >= 0)}
    return {kind: [written(folder / f"{name}.{kind}", part) for name, part in parts.items()] for kind in KINDS}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(in_parts, "sizes", tiny)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in GROUPS]
)
def test_what_works_whole_works_in_parts(name, kind, clouds, small, tmp_path):
    """The same files, warnings, lines of the summary and meshes; but --columns, which is for tables."""
    asked = {option: words for option, words in GROUPS[name].items() if option != "columns"}
    cloud = clouds[kind][:2] if {"out_dir", "merge"} & set(asked) else clouds[kind][:1]
    whole, files = outcome_of(asked, cloud, tmp_path / "whole")
    parts, others = outcome_of(asked | IN_PARTS, cloud, tmp_path / "parts")
    assert (parts.code, warnings(parts)) == (whole.code, warnings(whole))
    assert whole.code == 0, whole.err
    assert told(parts.out) == told(whole.out)
    assert set(others) == set(files)
    for file in files:
        if file.endswith(MESH_FORMATS):
            assert_alike(files[file], others[file])
    for file in {"a.tif"} & set(files):
        assert_same_heights(files[file], others[file])


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_run_that_goes_on_writes_the_same_bytes_with_colours_and_numbers(kind, clouds, small, tmp_path, monkeypatch):
    """Of two files, each seen from its own place above, with normals estimated in parts; stopped before the colours."""
    from neural_splines.run import steps

    scans = clouds[kind][2:]
    asked = PLAIN | {
        "merge": "--merge", "normals": "--normals estimate", "bounds": "--bounds -9 -9 -0.1 9 9 9",
        "classes": "--classes 1", "attributes": "--attributes classification,sensor_id",
        "quality": "--quality distance", "crs": "--crs EPSG:25833",
        "sensor_position": "--sensor-position -1 0 9 --sensor-position 1 0 9", "out": "--out {}/mesh.ply",
    }  # fmt: skip
    once, files = outcome_of(asked | IN_PARTS, scans, tmp_path / "once")
    assert once.code == 0, once.err
    work = {"work_dir": f"--work-dir {tmp_path / 'work'}", **IN_PARTS}

    def stop(*_):
        raise OutputError("a disk that is full")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "paint", stop)
        assert outcome_of(asked | work, scans, tmp_path / "stopped")[0].code == 2
    again, others = outcome_of(asked | work, scans, tmp_path / "again")
    assert again.code == 0, again.err
    assert "results were there" in again.out
    assert files["mesh.ply"].read_bytes() == others["mesh.ply"].read_bytes()
    # Nothing is lost against a run of the whole.
    _, whole = outcome_of(asked, scans, tmp_path / "whole")
    assert_alike(whole["mesh.ply"], others["mesh.ply"])
    for names in (("classification",), ("sensor_id",)):
        a, b = (load_mesh_numbers(found["mesh.ply"], names)[2][names[0]] for found in (whole, others))
        assert set(np.unique(a)) == set(np.unique(b))
    a, b = (load_scanned_cloud(found["mesh.ply"]) for found in (whole, others))
    assert np.abs(a.colours.mean(0) - b.colours.mean(0)).max() < 2
    assert len(np.unique(b.colours, axis=0)) > 8


@pytest.mark.parametrize("kind", KINDS[1:])
def test_two_workers_write_the_bytes_of_one(kind, clouds, small, tmp_path):
    asked = PLAIN | IN_PARTS | {"normals": "--normals estimate", "out": "--out {}/mesh.ply"}
    one = outcome_of(asked, clouds[kind][:1], tmp_path / "one")[1]
    two = outcome_of(asked | {"workers": SHARES["workers"]}, clouds[kind][:1], tmp_path / "two")[1]
    assert one["mesh.ply"].read_bytes() == two["mesh.ply"].read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_normals_are_written_in_parts(kind, clouds, small, tmp_path):
    """Those of the file, and estimated ones."""
    from scripts import captured

    from neural_splines.command_line.main import main

    for source in ("file", "estimate"):
        words = [clouds[kind][0], tmp_path / f"{source}.ply", "--normals", source, *IN_PARTS["max_memory"].split()]
        outcome = captured(main, "normals", *words)
        assert outcome.code == 0, outcome.err
    one, other = (load_scanned_cloud(tmp_path / f"{source}.ply") for source in ("file", "estimate"))
    assert len(one.points) == len(other.points) == 700
    assert np.median((one.normals * other.normals).sum(1)) > 0.95
