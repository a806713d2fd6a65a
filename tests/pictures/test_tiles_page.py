"""The page beside a tileset in a real browser: what it shows is the mesh, at any zoom, and what it says is true."""

import functools
import http.server
import re
import shutil
import threading

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from meshes import hills
from scipy.ndimage import binary_erosion
from scripts import captured

from neural_splines.command_line import tiles as command
from neural_splines.files.meshes import save_mesh
from neural_splines.pictures.raster import fill_triangles
from neural_splines.run import tiles as run

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
SIDE = 480  # pixels of the picture
FAR = np.array([389_000.0, 5_820_000.0, 40.0])
BACK = np.array([0xEE, 0xF2, 0xF7])  # behind the mesh, light
HALF = np.tan(np.radians(20.0))  # of the angle of the camera
DONE = """(() => { const count = document.getElementById("count");
  return Boolean(count) && count.textContent !== "" && !/loaded|^0 /.test(count.textContent); })()"""
FRAMES = """(async () => { let all = true;
  for (let k = 0; k < FRAMES; k++) { await new Promise(requestAnimationFrame); all = all && DONE; }
  return all; })()"""
NOTICE = "document.getElementById('notice')"
PLACE = "document.getElementById('place').textContent"
KNOWN = "TilesRenderer: tiles versions at 1.1 or higher"  # all that its console has: GLB and boxes are supported


class Kept(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; what was asked for is kept."""

    def do_GET(self):
        self.server.asked.append(self.path.lstrip("/"))
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("chromium"), (SIDE, SIDE))
    yield found
    found.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Hills of 1 km with colours by place, and the folder of their tiles, which the page has not in it."""
    folder = tmp_path_factory.mktemp("scene")
    vertices, faces = hills(100)
    vertices = 1000.0 * vertices
    tint = np.rint(np.column_stack([0.2 * vertices[:, :2] + 20.0, 128.0 + 100.0 * np.sin(vertices[:, 0] / 200.0)]))
    save_mesh(folder / "hills.ply", vertices + FAR, None, faces, colours=tint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "WHOLE_BYTES", 0)
        words = [folder / "hills.ply", "--out", folder / "t" / "tileset.json", "--tile-faces", 1500]
        done = captured(command.main, *words)
    assert done.code == 0, done.err
    assert "python -m http.server" in done.out
    return vertices, faces, tint, folder / "t"


@pytest.fixture
def served(scene):
    """Its address, and what was asked for there."""
    handler = functools.partial(Kept, directory=scene[3])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", server.asked
    server.shutdown()
    server.server_close()


def opened(browser, url, eye=None, at=None, **words):
    """The page with a view of the scene, whose origin is the middle of the box, when all is there."""
    browser.said.clear()
    words = {"theme": "light", **words}
    if eye is not None:
        words |= {name: ",".join(map(str, place)) for name, place in (("eye", eye), ("at", at))}
    browser.open(f"{url}#{'&'.join(f'{name}={word}' for name, word in words.items())}")
    settled(browser)
    assert all(line.startswith(KNOWN) for line in browser.said), browser.said


def settled(browser):
    """Wait until nothing has been to load for ten frames, and the picture has what there is."""
    while True:
        browser.wait(DONE)
        if browser.value(FRAMES.replace("FRAMES", "10").replace("DONE", DONE)):
            return


def pointed(browser, column, row):
    """What the page says of the place there."""
    browser.mouse("Moved", column, row)
    browser.value(FRAMES.replace("FRAMES", "4").replace("DONE", DONE))
    return browser.value(PLACE)


def seen(places, eye, at):
    """Columns, rows and nearness of places [n, 3] in the picture of a camera, by its definition."""
    back = np.subtract(eye, at) / np.linalg.norm(np.subtract(eye, at))
    right = np.cross((0.0, 0.0, 1.0), back)
    right /= np.linalg.norm(right)
    way = (places - eye) @ np.stack([right, np.cross(back, right), back]).T
    share = way[:, :2] / (-way[:, 2:] * HALF)
    return np.column_stack([(1.0 + share[:, 0]) * SIDE / 2, (1.0 - share[:, 1]) * SIDE / 2, 1.0 / -way[:, 2]])


def drawn(vertices, faces, tint, eye, at):
    """Which pixels the mesh covers, and their colours: our own renderer, four times finer along each side."""
    places, fine = seen(vertices, eye, at), 4
    depth, image = np.full((fine * SIDE,) * 2, -np.inf), np.zeros((fine * SIDE,) * 2 + (3,))
    before = faces[(places[faces, 2] > 0.0).all(1)]  # and not behind the camera
    fill_triangles(places * (fine, fine, 1.0), before, tint.astype(float), tint.astype(float), depth, image)
    parts = (SIDE, fine, SIDE, fine)
    share = np.isfinite(depth).reshape(parts).mean((1, 3))
    return share, image.reshape((*parts, 3)).sum((1, 3)) / np.maximum(fine**2 * share, 1e-9)[..., None]


def centred(vertices):
    return vertices - 0.5 * (vertices.min(0) + vertices.max(0))


FARTHER = ((-350.0, -1500.0, 900.0), (0.0, -50.0, 0.0))
NEARER = ((40.0, -210.0, 120.0), (100.0, -40.0, 10.0))


def test_the_picture_is_the_mesh_at_two_zooms_and_the_nearer_one_loads_finer_tiles(scene, served, browser):
    """Where our own renderer has the mesh is no background, nor the other way round; with the colours of the mesh."""
    vertices, faces, tint, folder = scene
    local, levels = centred(vertices), []
    for eye, at in (FARTHER, NEARER):
        opened(browser, served[0], eye, at, bare=1, surface="unlit")
        picture = browser.picture().astype(float)
        share, colours = drawn(local, faces, tint, eye, at)
        mesh = np.abs(picture - BACK).max(2) > 2.0
        inside, outside = binary_erosion(share == 1.0, iterations=2), binary_erosion(share == 0.0, iterations=2)
        assert inside.mean() > 0.2
        assert not (inside & ~mesh).any()  # no hole
        assert not (outside & mesh).any()
        assert (mesh & (share > 0.0)).sum() > 0.99 * (mesh | (share > 0.0)).sum()
        off = np.abs(picture - colours)[inside].max(1)
        assert np.median(off) < 3.0
        assert np.quantile(off, 0.95) < 12.0
        counts = browser.value("document.getElementById('count').dataset.levels")
        levels.append({level for level, count in enumerate(counts.split(",")) if count not in ("", "0")})
    finest = max(len(re.sub(r"root|\.glb", "", path.name)) for path in (folder / "tiles").iterdir())
    assert finest >= 2
    assert max(levels[0]) < finest
    assert finest in levels[1]
    tiles = [path for path in served[1] if path.startswith("tiles/")]
    assert len(set(tiles)) < len(list((folder / "tiles").iterdir()))  # of the nearer view, only what is seen of it
    assert {path for path in served[1] if path not in tiles} <= {"", "index.html", "tileset.json"}


def numbers(text):
    return np.array([float(word) for word in re.findall(r"[-+]?\d+\.?\d*", text)])


def test_the_place_under_the_pointer_the_wheel_and_distances(scene, served, browser):
    """Coordinates are those of the mesh; what is under the pointer stays there while the wheel is turned."""
    vertices, faces, tint, _ = scene
    eye, at = NEARER
    opened(browser, served[0], eye, at, detail=0.25)
    pixel = 2.0 * HALF * np.linalg.norm(np.subtract(eye, at)) / SIDE
    local = centred(vertices)
    share, _ = drawn(local, faces, tint, eye, at)
    where = seen(local, eye, at)
    free = (np.abs(where[:, :2] - SIDE / 2) < 100).all(1)
    near = np.flatnonzero(free & (where[:, 2] > 1.0 / 230.0))
    rng = np.random.default_rng(0)
    for vertex in rng.choice(near, 4, replace=False):
        column, row = where[vertex, :2]
        said = pointed(browser, column, row)
        hidden = np.linalg.norm(numbers(said) - vertices[vertex] - FAR) > 3.0 * pixel
        assert not hidden or share[int(row), int(column)] == 1.0
        if hidden:  # by what is before it, in the same direction
            found = seen(numbers(said)[None] - FAR - vertices[vertex] + local[vertex], eye, at)[0]
            assert np.abs(found[:2] - (column, row)).max() < 1.0
            assert found[2] > where[vertex, 2]
    column, row = np.rint(where[near[0], :2])
    before = numbers(pointed(browser, column, row))
    for _ in range(4):
        browser.mouse("Wheel", column, row, deltaX=0, deltaY=-120)
        settled(browser)
    assert np.linalg.norm(numbers(browser.value(PLACE)) - before) < 3.0 * pixel
    moved = "new URLSearchParams(location.hash.slice(1)).get('eye').split(',').map((x, k) => x - EYE[k])"
    browser.wait(f"Math.hypot(...{moved.replace('EYE', str(list(eye)))}) > 30.0")  # the address has it, a little later
    browser.value("document.getElementById('measure').click()")
    ends = []
    for place in ((280, 300), (420, 380)):
        browser.click(*place)
        browser.wait(f"/choose the second|level/.test({PLACE})")
        ends.append(numbers(browser.value(PLACE).split("\n")[1]))
    length, level, up = numbers(browser.value(PLACE).split("\n")[0])
    way = ends[1] - ends[0]
    assert (length, level, up) == pytest.approx((np.linalg.norm(way), np.hypot(*way[:2]), way[2]), abs=0.05)


def test_wireframe_levels_dark_and_above(scene, served, browser):
    """From above the square is one, with x to the right; a wireframe has gaps; levels have their colours; dark is."""
    opened(browser, served[0], above=1, bare=1, surface="unlit")
    picture = browser.picture().astype(float)
    mesh = np.abs(picture - BACK).max(2) > 2.0
    rows, columns = (mesh.any(axis).nonzero()[0] for axis in (1, 0))
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=12)
    assert np.ptp(rows) > 0.85 * SIDE
    row, column = mesh.nonzero()
    assert np.corrcoef(picture[mesh][:, 0], column)[0, 1] > 0.98  # red grows with x, green with y
    assert np.corrcoef(picture[mesh][:, 1], -row)[0, 1] > 0.98
    opened(browser, served[0], above=1, bare=1, wire=1, theme="dark", detail=8)
    dark = browser.picture()
    assert (dark.max(2) < 40).mean() > 1.2 * (1.0 - mesh.mean())
    opened(browser, served[0], *NEARER, surface="levels", detail=2)
    assert browser.value("document.getElementById('legend').hidden") is False
    shown = browser.value("document.getElementById('legend').textContent")
    assert numbers(shown.replace("level", ""))[1::2].sum() == browser.value("parseInt(document.getElementById('count')"
                                                                           ".textContent)")  # fmt: skip


def test_a_page_with_all_of_its_tiles_is_opened_from_the_disk(scene, browser, tmp_path):
    """Alone, without its folder; and a page without them says what to do, in one sentence."""
    vertices, faces, tint, folder = scene
    done = captured(command.main, folder.parent / "hills.ply", "--out", tmp_path / "t" / "tileset.json")
    assert done.code == 0, done.err
    assert "open it in a browser" in done.out
    alone = shutil.copy(tmp_path / "t" / "index.html", tmp_path / "a page.html")
    eye, at = FARTHER
    opened(browser, alone.as_uri(), eye, at, bare=1, surface="unlit")
    mesh = np.abs(browser.picture().astype(float) - BACK).max(2) > 2.0
    share, _ = drawn(centred(vertices), faces, tint, eye, at)
    assert (mesh & (share > 0.0)).sum() > 0.99 * (mesh | (share > 0.0)).sum()
    browser.open((folder / "index.html").as_uri())
    browser.wait(f"{NOTICE} && !{NOTICE}.hidden")
    said = browser.value(f"{NOTICE}.textContent")
    assert "python -m http.server" in said
    assert "http://localhost:8000" in said
    assert said.count(". ") == 0


def test_compressed_tiles_look_the_same(scene, served, browser, tmp_path):
    """Places, faces and colours of Draco are the same ones; its decoder comes out of the page, also on a disk."""
    pytest.importorskip("DracoPy")
    words = ["--out", tmp_path / "t" / "tileset.json", "--tile-faces", 1500, "--compress", "draco"]
    done = captured(command.main, scene[3].parent / "hills.ply", *words)
    assert done.code == 0, done.err
    assert b"KHR_draco_mesh_compression" in (tmp_path / "t" / "tiles" / "root.glb").read_bytes()
    pictures = []
    for url in (served[0], (tmp_path / "t" / "index.html").as_uri()):
        opened(browser, url, *NEARER, bare=1, surface="unlit")
        pictures.append(browser.picture().astype(int))
    assert (np.abs(pictures[0] - BACK).max(2) > 2).mean() > 0.5
    assert (np.abs(pictures[0] - pictures[1]).max(2) > 2).mean() < 1e-3  # which of two faces covers an edge's pixel


def test_a_tile_that_is_missing_is_named(scene, served, browser, tmp_path):
    root = scene[3] / "tiles" / "root.glb"
    root.rename(tmp_path / "root.glb")
    try:
        browser.open(served[0])
        browser.wait(f"{NOTICE} && !{NOTICE}.hidden")
    finally:
        (tmp_path / "root.glb").rename(root)
    assert "tiles/root.glb cannot be loaded" in browser.value(f"{NOTICE}.textContent")
    browser.said.clear()


def test_a_tileset_on_the_earth_has_both_coordinates(scene, browser, tmp_path):
    """Those of the mesh in its system, and the latitude and longitude that pyproj has for them."""
    pyproj = pytest.importorskip("pyproj")
    words = ["--crs", "EPSG:25833", "--geoid-height", "39.5", "--out", tmp_path / "t" / "tileset.json"]
    done = captured(command.main, scene[3].parent / "hills.ply", *words)
    assert done.code == 0, done.err
    opened(browser, (tmp_path / "t" / "index.html").as_uri(), (0, -30.0, 30.0), (0, 0, 0), detail=0.25)
    browser.mouse("Moved", 300, 260)
    browser.wait(f"{PLACE} !== ''")
    system, earth = browser.value(PLACE).split("\n")
    assert system.startswith("ETRS89 / UTM zone 33N (EPSG:25833): x ")
    x, y, z = numbers(system.split("): ")[1])
    latitude, longitude, height = numbers(earth)
    degrees = pyproj.Transformer.from_crs(25833, 4326, always_xy=True).transform(x, y)
    assert (longitude, latitude) == pytest.approx(degrees, abs=1e-6)  # a tenth of a metre
    assert height == pytest.approx(z + 39.5, abs=0.02)
    assert (scene[0][:, :2].min(0) <= (x, y) - FAR[:2]).all()
    assert ((x, y) - FAR[:2] <= scene[0][:, :2].max(0)).all()
