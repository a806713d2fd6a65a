"""The Blender add-on of examples/: in Blender itself where there is its module bpy, and what needs none of it anywhere.

NEURAL_SPLINES_BPY names the Python that has bpy, if it is another one: `pip install bpy` brings Blender, 4.2 and later.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from types import ModuleType
from unittest import mock

import numpy as np
import pytest
from glb import shown
from scripts import ROOT
from shapes import hemisphere, torus

from neural_splines.files.meshes import save_mesh

HERE = importlib.util.find_spec("bpy") is not None
BLENDER = os.environ.get("NEURAL_SPLINES_BPY") or (sys.executable if HERE else "")
FAR = np.array([512_345.0, 4_567_890.0, 812.0])  # a map's


def painted(path, cloud, shift=0.0):
    """A cloud with colours by place: its points and colours."""
    points = cloud.points.numpy()
    low, high = points.min(0), points.max(0)
    colours = np.round(40 + 180 * (points - low) / (high - low)).astype(np.uint8)
    save_mesh(path, points + shift, cloud.normals.numpy(), None, colours=colours)
    return points, colours


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """What Blender has after it imported a closed cloud, and an open one in a map's coordinates."""
    if not BLENDER:
        pytest.skip("needs bpy, Blender as a Python module")
    folder = tmp_path_factory.mktemp("blender")
    near, far = folder / "near.ply", folder / "far.ply"
    clouds = {"near": painted(near, torus(1500)), "far": painted(far, hemisphere(800), FAR)}
    words = [BLENDER, ROOT / "tests" / "blender_session.py", f"{sys.executable} -m neural_splines"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*words, near, far, ROOT / "examples"], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout.strip().splitlines()[-1]), clouds


def places_in(found):
    """Of the vertices in the cloud's own coordinates, less the map's: what was moved to 0 is moved back."""
    return np.array(found["places"]) + (np.array(found["place"]) - FAR if found["place"] else 0.0)


def test_blender_shows_the_colours_of_the_cloud(session):
    """Means within 2 of 255, by the material that Blender makes of the file."""
    found, clouds = session
    for name, (points, colours) in clouds.items():
        places, seen = places_in(found[name]), shown(np.array(found[name]["light"]))
        nearest = ((places[:, None] - points) ** 2).sum(2).argmin(1)
        assert np.abs((seen - colours[nearest]).mean(0)).max() < 2.0
        assert found[name]["coloured"]
        assert (found[name]["metallic"], found[name]["roughness"]) == (0.0, 1.0)


def test_blender_has_it_upright_and_of_its_size(session):
    """z stays up, and the axes of the object are the world's; far from 0 it is moved, and its place is kept."""
    found, clouds = session
    for name, (points, _) in clouds.items():
        places = places_in(found[name])
        assert np.abs(places.min(0) - points.min(0)).max() < 0.12  # a voxel
        assert np.abs(places.max(0) - points.max(0)).max() < 0.12
        assert np.abs(np.array(found[name]["local"])[:3, :3] - np.eye(3)).max() < 1e-6
        assert found[name]["agreement"] > 0.5  # of normals with the faces
    assert found["near"]["place"] == []
    assert np.abs(np.array(found["far"]["places"]).mean(0)).max() < 0.12


def test_an_open_surface_is_seen_from_both_sides(session):
    found, _ = session
    assert found["near"]["culled"]
    assert not found["far"]["culled"]


def test_what_fails_is_one_line(session):
    found, _ = session
    assert "nothing.ply: cannot be read" in found["unreadable"]
    assert "/nowhere/neural splines: No such file" in found["missing"]
    assert "name it in the preferences" in found["missing"]


def test_escape_stops_the_command(session):
    found = session[0]["modal"]
    assert found["ends"] == [["RUNNING_MODAL"], ["PASS_THROUGH"], ["CANCELLED"]]
    assert found["said"][0] == 0.0
    assert "Esc to stop" in found["said"][1]
    assert found["said"][-1] == "Neural Splines was stopped"
    assert not found["running"]


@pytest.fixture
def addon(monkeypatch):
    """The module, with what is Blender's replaced by nothing."""
    bpy, extras = mock.MagicMock(), ModuleType("bpy_extras.io_utils")
    bpy.types.AddonPreferences = extras.ImportHelper = object
    bpy.types.Operator = type("Operator", (), {})
    names = {"bpy": bpy, "bpy.props": bpy.props, "bpy_extras": ModuleType("bpy_extras"), "bpy_extras.io_utils": extras}
    for name, module in names.items():
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("addon", ROOT / "examples" / "neural_splines_blender.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SAYS = """
import sys, time
from neural_splines.runtime.progress import Progress
bar = Progress(prefix="neural-splines fit-grid: ")
for name in ("read", "fit", "mesh"):
    bar.phase(name)
    time.sleep(.6)
    bar.progress(1, 2)
print("neural-splines fit-grid: warning: a line: with colons", file=sys.stderr)
print("neural-splines fit-grid: error: no such thing", file=sys.stderr)
sys.exit(2)
"""


def test_the_add_on_understands_what_the_command_says(addon, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    run = addon.Run([sys.executable, "-c", SAYS])
    seen = set()
    while run.running:
        seen.add((run.phase, run.done))
        time.sleep(0.02)
    assert run.finish() == 2
    phases = [phase for phase, _ in sorted(seen, key=lambda item: item[1])]
    assert phases[0] == "starting"
    assert {"fit", "mesh"} & set(phases)
    assert 0.1 < run.done < 1.0
    assert run.said("warning") == ["a line: with colons"]
    assert run.said("error") == ["no such thing"]


def test_a_command_that_does_not_end_is_ended(addon):
    run = addon.Run([sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"])
    while run.lines != ["begun"]:
        time.sleep(0.02)
    run.stop()
    assert not run.running
