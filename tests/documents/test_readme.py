"""README.md: what a stranger needs, within one screen and 120 lines; its options and links. Its Python: test_api.py."""

import argparse
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import options_page
import pipeline_figure
import pytest
from run_page import blocks
from scripts import ROOT

from neural_splines.command_line.main import COMMANDS

README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = README.splitlines()
OF_PIP = {"--extra-index-url"}


def offered(command: str) -> set[str]:
    """The options of a command."""
    return {word for action in options_page.parser_of(command)._actions for word in action.option_strings}


def test_the_page_of_options_is_that_of_the_parsers():
    """`PYTHONPATH=. python tests/options_page.py` writes it anew."""
    assert options_page.PAGE.read_text(encoding="utf-8") == options_page.page()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_on_the_page(command):
    """In the section of its command: a group that the page forgets would be missing from it and from no test else."""
    sections = options_page.page().split("\n## ")
    (section,) = [text for text in sections if text.startswith(f"{options_page.heading(command)}\n")]
    for option in offered(command) - {"-h", "--help"}:
        assert re.search(rf"^\| `[^|]*{option}\b", section, re.MULTILINE), option


def test_a_row_has_name_default_and_meaning():
    parser = argparse.ArgumentParser(prog="x")
    action = parser.add_argument("--to", type=int, default=3, metavar="N", help="a | b of --out (default: %(default)s)")
    assert options_page.row(parser, action) == "| `--to N` | 3 | a \\| b of `--out` |"
    flag = parser.add_argument("--on", action="store_true", help="as docs say (docs/trust.md)")
    assert options_page.row(parser, flag) == "| `--on` |  | as docs say ([trust.md](trust.md)) |"


def test_the_options_that_are_named_exist():
    known = set().union(*(offered(command) for command in COMMANDS)) | OF_PIP
    for page in (README, (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page))
        assert named
        assert named <= known, f"no such option: {named - known}"


def test_the_first_screen_says_what_a_stranger_asks():
    assert len(LINES) <= 120
    screen = "\n".join(LINES[:30])
    for words in ("point cloud", "MIT", "no training data", "minutes"):
        assert words in screen, words
    assert screen.count("![") == 1
    commands = [text for language, text in blocks(ROOT / "README.md") if language == "bash"]
    example, tests = (text.strip() for text in commands)
    assert all(text in screen and "\n" not in text for text in (example, tests))
    assert example.endswith("-e . && neural-splines reconstruct examples/knot.ply --html recon.html")
    assert "-e . && python -m pytest" in tests  # .ci/run runs the block that mentions pytest


def test_the_last_line_says_how_to_look_at_the_result():
    assert re.search(r"open `recon\.html` in a browser", LINES[-1])


def test_every_page_can_be_reached():
    """From README, by links of the pages that it links to."""
    found, queue = set(), [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        links = re.findall(r"\]\(([\w/.-]+\.md)", page.read_text(encoding="utf-8"))
        new = {file for link in links if (file := (page.parent / link).resolve()).exists()} - found
        found |= new
        queue += new
    assert set((ROOT / "docs").resolve().rglob("*.md")) <= found


def test_every_file_that_the_readme_links_to_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or (ROOT / target).exists(), target


@pytest.mark.parametrize(
    "word",
    ["Cell", "Level", "Support", "Spacing", "Margin", "Voxel", "Ridge", "Held-out points", "Blend", "Nyström centre"],
)
def test_the_glossary_has_the_words_of_options_and_messages(word):
    entries = re.findall(r"^\*\*(.*?)\.\*\*", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert word in {name.strip() for entry in entries for name in entry.split(",")}
    assert len(entries) == len(set(entries))


def test_the_figure_of_the_pipeline_is_that_of_its_script():
    """But for the last digit of a pixel, which another library of linear algebra may round otherwise."""
    stored, made = pipeline_figure.FIGURE.read_text(encoding="utf-8"), pipeline_figure.figure()
    number = r"-?\d+\.\d"
    assert re.sub(number, "#", stored) == re.sub(number, "#", made)
    places = [np.array(re.findall(number, text), float) for text in (stored, made)]
    np.testing.assert_allclose(*places, atol=0.11)


def test_the_surface_of_the_figure_goes_through_its_points():
    """And the figure is an SVG with a title below each of its panels."""
    points, normals = pipeline_figure.cloud()
    whole = pipeline_figure.fit(points, normals, np.zeros(2), pipeline_figure.HALF)
    cells = list(pipeline_figure.cells_of(points, normals, np.zeros(2), pipeline_figure.HALF, whole))
    field = pipeline_figure.blend(cells)
    assert len({cell.half for cell in cells}) > 2
    assert np.abs(field(points)).max() < 2e-3
    assert (field(points + 0.1 * normals) > 0.05).all()
    assert (field(points - 0.1 * normals) < -0.05).all()
    texts = ElementTree.fromstring(pipeline_figure.figure()).iter("{http://www.w3.org/2000/svg}text")
    assert [text.text for text in texts] == [line for panel in pipeline_figure.PANELS for line in panel]
