"""The manual: the tutorial runs as it stands there, every other command can be parsed, links and pictures are there."""

import importlib
import json
import os
import re
import shlex

import make_pictures
import numpy as np
import pytest
import trimesh
from make_scan import ORIGIN, RADIUS, radius
from scripts import ROOT

from neural_splines.runtime import progress

PAGES = sorted((ROOT / "docs").glob("*.md"))
COMMANDS = {"fit.py": "fit", "fit-grid.py": "fit_grid", "trim-surface.py": "trim"}


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """The folder after every block of docs/tutorial.md was run."""
    folder = tmp_path_factory.mktemp("tutorial")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    make_pictures.run_page("tutorial.md", folder)
    return folder


def test_the_scan_becomes_a_coloured_mesh_at_its_place(tutorial):
    """Within a tenth of a spacing of 5 mm of the pumpkin, in UTM metres, orange with a green stem."""
    mesh = trimesh.load(tutorial / "scan.glb", force="mesh", process=False)
    x = mesh.vertices - ORIGIN
    length = np.linalg.norm(x, axis=1)
    t, p = np.arccos(x[:, 2] / length), np.arctan2(x[:, 1], x[:, 0])
    side = t > 0.3  # about the stem r is steep, and no distance
    assert np.abs(length - radius(t, p))[side].mean() < 5e-4
    rgb = mesh.visual.vertex_colors[:, :3].astype(int)
    top = x[:, 2] > RADIUS
    assert (rgb[top, 1] > rgb[top, 0]).mean() > 0.9
    assert (rgb[side, 0] > 1.5 * rgb[side, 1]).mean() > 0.9
    assert not mesh.is_watertight  # its base was not seen
    for name in ("scan.png", "scan.html"):
        assert 10_000 < (tutorial / name).stat().st_size < 15_000_000


def test_the_closed_mesh_can_be_printed(tutorial):
    (run,) = json.loads((tutorial / "closed.json").read_text())["runs"]
    assert run["mesh"]["border_edges"] == 0
    mesh = trimesh.load(tutorial / "print.stl")
    assert mesh.is_watertight
    assert np.abs(mesh.bounds).max() < 1.2 * 1000 * RADIUS
    assert 3e6 < mesh.volume < 12e6  # cubic millimetres


def test_many_scans_become_many_meshes(tutorial):
    assert sorted(p.name for p in (tutorial / "meshes").iterdir()) == ["one.glb", "one.png", "two.glb", "two.png"]


def commands():
    """(page, words) of every line of a bash block that calls one of the scripts."""
    for page in [ROOT / "README.md", *PAGES]:
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.split("&&"):
                    words = shlex.split(part, comments=True)
                    words = words[1:] if words[:1] == ["python"] else words
                    if words and words[0] in COMMANDS:
                        yield page.name, words


@pytest.mark.parametrize(("page", "words"), commands(), ids=lambda value: value if isinstance(value, str) else value[0])
def test_every_command_is_one_that_the_scripts_take(page, words):
    module = importlib.import_module(f"neural_splines.command_line.{COMMANDS[words[0]]}")
    args = module.parse_arguments(words[1:], words[0])
    if words[0] != "trim-surface.py":
        from neural_splines.command_line import arguments, normal_arguments

        arguments.settings_from(args, arguments.cell_settings_from(args) if words[0] == "fit-grid.py" else None)
        normal_arguments.normal_settings_from(args)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CHANGELOG.md", *PAGES], ids=lambda page: page.name)
def test_links_and_pictures_are_there_and_small(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file = page.parent / target
        assert file.exists(), target
        assert file.suffix != ".png" or file.stat().st_size < 160_000, target


def test_headings_that_are_linked_to_exist():
    for page in [ROOT / "README.md", *PAGES]:
        for target, heading in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
            file = page.parent / target if target else page
            if "://" not in target and file.suffix == ".md":
                titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
                assert heading in slugs, f"{page.name}: {target}#{heading}"


def test_lines_of_progress_are_off_while_tests_run():
    assert progress.LINE_SECONDS > 1e9
