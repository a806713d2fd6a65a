"""A mesh made in parts is compared with its points as a whole one is: the same line, with the same shares."""

from __future__ import annotations

import re

import numpy as np
import pytest
from parts import tiny
from scripts import run, write_cloud
from shapes import hemisphere, sphere
from test_lost import joined, tube

from neural_splines.run import in_parts

SPECKS = [sphere(60, 0.2, (1.6, 0.7 * k - 1.0, 0.0)) for k in range(4)]
CASES = {
    "parts that are dropped": (joined(sphere(900), *SPECKS), ["--min-component", 0.9]),
    "something thin": (joined(sphere(900, 4.0, (-6.0, 0.0, 0.0)), tube(600, 20.0, 0.3)), []),
    "faces without points": (joined(hemisphere(500), sphere(700, 0.1, (0.0, 0.0, 2.0))), ["--trim", "none"]),
    "nothing": (sphere(900), []),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_shares_are_lost_in_parts(name, tmp_path, monkeypatch):
    monkeypatch.setattr(in_parts, "sizes", tiny)
    cloud, options = CASES[name]
    path = write_cloud(tmp_path / "cloud.ply", cloud)
    args = ["fit-grid.py", path, "auto", 60, 28, "auto", "--regularization", 1e-8, "--seed", 0, *options]
    args += ["--remove-outliers", "none", "--out", tmp_path / "mesh.ply"]
    whole, parts = (
        re.findall(r"warning: (.*(?:of the faces|of the points).*)", run(*args, *more).err)
        for more in ([], ["--max-memory", "2GB"])
    )
    assert bool(whole) == (name != "nothing")
    assert len(parts) == len(whole)
    for one, other in zip(whole, parts, strict=True):
        assert re.sub(r"[\d.]+", "", other) == re.sub(r"[\d.]+", "", one)
        shares = [np.array(re.findall(r"([\d.]+)%", line), float) for line in (one, other)]
        assert np.abs(shares[0] - shares[1]).max() <= 1.0, (one, other)
