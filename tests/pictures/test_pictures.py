"""Pictures and pages: nearest faces win, both sides differ, what is packed is unpacked, and nothing is loaded."""

import base64
import io
import json
import re
import shutil
import subprocess
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from scripts import ROOT, run, write_cloud
from shapes import sphere, torus
from skimage.io import imread

from neural_splines.pictures import png
from neural_splines.pictures.camera import Camera, good_views, upwards
from neural_splines.pictures.mapped import Mapped
from neural_splines.pictures.packing import Frame, pack
from neural_splines.pictures.page import Page
from neural_splines.pictures.ramp import ramp
from neural_splines.pictures.shading import draw_mesh, draw_points

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def unpack(text: str, count: int, columns: int, size: int) -> np.ndarray:
    """What viewer/unpack.js does, in another language."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(size, columns, count).astype(int)
    folded = sum(planes[k] << 8 * k for k in range(size))
    difference = np.where(folded % 2, -(folded + 1) // 2, folded // 2)
    return (difference.cumsum(1) % (1 << 8 * size)).T


@pytest.mark.parametrize("size", [1, 2, 4])
def test_what_is_packed_is_unpacked(size):
    values = np.random.default_rng(0).integers(0, 1 << 8 * size, (500, 3))
    values[0], values[1] = 0, (1 << 8 * size) - 1
    assert np.array_equal(unpack(pack(values, size), 500, 3, size), values)


def test_positions_are_kept_to_a_step():
    points = np.random.default_rng(0).normal(size=(300, 3)) * (1, 10, 0.1) + 5e6
    frame = Frame.around(points, points[:5])
    found = frame.origin + frame.step * unpack(frame.positions(points), 300, 3, 2)
    assert np.abs(found - points).max() <= 0.51 * frame.step
    assert frame.step == pytest.approx(np.ptp(points, axis=0).max() / 65535)


def test_png_is_read_by_another_library():
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3)).astype(np.uint8)
    assert np.array_equal(imread(io.BytesIO(png.encode(image))), image)


def test_colours_of_vertices_are_interpolated():
    """A square, red on the left and green on the right, seen head on: each column has its mixture."""
    vertices, faces = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float), np.array([(0, 1, 2), (0, 2, 3)])
    camera = Camera.looking((0, 0, 1), (0, 1, 0), (0.5, 0.5, 0), 0.5)
    picture = draw_mesh(vertices, faces, camera, 100, colours=np.eye(3)[[0, 1, 1, 0]], borders=False).astype(float)
    share = picture[:, :, 1] / picture.sum(2)
    assert np.abs(share - (np.arange(100) + 0.5) / 100).max() < 0.02


def square(size: int = 64) -> tuple[np.ndarray, np.ndarray, Mapped]:
    """A square with a picture: red grows to the right, green downwards; one of its corners is cut in two."""
    vertices, faces = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], float), np.array([(0, 1, 2), (0, 2, 3)])
    parents, corners = np.array([0, 1, 2, 3, 0]), np.array([(0, 1, 2), (4, 2, 3)])
    ramp_ = np.round(255 * (np.arange(size) + 0.5) / size).astype(np.uint8)
    image = np.zeros((size, size, 3), np.uint8)
    image[..., 0], image[..., 1] = ramp_, ramp_[:, None]
    return vertices, faces, Mapped(parents, corners, np.array([(0, 1), (1, 1), (1, 0), (0, 0), (0, 1)], float), image)


@pytest.mark.parametrize("size", [64, 1024])  # the larger one is made coarser
def test_a_picture_on_a_mesh_is_drawn_where_it_belongs(size):
    """Its first row is the top one; light only scales it, and from behind nothing of it is seen."""
    vertices, faces, mapped = square(size)
    camera = Camera.looking((0, 0, 1), (0, 1, 0), (0.5, 0.5, 0), 0.5)
    picture = draw_mesh(vertices, faces, camera, 100, mapped=mapped, borders=False).astype(float)
    grown = 255 * (np.arange(100) + 0.5) / 100
    light = picture[50, 50, 0] / grown[50]
    assert 0.5 < light <= 1.0
    assert np.abs(picture[..., 0] - light * grown).max() < 4.0
    assert np.abs(picture[..., 1] - light * grown[:, None]).max() < 4.0
    assert picture[..., 2].max() == 0.0
    behind = Camera.looking((0, 0, -1), (0, 1, 0), (0.5, 0.5, 0), 0.5)
    assert np.ptp(draw_mesh(vertices, faces, behind, 50, mapped=mapped, borders=False), axis=(0, 1)).max() == 0


def test_a_picture_is_halved_where_it_can_be():
    _, _, mapped = square(60)
    assert mapped.at_most(60) == mapped
    assert len(mapped.at_most(20).image) == 15  # 60, 30, 15
    assert len(mapped.at_most(7).image) == 15
    places = np.random.default_rng(0).uniform(0.1, 0.9, (100, 2))
    assert np.abs(mapped.at(places)[:, :2] - places).max() < 0.005
    assert np.abs(mapped.at_most(20).at(places)[:, :2] - places).max() < 0.01
    one = Mapped(mapped.parents, mapped.corners, mapped.uv, np.full((1, 1, 3), 51, np.uint8))
    assert np.array_equal(one.at(places), np.full((100, 3), 0.2))


def test_the_data_of_a_page_have_the_picture():
    """Its corners are those of the faces; the bytes are a PNG of it."""
    vertices, faces, mapped = square()
    none = np.zeros(0)
    text = Page("a", vertices, faces, np.zeros((0, 3)), none, none, colours=vertices, mapped=mapped).render()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    found = data["picture"]
    parents = unpack(found["parent"], found["corners"], 1, 4)[:, 0]
    corners = unpack(found["corner"], 3 * len(faces), 1, 4)[:, 0]
    assert np.array_equal(parents[corners].reshape(-1, 3), faces)
    assert np.abs(unpack(found["place"], len(parents), 2, 2) / 65535 - mapped.uv).max() < 1e-5
    start, _, bytes_ = found["image"].partition(",")
    assert start == "data:image/png;base64"
    assert np.array_equal(imread(io.BytesIO(base64.b64decode(bytes_))), mapped.image)
    assert "colour" not in data


@pytest.mark.parametrize("stretch", [(1, 1, 1), (5, 1, 1), (1, 1, 0.1)])
def test_good_views_show_all_of_it(stretch):
    """Nothing is cut off, the shape fills the picture, and the two views look from different sides."""
    points = torus(2000).points.numpy() * stretch + 1e4
    views = good_views(points)
    for camera in views:
        seen = camera.pixels(points, 100)[:, :2]
        assert seen.min() > 0
        assert seen.max() < 100
        assert np.ptp(seen, axis=0).max() > 90
        assert np.abs(camera.axes @ camera.axes.T - np.eye(3)).max() < 1e-12
        assert camera.axes[1] @ upwards(points) > 0.5
    assert views[0].axes[2] @ views[1].axes[2] < 0.5


def test_a_surface_that_shows_one_side_is_seen_from_it_and_upright():
    """A relief that faces z or away from it, as cameras see it: the picture has its front, y upwards or downwards."""
    u, v = np.meshgrid(np.arange(20), np.arange(20), indexing="ij")
    points = np.stack([u, v, 8 * np.sin(u / 6) * np.sin(v / 6)], -1).reshape(-1, 3)
    corner = (20 * np.arange(19)[:, None] + np.arange(19)).ravel()
    faces = np.concatenate(
        [np.stack([corner, corner + 20, corner + 1], 1), np.stack([corner + 1, corner + 20, corner + 21], 1)]
    )
    for turned, side in ((faces, 1.0), (faces[:, ::-1], -1.0)):
        for camera in good_views(points, 1, faces=turned):
            assert side * camera.axes[2, 2] > 0.5
            assert side * camera.axes[1, 1] > 0.5
    flat = points * (1, 1, 0.2)  # terrain
    assert good_views(flat, 1, faces=faces)[0].axes[1, 2] > 0.5
    assert good_views(points, 1, faces=faces, up=np.array([1.0, 0, 0]))[0].axes[1, 0] > 0.5


def test_few_points_are_drawn_too():
    for points in (np.zeros((1, 3)), np.array([(0.0, 0, 0), (1, 0, 0)])):
        picture = draw_points(points, good_views(points, 1)[0], 50)
        assert 0 < (picture < 255).any(2).sum() < 100


def test_the_ramp_grows_lighter():
    grey = ramp(np.linspace(0, 1, 50)) @ (0.3, 0.59, 0.11)
    assert (np.diff(grey) > 0).all()
    assert np.array_equal(ramp(np.array([-1.0, np.nan])), ramp(np.zeros(2)))


def page(faces: int = 1, **others) -> str:
    cloud = sphere(200)
    p = cloud.points.numpy()
    f = np.random.default_rng(0).integers(0, len(p), (faces, 3))
    return Page("a <b>", p, f, p, np.arange(200.0), np.arange(50.0), **others).render()


def test_a_page_loads_nothing_and_escapes_everything():
    text = page(warnings=["</script><script>alert(1)"], facts={"<i>": {"<u>": "</table>"}}, history=[1.0, 0.1, 0.01])
    assert not re.search(
        r"https?://|//[a-z]|src=|@import|<link|url\(", re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    )
    assert "alert(1)" in text
    assert "<script>alert" not in text
    for raw in ("<b>", "<i>", "<u>", "<!--"):
        assert raw not in text
    HTMLParser().feed(text)


def test_its_data_are_the_mesh():
    text = page(300)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    faces = unpack(data["face"], 3 * data["faces"], 1, 4).reshape(-1, 3)
    assert np.array_equal(faces, np.random.default_rng(0).integers(0, 200, (300, 3)))
    vertices = np.array(data["origin"]) + data["step"] * unpack(data["position"], data["vertices"], 3, 2)
    assert np.abs(vertices - sphere(200).points.numpy()).max() < 2 / 65535


def test_a_run_draws_what_it_made(tmp_path):
    """In the picture the mesh is where the points are; the page has both, the warnings, and the times."""
    cloud = write_cloud(tmp_path / "cloud.ply", torus(800))
    args = [cloud, "auto", 300, 24, "--seed", 0, "--out", tmp_path / "mesh.ply"]
    done = run("fit.py", *args, "--preview", tmp_path / "a.png", "--html", "{}.html")
    assert done.code == 0, done.err
    picture = imread(tmp_path / "a.png")
    half = (picture.shape[1] - 8) // 2
    points, mesh = (picture[:, part].min(2) < 250 for part in (slice(0, half), slice(half + 8, None)))
    columns = mesh.any(0) & points.any(0)
    assert columns.sum() > 0.95 * mesh.any(0).sum()
    assert mesh[points].mean() > 0.93  # dots stand out over the edge
    text = (tmp_path / "mesh.html").read_text()
    for word in ("conjugate gradients", "repeat it with", "neural-spline", "cloud.ply"):
        assert word in text


def test_many_meshes_need_many_names(tmp_path):
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(200))
    (tmp_path / "out").mkdir()
    args = [cloud, "auto", 60, 12, "--out-dir", tmp_path / "out", "--preview"]
    refused = run("fit.py", *args, "a.png")
    assert "--preview needs a name for each mesh of --out-dir" in refused.err
    assert "give it the extension .png" in run("fit.py", *args, "{}.jpg").err
    assert run("fit.py", *args, "{}.png").code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["cloud.ply", "cloud.png"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_the_mesh(tmp_path):
    """Headless, without a GPU: grey faces of a torus, with the hole in it; nothing in the console."""
    cloud = write_cloud(tmp_path / "cloud.ply", torus(800))
    args = [cloud, "auto", 300, 24, "--seed", 0, "--out", tmp_path / "mesh.ply", "--html", "{}.html"]
    assert run("fit.py", *args).code == 0
    view = screenshot(tmp_path / "mesh.html").astype(int)
    grey = (view.max(2) - view.min(2) < 40) & (view.max(2) < 215)
    assert 0.1 < grey.mean() < 0.6
    rows, columns = grey.any(1).nonzero()[0], grey.any(0).nonzero()[0]
    assert columns.max() - columns.min() > 350
    assert rows.max() - rows.min() > 150
    assert not ROOT.joinpath("mesh.html").exists()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_the_picture_on_the_mesh(tmp_path):
    """The square, turned as the page turns it: as much red as green, and never blue."""
    vertices, faces, mapped = square()
    none, path = np.zeros(0), tmp_path / "mesh.html"
    up = np.array([0.0, 1.0, 0.0])
    path.write_text(Page("a", vertices, faces, np.zeros((0, 3)), none, none, mapped=mapped, up=up).render())
    view = screenshot(path).astype(float)
    there = view[..., 2] < 20
    assert there.mean() > 0.1
    row, column = there.nonzero()
    red, green = view[there][:, :2].T
    assert np.corrcoef(red, column)[0, 1] > 0.9
    assert np.corrcoef(green, row)[0, 1] > 0.9


def screenshot(path):
    """What Chromium shows of a page, without its panel; nothing is in the console."""
    shot = path.with_suffix(".png")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    command += [
        "--window-size=1000,600",
        "--virtual-time-budget=10000",
        "--enable-logging=stderr",
        f"--screenshot={shot}",
    ]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr
    return imread(shot)[60:560, :600, :3]
