"""Messages in Python have parameters where those of the commands have options."""

import inspect
import pickle
import re
from dataclasses import fields

import numpy as np
import pytest
from scripts import ROOT, run, write_cloud
from shapes import sphere

import neural_splines as ns
from neural_splines.errors import said
from neural_splines.words import ARGUMENTS, FLAGS, PARAMETERS, in_python


@pytest.mark.parametrize(
    ("command", "python"),
    [
        ("--trim must be greater than 0", "trim must be greater than 0"),
        ("--fill-holes must be a number", "fill_holes must be a number"),
        ("closes with --fill-holes; or --trim none", 'closes with fill_holes=True; or trim="none"'),
        ("fewer NUM_NYSTROM_SAMPLES or --dtype float32.", 'fewer num_nystrom_samples or dtype="float32".'),
        ("use EPS auto; GRID_SIZE 0", 'use eps="auto"; grid_size 0'),
        ("--no-refine-vertices, --sensor-position", "refine_vertices=False, sensor_positions"),
        ("of --max-memory and --printable", "of --max-memory and printable=True"),  # Python has no parts
        ("use --normals estimate", "leave the normals out, so that they are estimated"),
        ("a--b DEEPS --", "a--b DEEPS --"),
    ],
)
def test_options_become_parameters(command, python):
    assert in_python(command) == python
    assert in_python(python) == python


def test_what_a_message_names_is_there():
    """Every parameter is one of the settings or of a public function."""
    known = {f.name for kind in (ns.Settings, ns.CellSettings) for f in fields(kind)}
    maps = (ns.save_tiles, ns.heights, ns.save_heights)
    for function in (*maps, ns.estimate_normals, ns.load_point_cloud, ns.save_mesh, ns.views, ns.reconstruct):
        known |= set(inspect.signature(function).parameters)
    named = {re.split("=", name)[0] for name in (*FLAGS.values(), *PARAMETERS.values(), *ARGUMENTS.values())}
    assert named <= known | {"cells_per_axis"}, named - known


@pytest.mark.parametrize("options", [{"trim": "banana"}, {"scale": 0.1}, {"grid_size": 0}, {"seed": -1}])
def test_settings_are_refused_in_the_words_of_python(options):
    with pytest.raises(ns.SettingsError) as refused:
        ns.Settings(**options)
    (name,) = options
    assert str(refused.value).startswith(f"{name} ")
    assert "--" not in str(refused.value)
    again = pickle.loads(pickle.dumps(refused.value))
    assert (str(again), said(again)) == (str(refused.value), said(refused.value))


def test_a_command_keeps_its_own_words(tmp_path):
    """Errors and warnings of the same kinds, with options; and result.warnings with parameters."""
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(200))
    assert "--trim must be greater than 0" in run("fit-grid.py", cloud, "auto", "auto", 16, "auto", "--trim", -1).err
    points = np.random.default_rng(0).uniform(-1, 1, (900, 3))
    points[:, 1] = 0.3 * np.sin(4 * points[:, 0])  # a curtain: nothing says which side is out
    np.savetxt(tmp_path / "wave.xyz", points)
    done = run("fit-grid.py", tmp_path / "wave.xyz", "auto", "auto", 16, "auto", "--out", tmp_path / "wave.ply")
    with pytest.warns(ns.ReconstructionWarning) as noted:
        found = ns.reconstruct(points, grid_size=16)
    assert "--sensor-position" in done.err
    assert any("sensor_positions" in str(note.message) for note in noted)
    assert any("sensor_positions" in line for line in found.warnings)
    assert not any("--sensor-position" in line for line in found.warnings)


def test_the_page_of_the_api_speaks_python():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    assert not re.search(r"# .*--[a-z]", blocks)
