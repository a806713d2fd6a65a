"""The manual: every command and code block runs, links and pictures are there."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest
import trimesh
from glb import shown, values
from make_scan import ORIGIN, RADIUS, radius
from make_tile import CORNER, EAVES, SIDE, ground
from run_page import SCRIPTS, blocks, commands, run_page
from scripts import ROOT, write_cloud
from shapes import sphere, torus

from neural_splines.runtime import progress

PAGES = sorted((ROOT / "docs").rglob("*.md"))


def name_of(page):
    """As ids of tests have it."""
    return page.relative_to(ROOT).as_posix()


def fewer_points(words):
    """A first scan of 2,000 points, on a grid of 64 voxels for 128; nothing else is changed."""
    if words[:2] == ["fit-grid.py", "scan.las"]:
        return [*words[:4], "64", *words[5:]]
    return [*words, "--points", "2000"] if words == ["examples/make_scan.py", "scan.las"] else words


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """The folder after every block of docs/tutorial.md was run."""
    folder = tmp_path_factory.mktemp("tutorial")
    run_page(ROOT / "docs" / "tutorial.md", folder, fewer_points)
    return folder


def test_the_scan_becomes_a_coloured_mesh_at_its_place(tutorial):
    """Within a tenth of a spacing of 5 mm of the pumpkin, in UTM metres, orange with a green stem."""
    mesh = trimesh.load(tutorial / "scan.glb", force="mesh", process=False)
    x = mesh.vertices[:, [0, 2, 1]] * (1, -1, 1) - ORIGIN  # from y upwards, as readers have it
    length = np.linalg.norm(x, axis=1)
    t, p = np.arccos(x[:, 2] / length), np.arctan2(x[:, 1], x[:, 0])
    side = t > 0.3  # about the stem r is steep, and no distance
    assert np.abs(length - radius(t, p))[side].mean() < 5e-4
    rgb = shown(values(tutorial / "scan.glb", "COLOR_0"))
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
    assert np.abs(mesh.bounds[0]).max() < 1e-9
    assert 1.5 < mesh.extents.max() / (1000 * RADIUS) < 2.5
    assert 3e6 < mesh.volume < 12e6  # cubic millimetres


def coarse_tile(words):
    """A tile of 8,000 points, and a grid of 96 voxels; nothing else is changed."""
    if words[0] == "pip":
        return None
    if words[0] == "examples/make_tile.py":
        return [*words, "--points", "8000"]
    return [*words, "--grid-size", "96"] if words[1] == "reconstruct" else words


@pytest.fixture(scope="module")
def mapping(tmp_path_factory):
    """The folder after every block of docs/mapping.md was run."""
    for name in ("laspy", "rasterio", "pyproj"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("mapping")
    run_page(ROOT / "docs" / "mapping.md", folder, coarse_tile, languages=("bash",))
    return folder


def test_a_tile_of_two_flights_becomes_a_raster_of_the_bare_ground(mapping):
    """Within a tenth of a metre of its formula, also below houses; and not far beyond the tile."""
    rasterio = pytest.importorskip("rasterio")
    with rasterio.open(mapping / "ground.tif") as file:
        heights, place, system = file.read(1, masked=True), file.transform, file.crs.to_epsg()
    row, column = np.indices(heights.shape)
    x = place.c + (column + 0.5) * place.a - CORNER[0]
    y = place.f + (row + 0.5) * place.e - CORNER[1]
    inside = (x > 1) & (x < SIDE - 1) & (y > 1) & (y < SIDE - 1)
    off = np.abs(heights - ground(x, y))[inside]
    assert system == 25833
    assert off.count() > 0.99 * inside.sum()
    assert np.sqrt((off**2).mean()) < 0.05
    assert off.max() < 0.5
    assert min(x.min(), y.min()) > -3.5  # three voxels
    assert max(x.max(), y.max()) < SIDE + 3.5
    lines = json.loads((mapping / "ground.geojson").read_text())["features"]
    assert len(lines) > 10


def test_a_tile_becomes_a_coloured_model_and_a_scene_on_the_globe(mapping):
    mesh = trimesh.load(mapping / "tile.glb", force="mesh", process=False)
    x, y = mesh.vertices[:, 0] - CORNER[0], -mesh.vertices[:, 2] - CORNER[1]
    rgb = shown(values(mapping / "tile.glb", "COLOR_0")).astype(float)
    roof = mesh.vertices[:, 1] > ground(x, y) + EAVES + 0.5
    assert (rgb[roof, 0] > 1.5 * rgb[roof, 1]).mean() > 0.9  # red
    open_ground = (abs(x - 45) < 4) & (abs(y - 45) < 4)
    assert (rgb[open_ground, 0] < 1.5 * rgb[open_ground, 1]).all()
    tileset = json.loads((mapping / "scene" / "tileset.json").read_text())
    place = np.array(tileset["root"]["transform"]).reshape(4, 4)[3, :3]
    assert abs(np.linalg.norm(place) - 6.365e6) < 5e3  # the ellipsoid's radius at latitude 52.5
    assert abs(np.degrees(np.arctan2(place[1], place[0])) - 13.4) < 0.1  # east of Greenwich
    assert (mapping / "scene" / "index.html").exists()


def test_many_scans_become_many_meshes(tutorial):
    assert sorted(p.name for p in (tutorial / "meshes").iterdir()) == ["one.glb", "one.png", "two.glb", "two.png"]


# Commands that no test runs, by how they begin, and why.
NOT_RUN = {
    "python -m venv": "installs: CI does, by README.md's own words",
    ". .venv/bin/activate": "installs",
    "pip install": "installs",
    "python -m pytest": "is what runs this",
    "neural-splines doctor": "test_packaging.py runs it",
    "benchmarks/benchmark.py": "takes an hour; test_benchmark.py runs it on one cloud with peers of its own",
    "benchmarks/quality.py": "takes an hour, and scans; test_quality.py runs it on one shape",
    "benchmarks/srb.py": "wants scans; test_srb.py runs it on one of its own",
    "benchmarks/srb_page.py": "writes a page of this repository; test_srb.py makes its tables",
    "benchmarks/abc_parts.py": "takes a quarter of an hour; test_abc.py runs it on one part and on files",
    "benchmarks/scenes.py": "takes half an hour; test_scene_benchmark.py runs it on one scene",
    "benchmarks/readability.py": "wants the history of the repository; test_readability.py runs it on a page",
    "benchmarks/report.py": "wants the results of that hour; test_quality.py runs it on a row",
}
PYTHON = {
    "README.md": "test_api.py",
    "api.md": "test_api.py",
    "tutorial.md": "above",
}  # pages with Python: what runs it
MANUAL = [ROOT / "README.md", *PAGES]


def why_not(words):
    """How a command begins that is not run here."""
    return next((start for start in NOT_RUN if shlex.join(words).startswith(start)), None)


def smaller(words):
    """The same command with at most 48 centres and voxels and one worker, or None where it is not run."""
    if "--workers" in words:  # each imports all for seconds; test_scenes.py has two
        words[words.index("--workers") + 1] = "1"
    sizes = slice(3, 5) if words[0] in SCRIPTS else slice(4, 6)  # behind the input and EPS, or the input and the mesh
    if words[0] in SCRIPTS or words[1] in ("fit", "fit-grid", "trim"):
        words[sizes] = [str(min(int(word), 48)) if word.isdigit() else word for word in words[sizes]]
    elif words[1] == "reconstruct":
        words += ["--grid-size", "48"]
    return None if why_not(words) else words


@pytest.mark.parametrize(
    "page", [p for p in MANUAL if p.name not in ("tutorial.md", "tasks.md", "mapping.md")], ids=name_of
)
def test_every_command_runs(page, tmp_path):
    """On a small cloud in the place of each that the page names."""
    (tmp_path / "examples").mkdir()
    for name in ("examples/knot.ply", "SCAN.ply", "ROOM.ply", "PART.ply"):
        write_cloud(tmp_path / name, torus(500))
    shutil.copy(ROOT / "tests" / "cameras.json", tmp_path / "transforms.json")
    run_page(page, tmp_path, smaller, languages=("bash",))


def test_every_task_is_done(tmp_path):
    """The commands of docs/tasks.md, on a coarse grid, on a small cloud of each kind."""
    laspy = pytest.importorskip("laspy")
    ball = sphere(200).points.numpy()
    x, y = np.meshgrid(*[np.linspace(0.0, 9.0, 20)] * 2)
    roof = (np.abs(x - 4.5) < 2) & (np.abs(y - 4.5) < 2)
    file = laspy.LasData(laspy.LasHeader(point_format=6, version="1.4"))
    file.x, file.y, file.z = x.ravel(), y.ravel(), np.where(roof, 3.0, 0.0).ravel()
    file.classification = np.where(roof, 6, 2).ravel()
    file.write(str(tmp_path / "TERRAIN.las"))
    for name in ("OBJECT.ply", "SPLATS.ply"):
        write_cloud(tmp_path / name, sphere(200))
    clouds = {"ROOM": ball, "FRONT": ball[ball[:, 0] > -0.1], "BACK": ball[ball[:, 0] < 0.1]}
    clouds["DEPTH"] = ball[ball[:, 2] > 0.3] - [0.0, 0.0, 5.0]
    for name, points in clouds.items():
        np.savetxt(tmp_path / f"{name}.xyz", points)

    def coarse(words):
        if "auto" not in words:
            return words
        place = words.index("auto") + 2
        return [*words[:place], "24", *("64" if word == "2048" else word for word in words[place + 1 :])]

    run_page(ROOT / "docs" / "tasks.md", tmp_path, coarse, languages=("bash",))
    assert trimesh.load(tmp_path / "object.stl").is_watertight
    assert trimesh.load(tmp_path / "all.ply", process=False).volume > 3.0


def test_what_is_not_run_is_there():
    """And every block is of a kind that is run, or shows what is printed."""
    words = [
        words for page in MANUAL for language, block in blocks(page) if language == "bash" for words in commands(block)
    ]
    assert {why_not(command) for command in words} - {None} == set(NOT_RUN)
    for page in MANUAL:
        languages = {language for language, _ in blocks(page)}
        assert languages <= {"bash", "python", ""}, page.name
        assert "python" not in languages or page.name in PYTHON, page.name
        for language, block in blocks(page):
            shown = re.match(r"(python|pip|neural-splines|\$|>>>)", block)
            assert language or not shown, f"{page.name}: a command in a block without a language"


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CHANGELOG.md", *PAGES], ids=name_of)
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
