"""Every option and format, whole and in parts: the same result, or one clear line. None may be missing."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import trimesh
from fuzz_command import parser_of
from parts import tiny
from parts_table import ALONE, GROUPS, INPUTS, PLAIN, REFUSED, SHARES, words
from scripts import run
from shapes import torus

from neural_splines.cloud.neighbours import Neighbours
from neural_splines.command_line import scenes
from neural_splines.files.meshes import load_mesh, save_mesh
from neural_splines.files.point_clouds import EXTENSIONS
from neural_splines.geometry import Box
from neural_splines.run import in_parts, writing
from neural_splines.settings import MESH_FORMATS
from neural_splines.surface.checks import checked

CLOSE = 0.01  # of the box's diagonal, on average: chamfer distance of two meshes
IN_PARTS = {"max_memory": SHARES["max_memory"]}


@pytest.fixture(scope="module")
def clouds(tmp_path_factory):
    """Two, of every other point, whose points have classes and colours, as meshes and as tables."""
    folder, both = tmp_path_factory.mktemp("clouds"), torus(1400)
    for name, start in (("one", 0), ("two", 1)):
        cloud = both.part(torch.arange(start, 1400, 2))
        codes, colours = np.ones(len(cloud), np.uint8), np.full((len(cloud), 3), 99)
        scalars = {"classification": codes}
        none = np.empty((0, 3), int)
        save_mesh(folder / f"{name}.ply", cloud.points, cloud.normals, none, colours=colours, scalars=scalars)
        np.savetxt(folder / f"{name}.xyz", np.column_stack([cloud.points, cloud.normals, colours, codes]))
    return [folder / "one.ply", folder / "two.ply"]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(in_parts, "sizes", tiny)


def test_no_option_is_missing():
    """Nor asked for where the parser has none; and what is refused stands in the one table of it."""
    there = {action.dest for action in parser_of("fit-grid.py")._actions} - {"input_point_cloud"}
    works = set().union(*GROUPS.values(), ALONE, SHARES)
    assert works | set(REFUSED) == there
    assert not works & set(REFUSED)
    refused = {refusal.option.split()[0] for refusal in scenes.REFUSED}
    assert {line.split()[0] for line in REFUSED.values()} | {"CELLS_PER_AXIS"} == refused


def test_no_format_is_missing():
    assert set(INPUTS) == set(EXTENSIONS)


def outcome_of(asked, cloud, folder):
    folder.mkdir()
    found = run("fit-grid.py", *words(asked, cloud, folder))
    return found, {path.name: path for path in folder.iterdir()}


def inputs_of(asked, clouds):
    found = clouds if {"out_dir", "merge"} & set(asked) else clouds[:1]
    return [path.with_suffix(".xyz") for path in found] if "columns" in asked else found


def assert_alike(one, other):
    """Two meshes of one cloud."""
    (v, _), (w, _) = load_mesh(one), load_mesh(other)
    distance = torch.cat([Neighbours(v).query(w)[0], Neighbours(w).query(v)[0]])
    assert float(distance.mean()) < CLOSE * Box.around(v).diagonal


def told(out: str) -> list[str]:
    """What a summary tells of, but for parts."""
    titles = [line.split(":")[0] for line in out.splitlines()]
    return [title for title in titles if title != "parts"]


def warnings(found) -> list[str]:
    """Without what --verbose logs."""
    return [line for line in found.err.splitlines() if "warning: " in line or "error: " in line]


@pytest.fixture(scope="module")
def made_in_parts(clouds, tmp_path_factory):
    """What a group of options makes in parts, once for all tests."""

    @cache
    def made(name):
        asked, folder = GROUPS[name] | IN_PARTS, tmp_path_factory.mktemp("group")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(in_parts, "sizes", tiny)
            return outcome_of(asked, inputs_of(asked, clouds), folder / "parts")

    return made


@pytest.mark.parametrize("name", GROUPS)
def test_what_works_whole_works_in_parts(name, clouds, made_in_parts, tmp_path):
    asked = GROUPS[name]
    whole, files = outcome_of(asked, inputs_of(asked, clouds), tmp_path / "whole")
    parts, others = made_in_parts(name)
    assert (parts.code, warnings(parts)) == (whole.code, warnings(whole))
    assert whole.code == 0
    some = {"sensor_position", "cameras"} & set(asked)  # which do not see all of a torus
    assert not warnings(whole) or some
    assert told(parts.out) == told(whole.out)
    assert set(others) == set(files)
    for file in files:
        if file.endswith(MESH_FORMATS):
            assert_alike(files[file], others[file])
    for file in {"a.tif"} & set(files):
        assert_same_heights(files[file], others[file])
    for file in {"mesh.ply.pts.npz"} & set(files):
        assert_same_constraints(files[file], others[file])


def assert_same_heights(one, other):
    """The same squares, but for some at rims, and the same heights where both surfaces lie."""
    rasterio = pytest.importorskip("rasterio")
    with rasterio.open(one) as whole, rasterio.open(other) as parts:
        assert whole.crs == parts.crs
        assert whole.crs.to_epsg() == 25833
        assert whole.transform.almost_equals(parts.transform)
        a, b = whole.read(1, masked=True), parts.read(1, masked=True)
    assert a.shape == b.shape
    assert (a.mask != b.mask).mean() < 0.05
    assert np.median(np.abs(a - b).compressed()) < 0.01
    assert a.count() > 100


def assert_same_constraints(one, other):
    """The same points on the surface, but for averages at walls of nodes; nearly as many of everything."""
    with np.load(one) as whole, np.load(other) as parts:
        assert set(parts) == set(whole)
        assert float(parts["eps"]) == pytest.approx(float(whole["eps"]))
        for name in ("positions", "values", "nystrom_samples"):
            assert len(parts[name]) == pytest.approx(len(whole[name]), rel=0.1)
            assert parts[name].shape[1:] == whole[name].shape[1:]
        assert set(np.unique(parts["values"]).round(9)) == set(np.unique(whole["values"]).round(9))
        first = len(parts["positions"]) // 3
        near = Neighbours(torch.from_numpy(whole["positions"][: len(whole["positions"]) // 3]))
        assert float(near.query(torch.from_numpy(parts["positions"][:first]))[0].median()) < 1e-9


def test_two_workers_write_the_bytes_of_one(clouds, small, made_in_parts, tmp_path):
    name = "constraints off the surface"
    asked = {option: value for option, value in GROUPS[name].items() if option not in ("preview", "html")}
    asked |= {option: SHARES[option] for option in ("work_dir", "workers")}
    files = outcome_of(asked, clouds[0], tmp_path / "two")[1]
    for file in ("mesh.ply", "mesh.ply.pts.npz", "a.tif", "a.geojson"):
        assert files[file].read_bytes() == made_in_parts(name)[1][file].read_bytes()


@pytest.mark.parametrize("name", [*REFUSED, "cells_per_axis"])
def test_what_cannot_work_in_parts_is_one_line(name, clouds, tmp_path):
    line = REFUSED.get(name) or "1"
    found, files = outcome_of(PLAIN | {name: line} | IN_PARTS, clouds[0], tmp_path / "run")
    option = "CELLS_PER_AXIS" if name == "cells_per_axis" else line.split()[0]
    assert (found.code, found.out, files) == (2, "", {})
    assert found.err.startswith(f"fit-grid.py: error: {option} ")
    assert len(found.err.splitlines()) == 1


@pytest.mark.parametrize(
    "suffix", [pytest.param(s, marks=pytest.mark.slow if s in (".las", ".laz") else ()) for s in INPUTS]
)
def test_every_format_is_read_in_parts(suffix, tmp_path):
    if suffix in (".laz", ".las"):
        pytest.importorskip("laspy")
    if suffix == ".e57":
        pytest.importorskip("pye57")
    cloud = tmp_path / f"cloud{suffix}"
    cloud.write_bytes(INPUTS[suffix]())
    asked = PLAIN | {"out": "--out {}/mesh.ply"}
    parts, others = outcome_of(asked | IN_PARTS, cloud, tmp_path / "parts")
    whole, files = outcome_of(asked, cloud, tmp_path / "whole")
    assert (parts.code, parts.err) == (whole.code, whole.err)
    assert parts.code == 0
    assert_alike(files["mesh.ply"], others["mesh.ply"])


def test_every_format_is_written_in_parts(clouds, small, tmp_path):
    """By a run that goes on: only the last step is done again."""
    for suffix in MESH_FORMATS:
        asked = PLAIN | IN_PARTS | {"work_dir": f"--work-dir {tmp_path}/work", "out": "--out {}/mesh" + suffix}
        found, files = outcome_of(asked, clouds[0], tmp_path / suffix)
        assert (found.code, found.err) == (0, "")
        assert files[f"mesh{suffix}"].stat().st_size > 1000
    for suffix in (".obj", ".stl"):
        assert_alike(tmp_path / ".ply" / "mesh.ply", tmp_path / suffix / f"mesh{suffix}")


@pytest.mark.slow
@pytest.mark.parametrize(("group", "name"), [(group, name) for group in GROUPS for name in GROUPS[group]])
def test_every_option_by_itself(group, name, clouds, small, tmp_path):
    """Whole, in parts, and by two workers."""
    needed = {option: GROUPS[group][option] for option in ("normals",) if option in GROUPS[group]}
    needed |= {"out_dir": "--out-dir {}"} if name == "format" else {}
    asked = PLAIN | needed | {name: GROUPS[group][name]}
    if "out_dir" not in asked:
        asked |= {"out": "--out {}/mesh.ply"}
    cloud = inputs_of(asked, clouds)
    whole, files = outcome_of(asked, cloud, tmp_path / "whole")
    for number, more in enumerate((IN_PARTS, IN_PARTS | {"workers": SHARES["workers"]})):
        found, others = outcome_of(asked | more, cloud, tmp_path / f"{number}")
        assert (found.code, warnings(found)) == (whole.code, warnings(whole))
        assert found.code == 0
        assert set(others) == set(files)
        for file in files:
            if file.endswith(MESH_FORMATS):
                assert_alike(files[file], others[file])
                if number:
                    assert others[file].read_bytes() == (tmp_path / "0" / file).read_bytes()


@pytest.mark.slow
def test_a_cluster_writes_the_bytes_of_one_process(clouds, small, tmp_path):
    distributed = pytest.importorskip("distributed")
    asked = GROUPS["constraints off the surface"] | {"work_dir": SHARES["work_dir"]}
    one = outcome_of(asked, clouds[0], tmp_path / "one")[1]
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        scheduler = {"scheduler": f"--scheduler {cluster.scheduler_address}"}
        two = outcome_of(asked | scheduler, clouds[0], tmp_path / "two")[1]
    assert one["mesh.ply"].read_bytes() == two["mesh.ply"].read_bytes()


def test_what_is_printed_in_parts_is_a_body_with_its_colours_or_refused(tmp_path, clouds, small, monkeypatch):
    """Of several blocks; too little memory for the whole mesh is refused before it is made."""
    pytest.importorskip("manifold3d")
    asked = {**PLAIN, **IN_PARTS, "printable": "--printable", "quality": "--quality distance", "out": "--out {}/a.ply"}
    found, files = outcome_of(asked, clouds[:1], tmp_path / "parts")
    assert found.code == 0, found.err
    assert "blocks" in found.out
    vertices, faces = (part.numpy() for part in load_mesh(files["a.ply"]))
    shape = checked(vertices, faces, intersecting=True)
    assert shape.lines() == []
    assert shape.genus == 1
    loaded = trimesh.load(files["a.ply"], process=False)
    assert (loaded.visual.vertex_colors[:, :3] == 99).all()
    assert "quality" in loaded.metadata["_ply_raw"]["vertex"]["properties"]
    monkeypatch.setattr(writing, "PRINTED_FACE_BYTES", 10**9)
    found, files = outcome_of(asked, clouds[:1], tmp_path / "refused")
    assert (found.code, files) == (2, {})
    assert "error: --printable takes the mesh as a whole: " in found.err
