"""The public API: docs/api.md runs, arrays come back as they came in, a saved field gives the same bits elsewhere."""

import ast
import contextlib
import inspect
import io
import os
import re
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from scripts import ROOT, captured, run, write_cloud
from shapes import sphere

import neural_splines as ns
from neural_splines.cloud.clouds import OrientedCloud
from neural_splines.command_line.main import main

PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
CLOUD = sphere(300)
FIELDS = {
    "spline": (ns.fit, {"cells": None}),
    "float32": (ns.fit, {"cells": None, "dtype": "float32", "kernel": "spherical-laplace", "cg_stop_thresh": 1e-3}),
    "cells": (ns.fit_cells, {"cells": ns.CellSettings(cells_per_axis=2), "kernel": "linear-angle"}),
    "adaptive": (ns.fit_cells, {"cells": ns.CellSettings(points_per_cell=80), "regularization": 1e-6}),
    "filled": (ns.fit_cells, {"cells": ns.CellSettings(points_per_cell=80, fill_holes=True), "regularization": 1e-6}),
}


def fitted(kind, points=CLOUD.points, normals=CLOUD.normals):
    fit, chosen = FIELDS[kind]
    return fit(
        points, normals, ns.Settings(num_nystrom_samples=60, grid_size=32, cg_max_iters=300, device="cpu", **chosen)
    )


@pytest.fixture(scope="module")
def fields():
    return {kind: fitted(kind) for kind in FIELDS}


def test_the_page_runs(tmp_path, monkeypatch):
    """And its comments after print say what is printed."""
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "knot.ply", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 8
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        names = {"__name__": "page"}
        for block in blocks:
            exec(compile(block, "docs/api.md", "exec"), names)
    for comment in re.findall(r"print\(.*\)  # (.*)", PAGE):
        pattern = re.escape(comment).replace(re.escape("..."), ".*")
        assert re.search(pattern, printed.getvalue()), comment


def test_the_page_names_everything_public():
    for name in ns.__all__:
        assert re.search(rf"\b{name}\b", PAGE), f"{name} is not in docs/api.md"


@pytest.mark.parametrize("name", ns.__all__)
def test_everything_public_is_there_and_says_what_it_is(name):
    thing = getattr(ns, name)
    assert inspect.getdoc(thing)
    assert name in dir(ns)
    if inspect.isfunction(thing):
        assert not [p for p in inspect.signature(thing).parameters.values() if p.annotation is p.empty]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'reconstrukt'"):
        ns.reconstrukt  # noqa: B018


def test_the_docstring_of_a_result_names_what_is_there():
    told = set(re.findall(r"(\w+): ", ns.Reconstruction.__doc__))
    assert {"cloud", "eps", "grid", "warnings"} <= told <= set(ns.Reconstruction.__dataclass_fields__)
    for cls in (ns.Settings, ns.CellSettings):
        for name in cls.__dataclass_fields__:
            assert re.search(rf"\b{name}\b[\w, ]*:", cls.__doc__), f"{name} is not described"


def test_importing_imports_nothing_heavy():
    code = "import sys, neural_splines; print([m for m in ('torch', 'numpy', 'numba') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.parametrize("module", ["decode_las", "decode_e57"])
def test_processes_that_decode_start_without_torch(module):
    """It takes them two seconds to import, for each file."""
    heavy = ("torch", "scipy", "numba")
    code = f"import sys, neural_splines.files.{module}; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout == "[]\n"


@pytest.mark.parametrize("kind", FIELDS)
def test_fields_give_what_they_got(kind, fields):
    """numpy for numpy and lists, torch for torch: the same numbers, float64."""
    field, x = fields[kind], CLOUD.points[:20] * 1.01
    value, slope = field.gradient(x)
    assert (value.shape, slope.shape) == ((20,), (20, 3))
    assert value.dtype == slope.dtype == torch.float64
    for points in (x.numpy(), x.tolist(), x.float().numpy(), x.numpy().astype(">f8")):
        found, gradients = field.evaluate(points), field.gradient(points)
        assert isinstance(found, np.ndarray)
        assert isinstance(gradients[1], np.ndarray)
        assert found.dtype == np.float64
        assert np.allclose(found, value.numpy(), atol=1e-5 if kind == "float32" else 1e-6)
        assert np.allclose(gradients[1], slope.numpy(), atol=1e-3)
    assert torch.equal(field.evaluate(x.requires_grad_()), field.evaluate(x.detach()))
    assert field.evaluate(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize("points", [np.zeros(3), np.zeros((4, 2)), np.zeros((2, 3), complex), [["a", "b", "c"]], None])
def test_what_is_no_array_of_points_is_refused(points, fields):
    for work in (fields["spline"].evaluate, fields["cells"].gradient, lambda p: ns.fit(p, p, None)):
        with pytest.raises(ns.SettingsError, match=r"points must be a.* \[n, 3\]"):
            work(points)


@pytest.mark.parametrize("convert", [lambda t: t, lambda t: t.numpy(), lambda t: t.tolist(), lambda t: t.float()])
def test_meshes_are_arrays_of_the_kind_of_the_points(convert):
    settings = ns.Settings(cells=None, num_nystrom_samples=60, grid_size=16, dense=True, device="cpu")
    result = ns.reconstruct(convert(CLOUD.points), convert(CLOUD.normals), settings)
    kind = torch.Tensor if isinstance(convert(CLOUD.points), torch.Tensor) else np.ndarray
    for array in (result.mesh.vertices, result.mesh.normals, result.mesh.faces, result.grid):
        assert isinstance(array, kind)
    assert isinstance(result.mesh.numpy().vertices, np.ndarray)
    assert result.grid.shape == result.lattice.shape
    radius = np.linalg.norm(result.mesh.numpy().vertices, axis=1)
    assert np.abs(radius - 1).max() < 0.1


CHILD = """
import sys
import numpy as np
import neural_splines as ns
x = np.load("points.npy")
for name in sys.argv[1:]:
    field = ns.load(f"{name}.npz")
    values, slopes = field.gradient(x)
    np.savez(f"{name}-out.npz", evaluated=field.evaluate(x), values=values, slopes=slopes, shown=repr(field))
"""


def test_a_saved_field_gives_the_same_bits_in_a_new_process(fields, tmp_path):
    x = np.random.default_rng(0).uniform(-1.3, 1.3, (500, 3))
    np.save(tmp_path / "points.npy", x)
    for kind, field in fields.items():
        field.save(tmp_path / f"{kind}.npz")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", CHILD, *fields], cwd=tmp_path, env=environment, check=True)
    for kind, field in fields.items():
        values, slopes = field.gradient(x)
        assert np.isfinite(values).sum() > 50
        with np.load(tmp_path / f"{kind}-out.npz", allow_pickle=False) as found:
            assert found["evaluated"].tobytes() == field.evaluate(x).tobytes()
            assert found["values"].tobytes() == values.tobytes()
            assert found["slopes"].tobytes() == slopes.tobytes()
            assert str(found["shown"]) == repr(field)
        with np.load(tmp_path / f"{kind}.npz", allow_pickle=False) as archive:  # no pickle
            assert not any(archive[name].dtype.hasobject for name in archive.files)


def test_a_loaded_field_is_the_same_in_every_way(fields, tmp_path):
    for kind, field in fields.items():
        field.save(tmp_path / f"{kind}.npz")
        again = ns.load(tmp_path / f"{kind}.npz", device="cpu")
        assert type(again) is type(field)
        assert again.compute.dtype == field.compute.dtype
        assert torch.equal(again.world_centers(), field.world_centers())
        assert torch.equal(again.box.lower, field.box.lower)
        assert torch.equal(again.box.upper, field.box.upper)
        one, other = (ns.extract_mesh(f, ns.Settings(grid_size=12)) for f in (field, again))
        assert np.array_equal(one.vertices, other.vertices)
        slower = ns.load(tmp_path / f"{kind}.npz", device="cpu", backend="torch")
        x = CLOUD.points * 1.01
        assert torch.allclose(slower.evaluate(x), field.evaluate(x), atol=1e-4 if kind == "float32" else 1e-8)


@pytest.mark.parametrize("broken", ["text", "empty", "other arrays", "cut", "pickled", "missing", "kind", "short"])
def test_a_file_that_is_no_field_is_one_line(broken, fields, tmp_path):
    path = tmp_path / "field.npz"
    fields["spline"].save(path)
    state = {k: np.asarray(v) for k, v in fields["spline"].state().items()}
    if broken == "text":
        path.write_text("ply\n")
    elif broken == "empty":
        path.write_bytes(b"")
    elif broken == "other arrays":
        np.savez(path, a=np.zeros(3))
    elif broken == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif broken == "pickled":
        np.savez(path, **{**state, "kind": np.array([{}], object)})
    elif broken == "missing":
        path.unlink()
    elif broken == "kind":
        np.savez(path, **{**state, "kind": "cube"})
    else:
        np.savez(path, **{**state, "coefficients": state["coefficients"][:-1]})
    with pytest.raises(ns.CloudError) as caught:
        ns.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_the_wrong_function_for_the_settings_is_refused():
    with pytest.raises(ns.SettingsError, match="fit makes one spline"):
        ns.fit(CLOUD.points, CLOUD.normals, ns.Settings())
    with pytest.raises(ns.SettingsError, match="fit_cells makes many"):
        ns.fit_cells(CLOUD.points, CLOUD.normals, ns.Settings(cells=None))
    with pytest.raises(ns.SettingsError, match="settings must be a Settings"):
        ns.reconstruct(CLOUD.points, CLOUD.normals, {"grid_size": 64})


def test_warnings_point_at_the_line_that_asked():
    points, normals = CLOUD.points.clone(), CLOUD.normals
    points[0] = torch.nan
    settings = ns.Settings(cells=None, num_nystrom_samples=40, cg_max_iters=100, grid_size=12, device="cpu")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = ns.reconstruct(points, normals, settings)
    (warning,) = caught
    assert warning.category is ns.ReconstructionWarning
    assert warning.filename == __file__
    assert "299 kept" in str(warning.message)
    assert result.warnings == [str(warning.message)]


@pytest.mark.parametrize("kind", FIELDS)
def test_reprs_are_short(kind, fields):
    settings = ns.Settings(cells=None, num_nystrom_samples=40, grid_size=12, device="cpu")
    result = ns.reconstruct(CLOUD.points, CLOUD.normals, settings)
    for thing in (fields[kind], result, result.mesh, result.fit, result.cloud):
        assert repr(thing).startswith(type(thing).__name__ + "(")
        assert len(repr(thing)) < 200
        assert "tensor" not in repr(thing)


def test_the_readme_and_the_command_write_the_same_file(tmp_path, monkeypatch):
    """README.md's example as it stands, and the command that it says it equals, on a tenth of the points."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (arguments,) = re.findall(r"# the same as neural-splines (.*)", code)
    whole = ns.load_point_cloud(ROOT / "examples" / "knot.ply")
    (tmp_path / "examples").mkdir()
    write_cloud(tmp_path / "examples" / "knot.ply", OrientedCloud(*(torch.from_numpy(part[::10]) for part in whole)))
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    (tmp_path / "knot.ply").rename(tmp_path / "example.ply")
    assert captured(main, *arguments.split()).code == 0
    assert (tmp_path / "knot.ply").read_bytes() == (tmp_path / "example.ply").read_bytes()
    assert (tmp_path / "knot.ply").stat().st_size > 100_000


@pytest.mark.parametrize(
    ("script", "args", "settings"),
    [
        ("fit.py", [0.05, 60, 16], {"cells": None, "eps": 0.05}),
        ("fit.py", ["auto", 60, 16, "--dense"], {"cells": None, "dense": True}),
        ("fit-grid.py", ["auto", 60, 16, 2], {"cells": ns.CellSettings(cells_per_axis=2)}),
        ("fit-grid.py", ["auto", 60, 16, "auto", "--fill-holes"], {"cells": ns.CellSettings(fill_holes=True)}),
    ],
)
def test_the_same_settings_write_the_same_file(tmp_path, script, args, settings):
    cloud = write_cloud(tmp_path / "cloud.ply", CLOUD)
    assert run(script, cloud, *args, "--seed", 0, "--device", "cpu", "--out", tmp_path / "a.ply").code == 0
    points, normals = ns.load_point_cloud(cloud)
    chosen = ns.Settings(num_nystrom_samples=60, grid_size=16, device="cpu", **settings)
    ns.save_mesh(tmp_path / "b.ply", ns.reconstruct(points, normals, chosen))
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()


def test_lazy_names_are_those_that_type_checkers_see():
    """What the package imports for types alone is what it gives at run time."""
    tree = ast.parse((ROOT / "neural_splines" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in block.body for alias in node.names}
    homes = {name: home for home, names in ns._HOMES.items() for name in names}
    assert typed == homes
    assert sorted(homes) == ns.__all__
