"""The site of docs/: every page has its place, links lead where they lead in the repository, formulas become MathML.

`mkdocs build --strict` itself needs requirements/requirements-docs.txt, and is run where that is installed.
"""

import importlib.util
import re
import subprocess
import sys

import pytest
from scripts import ROOT

NAV = re.findall(r"^ {6}- [^:]+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
PAGES = sorted((ROOT / "docs").rglob("*.md"))
WRITTEN = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
OF_FILES = {"index.md", "changelog.md", "contributing.md", "reference.md"}  # which docs/site/pages.py adds
HERE = all(importlib.util.find_spec(name) for name in ("mkdocs", "material", "mkdocstrings", "latex2mathml"))


def test_every_page_is_in_the_navigation_once():
    assert len(NAV) == len(set(NAV))
    assert {path.relative_to(ROOT / "docs").as_posix() for path in PAGES} | OF_FILES == set(NAV)


@pytest.mark.parametrize("page", [*WRITTEN, *PAGES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere_in_the_repository(page):
    """As on a page of the repository; the site makes pages of them."""
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.skipif(not HERE, reason="needs requirements/requirements-docs.txt")
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "site" / "reference" / "index.html").read_text(encoding="utf-8")
    names = re.findall(r'^    "(\w+)",$', (ROOT / "neural_splines" / "__init__.py").read_text(), re.MULTILINE)
    assert len(names) > 20
    assert [name for name in names if f'id="neural_splines.{name}"' not in reference] == []
    assert "<msub>" in reference
    assert "$" not in re.sub(r"<script.*?</script>", "", reference, flags=re.DOTALL)
    method = (tmp_path / "site" / "method" / "index.html").read_text(encoding="utf-8")
    assert 'href="../source/neural_splines/cells/levels.py/"' in method
    assert (tmp_path / "site" / "source" / "neural_splines" / "cells" / "levels.py" / "index.html").is_file()
    assert 'src="../site/knot.html"' in (tmp_path / "site" / "gallery" / "index.html").read_text(encoding="utf-8")
    assert "vertices" in (tmp_path / "site" / "site" / "knot.html").read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "site" / "site").rglob("*.py*")] == []
    home = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert 'href="method/"' in home
    scripts = re.findall(r'(?:src|href)="(https?:[^"]+\.(?:js|css))"', home)
    assert scripts == []  # nothing is loaded from elsewhere
