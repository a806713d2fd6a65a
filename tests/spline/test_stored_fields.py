"""Saved fields that were changed: they load and give what they gave, or one line says that they are none.

Compiled loops trust the offsets and the boxes of a field; a file that lies would make them write anywhere.
"""

import random

import numpy as np
import pytest
from shapes import sphere

import neural_splines as ns
from neural_splines.errors import CloudError, SettingsError
from neural_splines.files.arrays import load_arrays

SPHERE = sphere(150)
PLACES = np.concatenate([SPHERE.points.numpy()[:40], np.random.default_rng(0).uniform(-2, 2, (40, 3))])
FIELDS = {
    "spline": ns.Settings(cells=None, num_nystrom_samples=30, grid_size=8, device="cpu"),
    "cells": ns.Settings(cells=ns.CellSettings(points_per_cell=40, fill_holes=True), regularization=1e-6,
                         num_nystrom_samples=30, grid_size=8, device="cpu"),
    "boxes": ns.Settings(cells=ns.CellSettings(cells_per_axis=2), num_nystrom_samples=30, grid_size=8, dtype="float32",
                         device="cpu"),
}  # fmt: skip
VALUES = [0, -1, 1, 2, 10_000_000, 2**62, -(2**62), 0.5, 1e-320, 1e300, -1e300, np.inf, -np.inf, np.nan]


@pytest.fixture(scope="module", params=FIELDS)
def saved(request, tmp_path_factory):
    """The file of a field, and what it gives."""
    path = tmp_path_factory.mktemp("field") / "field.npz"
    fit = ns.fit if request.param == "spline" else ns.fit_cells
    fit(SPHERE.points, SPHERE.normals, FIELDS[request.param]).save(path)
    return path, given(path)


def given(path):
    field = ns.load(path, device="cpu")
    repr(field)
    return [field.evaluate(PLACES), *field.gradient(PLACES), field.world_centers().numpy()]


def attempted(path):
    """What a file gives; None where one line says why not."""
    try:
        return given(path)
    except (CloudError, SettingsError) as error:
        line = str(error)
    assert len(line.splitlines()) == 1, line
    return None


def changed(arrays, draw):
    """Some arrays, one of which has another value, shape or type, or is gone."""
    name = draw.choice(sorted(arrays))
    array = arrays[name].copy()
    kind = draw.randrange(8)
    with np.errstate(all="ignore"):
        if kind < 4 and array.dtype.kind in "fi" and array.size:
            flat = array.reshape(-1)
            flat[draw.randrange(array.size)] = np.array(draw.choice(VALUES)).astype(array.dtype)
        elif kind == 4:
            array = array[..., None] if draw.random() < 0.5 or not array.ndim else array[: len(array) - 1]
        elif kind == 5 and array.dtype.kind in "fi":
            array = array.astype(
                draw.choice(["float16", "float32", "float64", ">f8", "int8", "uint64", "complex64", "U9"])
            )
        elif kind == 6 and array.ndim:
            array = draw.choice([array[:0], array[::-1], array.T, np.concatenate([array, array]), array.reshape(-1)])
        else:
            return {key: value for key, value in arrays.items() if key != name}
    return {**arrays, name: array}


@pytest.mark.filterwarnings("ignore")
def test_a_field_of_other_arrays_is_one_line_or_a_field(saved, tmp_path):
    path, _ = saved
    arrays, draw, refused = load_arrays(path), random.Random(0), 0
    for _ in range(60):
        np.savez(tmp_path / "field.npz", **changed(arrays, draw))
        refused += attempted(tmp_path / "field.npz") is None
    assert 20 < refused < 60


def test_a_field_of_other_bytes_is_one_line_or_the_same(saved, tmp_path):
    path, before = saved
    data, draw, target = path.read_bytes(), random.Random(0), tmp_path / "field.npz"
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(draw.choice([1, 1, 4])):
            broken[draw.randrange(len(data))] = draw.randrange(256)
        target.write_bytes(broken[: draw.choice([len(data), len(data), draw.randrange(len(data))])])
        found = attempted(target)
        if found is not None:
            for one, other in zip(found, before, strict=True):
                assert np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize(
    "change",
    [
        {"offsets": lambda a: np.where(np.arange(len(a)) == 1, 10_000_000, a)},
        {"offsets": lambda a: np.where(np.arange(len(a)) == 1, -5, a)},
        {"offsets": lambda a: a + 1},
        {"offsets": lambda a: np.concatenate([a, a[-1:]])},
        {"cells.reach": lambda a: a + 1e3},
        {"cells.lower": lambda a: a * 0 + a.min(0), "cells.upper": lambda a: a * 0 + a.max(0)},
        {"cells.upper": lambda a: a[::-1]},
        {"cells.lower": lambda a: a * 0 - 1.7e308, "cells.upper": lambda a: a * 0 + 1.7e308},
        {"z_max": lambda a: a * 0 + 1e300},
        {"variance": lambda a: a - 7.0},
        {"coefficients": lambda a: a[:-1]},
        {"centers": lambda a: np.where(a == a[0, 0], np.nan, a)},
        {"box": lambda a: a[::-1]},
        {"background.scale": lambda a: a * 0},
    ],
    ids=lambda change: "-".join(change),
)
def test_what_would_lead_a_loop_astray_is_refused(change, tmp_path):
    path = tmp_path / "field.npz"
    ns.fit_cells(SPHERE.points, SPHERE.normals, FIELDS["cells"]).save(path)
    arrays = load_arrays(path)
    np.savez(path, **{**arrays, **{name: change[name](arrays[name]) for name in change}})
    with pytest.raises(CloudError, match=r"field\.npz: is not a field that this program saved \("):
        ns.load(path, device="cpu")
