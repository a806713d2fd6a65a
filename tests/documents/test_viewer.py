"""The page beside a tileset is what its sources in viewer/ make, carries the licences of what is in it, and loads no
more than the tiles.
"""

import hashlib
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from scripts import ROOT

from neural_splines.pictures.tiles_page import TilesPage

VIEWER, PICTURES = ROOT / "viewer", ROOT / "neural_splines" / "pictures"
PAGE = (PICTURES / "tiles.html").read_text(encoding="utf-8")
NOTICE = (PICTURES / "THIRD_PARTY.txt").read_text(encoding="utf-8")
VERSIONS = json.loads((VIEWER / "package.json").read_text(encoding="utf-8"))["devDependencies"]


def sources():
    """The files that build.mjs names, in its order."""
    text = (VIEWER / "build.mjs").read_text(encoding="utf-8")
    return re.findall(r'"([^"]+)"', re.search(r"const SOURCES = \[(.*?)\];", text, re.DOTALL)[1])


def test_the_page_is_built_from_the_sources_that_are_here():
    """Else run in viewer/: npm ci && npm run build."""
    made = hashlib.sha256()
    for name in sources():
        text = (VIEWER / name).read_text(encoding="utf-8")  # with \n for the ends of lines, wherever it is
        made.update(f"{name}\n{text}\n".encode())
    assert made.hexdigest() == re.search(r"Made by viewer/build.mjs from sources with the SHA-256 (\w+)", PAGE)[1]


def test_every_file_of_the_viewer_is_in_the_hash():
    found = {path.name for path in VIEWER.iterdir() if path.is_file()}
    assert found == set(sources())


@pytest.mark.skipif(
    not (VIEWER / "node_modules").is_dir() or shutil.which("npm") is None, reason="needs npm ci in viewer/"
)
def test_a_build_gives_the_same_bytes():
    done = subprocess.run(["npm", "run", "check"], cwd=VIEWER, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_versions_are_exact_and_the_lock_has_them_with_hashes_and_without_a_host():
    lock = json.loads((VIEWER / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"][""]["devDependencies"] == VERSIONS
    for name, version in VERSIONS.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    for path, entry in lock["packages"].items():
        assert path == "" or entry["integrity"].startswith("sha512-")
        assert "resolved" not in entry


@pytest.mark.parametrize(("name", "licence"), [("three", "MIT"), ("3d-tiles-renderer", "Apache-2.0")])
def test_licences_come_with_the_page_and_with_the_package(name, licence):
    assert f"- {name} {VERSIONS[name]} ({licence})" in NOTICE
    assert f"{name} {VERSIONS[name]} ({licence})" in PAGE[PAGE.index("/* ") :]  # the banner of the bundle


def test_the_licences_are_whole():
    words = ["Copyright © 2010-2026 three.js authors", "by Arseny Kapoulkine", "TERMS AND CONDITIONS FOR USE"]
    words += ["Copyright The Draco Authors"]
    words += ["The above copyright notice and this permission notice shall be included", "END OF TERMS AND CONDITIONS"]
    for word in words:
        assert word in NOTICE
    shown = re.search(r'<pre id="licences">(.*?)</pre>', PAGE, re.DOTALL)[1]
    assert shown.replace("&lt;", "<").replace("&amp;", "&").strip() == NOTICE.strip()


def test_the_page_loads_nothing_but_tiles():
    """Its policy lets the browser load from its own folder alone; no element names another place."""
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', PAGE)[1]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert rules["img-src"] == "data: blob:"
    assert rules["worker-src"] == "blob:"  # that of Draco, whose decoder is in the page
    assert rules["script-src"] == "'unsafe-inline' 'wasm-unsafe-eval'"  # the decoders are WebAssembly
    markup = re.sub(r"<script.*?</script>", "", PAGE, flags=re.DOTALL)
    assert not re.search(r"\bsrc=|@import|url\(", markup)
    assert re.findall(r'href="(.*?)"', markup) == ["data:,"]


def test_a_title_is_text_and_data_end_no_element():
    before, after = TilesPage('<b> & "c".ply', np.eye(4), crs="</script><script>alert(1)").around()
    assert "<title>&lt;b&gt; &amp; &quot;c&quot;.ply</title>" in before
    assert "alert(1)" in before
    assert "<script>alert" not in before + after
    data = json.loads(re.search(r'id="data">(.*?)</script>', before)[1])
    assert data["place"]["crs"] == "</script><script>alert(1)"
    assert not re.search(r"<!--(TITLE|DATA|FILES|SCRIPT|STYLE|LICENCES|HASH)-->", before + after)
