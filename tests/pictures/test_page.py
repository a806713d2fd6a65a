"""The page of --html in a browser: what is measured is so long, what is named is there, and every control does it."""

import re

import numpy as np
import pytest
from browser import CHROMIUM
from html_page import opened
from slopes import ORIGIN, SLOPE, TALL, WIDE, hillside, slope_page

from neural_splines.pictures.page import Page

SIZE = (1000, 700)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    numbers = {"uncertainty": np.linspace(0, 0.004, len(hillside()[0]))}
    for name, page in {"plain": slope_page(), "numbers": slope_page(numbers=numbers)}.items():
        (folder / f"{name}.html").write_text(page.render())
    return folder


@pytest.fixture(scope="module")
def chrome():
    with opened(*SIZE) as found:
        yield found


@pytest.fixture
def shown(chrome, pages):
    """A fresh page of the slope, on a desktop in daylight; nothing is said in its console."""
    chrome.size(*SIZE)
    chrome.dark(False)
    chrome.said.clear()
    chrome.show(pages / "plain.html")
    yield chrome
    assert not chrome.said


def axes(page) -> dict[str, tuple[float, float]]:
    """Where the axes point to in the picture, by their names."""
    return page.value("""Object.fromEntries([...document.querySelectorAll('#axes line')].map((line, k) =>
        [document.querySelectorAll('#axes text')[k].textContent,
         [line.x2.baseVal.value - line.x1.baseVal.value, line.y1.baseVal.value - line.y2.baseVal.value]]))""")


def canvas(page):
    """The box of the canvas: x, y, width, height."""
    return page.value("(b => [b.x, b.y, b.width, b.height])(document.querySelector('canvas').getBoundingClientRect())")


def pixel(page) -> float:
    """The length of a pixel by the scale bar."""
    length, pixels = page.value("(d => [+d.length, +d.pixels])(document.getElementById('bar').dataset)")
    return length / pixels


def at(page, x: float, y: float) -> tuple[float, float]:
    """Where a place of the slope is, seen from above: its middle is in the middle."""
    left, top, wide, tall = canvas(page)
    size = pixel(page)
    return left + wide / 2 + (x - WIDE / 2) / size, top + tall / 2 - (y - TALL / 2) / size


def numbers(text: str) -> list[float]:
    plain = text.replace("\N{MINUS SIGN}", "-").replace(",", "")
    return [float(word) for word in re.findall(r"-?\d+(?:\.\d+)?", plain)]


@needs_chromium
@pytest.mark.parametrize("ends", [((5, 5), (33, 21)), ((20, 15), (21, 15)), ((39, 2), (39, 28))])
def test_two_clicks_at_vertices_give_their_distance(shown, ends):
    shown.press("#above")
    shown.press("#ruler")
    for x, y in ends:
        shown.click(*at(shown, x, y))
    (x, y), (u, v) = ends
    true = np.linalg.norm([u - x, v - y, SLOPE * (u - x)])
    words = shown.text("#state")
    assert words.startswith("Distance")
    assert numbers(words)[0] == pytest.approx(true, rel=0.01, abs=2 * pixel(shown))
    assert re.match(r"Distance [\d.]+ m; along x", words)
    assert shown.value("document.querySelectorAll('.spot').length") == 2
    shown.key("Escape")
    assert shown.value("document.querySelectorAll('.spot').length") == 0
    assert shown.value("document.querySelector('#ruler').getAttribute('aria-pressed')") == "false"


@needs_chromium
@pytest.mark.parametrize("perspective", [False, True])
def test_coordinates_under_the_pointer_are_those_of_the_cloud(shown, perspective):
    """To a pixel, with all digits of large coordinates; and on the surface, however it is looked at."""
    shown.press("#above")
    size = pixel(shown)
    for x, y in ((5, 5), (20, 15), (33.5, 21.25)):
        shown.point(*at(shown, x, y))
        found = np.array(numbers(shown.text("#place"))) - ORIGIN
        assert np.abs(found - (x, y, SLOPE * x)).max() <= size
        assert shown.text("#place").endswith("m")
    if perspective:
        shown.press("#perspective")
    shown.drag((300, 300), (360, 380))
    for place in ((500, 350), (420, 380)):
        left, _, wide, _ = canvas(shown)
        shown.point(left + wide / 2 + place[0] - 480, place[1])
        found = np.array(numbers(shown.text("#place"))) - ORIGIN
        assert 0 < found[0] < WIDE
        assert found[2] == pytest.approx(SLOPE * found[0], abs=2 * size)


@needs_chromium
def test_nothing_is_named_where_nothing_is(shown):
    shown.press("#above")
    shown.point(*at(shown, -4, TALL / 2))
    assert shown.text("#place") == ""
    shown.press("#ruler")
    shown.click(*at(shown, -4, TALL / 2))
    assert "no surface" in shown.text("#state")


@needs_chromium
def test_zooming_keeps_the_place_under_the_pointer(shown):
    for perspective in (False, True):
        if perspective:
            shown.press("#perspective")
        shown.press("#reset")
        left, top, wide, tall = canvas(shown)
        where = left + 0.55 * wide, top + 0.5 * tall
        shown.point(*where)
        before, size = numbers(shown.text("#place")), pixel(shown)
        for _ in range(4):
            shown.mouse("Wheel", *where, deltaX=0, deltaY=-300)
        shown.settled()
        assert pixel(shown) == pytest.approx(size * np.exp(-1.2), rel=1e-3)
        shown.point(*where)
        assert np.abs(np.array(numbers(shown.text("#place"))) - before).max() <= 2 * size


@needs_chromium
def test_every_switch_changes_the_picture_and_back(shown):
    """Wireframe, points, perspective, and the surface itself; the beginning comes back."""
    first = shown.picture()
    for name in ("wire", "points", "perspective", "mesh"):
        shown.press(f"#{name}")
        changed = shown.picture()
        assert (np.abs(changed.astype(int) - first).max(2) > 8).mean() > 0.001, name
        shown.press(f"#{name}")
        shown.mouse("Moved", 1, 1)
    for name in ("above", "front", "side"):
        shown.press(f"#{name}")
        assert (shown.picture() != first).any(2).mean() > 0.02, name
    shown.press("#reset")
    shown.value("document.activeElement.blur()")
    shown.mouse("Moved", 990, 690)
    shown.settled()
    assert (np.abs(shown.picture().astype(int) - first).max(2) > 8).mean() < 0.01


@needs_chromium
def test_named_views_are_from_there(shown):
    """From the front and the side of a slope along x: x to the right, then a wall of the width of y."""
    for name, right, upwards in (("above", "x", "y"), ("front", "x", "z"), ("side", "y", "z")):
        shown.press(f"#{name}")
        assert axes(shown)[right] == pytest.approx([26, 0], abs=1e-6)
        assert axes(shown)[upwards] == pytest.approx([0, 26], abs=1e-6)
        shown.press(f"#{name}")  # from the other side
        other = ("y", [0, -26]) if name == "above" else (right, [-26, 0])
        assert axes(shown)[other[0]] == pytest.approx(other[1], abs=1e-6)


@needs_chromium
def test_back_faces_are_orange_where_that_is_wanted(shown):
    def orange() -> float:
        picture = shown.picture()[120:600, 100:550].astype(int)
        return float(((picture[..., 0] > picture[..., 2] + 60) & (picture[..., 0] > picture[..., 1])).mean())

    shown.press("#above")
    assert orange() < 0.001
    shown.press("#above")  # again: from below
    assert orange() > 0.3
    shown.press("#backs")
    assert orange() < 0.001
    assert "back faces" in shown.text("#legend label")


@needs_chromium
def test_the_page_is_dark_as_the_system_is_and_by_its_switch(chrome, pages):
    def ground() -> tuple[float, float]:
        picture = chrome.picture()
        return float(picture[650, 300].mean()), float(picture[650, 985].mean())  # under the mesh, and in the panel

    chrome.size(*SIZE)
    for system in (False, True):
        chrome.dark(system)
        chrome.show(pages / "plain.html")
        before = ground()
        chrome.press("#dark")
        after = ground()
        dark, light = (before, after) if system else (after, before)
        assert max(dark) < 80
        assert min(light) > 180
    chrome.dark(False)


@needs_chromium
def test_a_finger_turns_and_two_zoom(chrome, pages):
    chrome.size(390, 844, touch=True)
    chrome.show(pages / "plain.html")
    first, size = axes(chrome), pixel(chrome)
    chrome.touch(((200, 300), (260, 330)))
    assert axes(chrome) != first
    assert pixel(chrome) == pytest.approx(size)
    chrome.touch(((180, 300), (130, 300)), ((220, 300), (270, 300)))
    assert pixel(chrome) == pytest.approx(size * 40 / 140, rel=0.02)
    assert chrome.value("document.documentElement.scrollWidth") <= 390
    outside = "[...document.querySelectorAll('nav > *')].filter(e => e.getBoundingClientRect().right > 390).length"
    assert chrome.value(outside) == 0
    chrome.size(*SIZE)


@needs_chromium
def test_keys_do_what_the_mouse_does(shown):
    """Tab reaches every control, all of which have names; keys turn, zoom and measure the middle."""
    bare = """[...document.querySelectorAll('nav button, nav input, nav select, #legend input')].filter(
        e => !(e.labels && e.labels.length && e.labels[0].textContent.trim()) && !e.textContent.trim()).length"""
    assert shown.value(bare) == 0
    assert "Arrow keys turn" in shown.value("document.querySelector('canvas').getAttribute('aria-label')")
    reached = set()
    for _ in range(16):
        shown.key("Tab", windowsVirtualKeyCode=9)
        reached.add(shown.value("document.activeElement.id || document.activeElement.tagName"))
    assert {"mode", "mesh", "wire", "points", "above", "reset", "ruler", "dark", "CANVAS", "backs"} <= reached
    shown.value("document.querySelector('canvas').focus()")
    turned, size = axes(shown), pixel(shown)
    shown.key("ArrowLeft")
    assert axes(shown) != turned
    shown.key("+", "+")
    assert pixel(shown) == pytest.approx(size / 1.25)
    shown.key("1", "1")
    shown.key("m", "m")
    shown.key("Enter")
    for _ in range(3):
        shown.key("ArrowLeft", modifiers=8)
    shown.settled()
    size = pixel(shown)
    shown.key("Enter")
    assert numbers(shown.text("#state"))[0] == pytest.approx(60 * size * np.hypot(1, SLOPE), rel=0.05)
    shown.key("Escape")
    assert shown.value("document.querySelectorAll('.spot').length") == 0


@needs_chromium
def test_the_legend_says_what_in_which_unit(chrome, pages):
    chrome.size(*SIZE)
    chrome.show(pages / "numbers.html")
    assert chrome.text("#what") == "Uncertainty of the surface: one standard deviation (mm)"
    marks = chrome.value("[...document.querySelectorAll('#ticks span')].map(s => s.textContent)")
    assert marks == ["0", "1", "2", "3"]
    chrome.press("#above")
    chrome.point(*at(chrome, 20, 15))
    assert re.search(r"uncertainty (1\.9|2(\.\d)?) mm$", chrome.text("#place"))
    chrome.choose("#mode", "distance")
    assert chrome.text("#what") == "Distance of the surface from the nearest point (mm)"
    assert chrome.value("[...document.querySelector('#mode').options].map(o => o.text)") == [
        "plain",
        "uncertainty",
        "distance",
    ]


@needs_chromium
@pytest.mark.parametrize("count", [1, 9528, 123_456, 12_345_678])
def test_all_numbers_of_a_chart_are_in_it(chrome, tmp_path, count):
    """However many there are in its largest bar."""
    vertices, faces = hillside(5, 5)
    residuals = np.concatenate([np.zeros(count), np.linspace(0, 4.5e-6, 3)])
    page = Page("a", vertices, faces, vertices, np.arange(25.0), residuals, history=[1.0, 1e-2, 3e-7])
    (tmp_path / "a.html").write_text(page.render())
    chrome.show(tmp_path / "a.html")
    outside = """[...document.querySelectorAll('figure svg text')].filter(t => { const b = t.getBBox();
        return b.x < 0 || b.y < 0 || b.x + b.width > 341 || b.y + b.height > 151; }).map(t => t.textContent)"""
    assert chrome.value(outside) == []
    assert "e-0" not in chrome.text("aside")
