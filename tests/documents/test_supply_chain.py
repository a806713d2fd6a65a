"""What comes in and goes out beside points and meshes: no code in data, no network, known archives."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from scripts import ROOT, write_cloud
from shapes import sphere
from test_packaging import closure

LOCKS = sorted((ROOT / "requirements").glob("lock-*.txt"))
MODULES = sorted((ROOT / "neural_splines").rglob("*.py"))
BANNED = {
    "pickle",
    "shelve",
    "marshal",
    "dill",
    "joblib",
    "urllib",
    "http",
    "requests",
    "ftplib",
    "smtplib",
    "telnetlib",
}
CALLS = {"torch.load", "torch.save", "torch.hub.load", "eval", "os.system", "pickle.loads", "np.fromregex"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_reads_code_or_the_network(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & BANNED
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module.split(".")[0] not in BANNED
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in CALLS, name
            if name in ("np.load", "np.save"):
                assert "allow_pickle=False" in ast.unparse(node), "NumPy would read or write pickle"
            assert not any(k.arg == "shell" for k in node.keywords)


NO_NETWORK = """
import socket
def refuse(self, *args, **_):
    raise SystemExit(f"network: {args}")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = socket.create_connection = socket.gethostbyname = refuse
"""


@pytest.mark.parametrize(
    ("script", "extra"), [pytest.param("fit.py", [], marks=pytest.mark.processes), ("fit-grid.py", ["auto"])]
)
def test_a_run_needs_no_network_and_no_optional_library(script, extra, tmp_path):
    """Broken ones on the path do not matter: they are not imported."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(NO_NETWORK)
    for name in ("pykeops", "falkon", "triton"):
        (site / f"{name}.py").write_text("raise RuntimeError('broken')")
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(200))
    outputs = ["--save-grid", "--save-points", "--preview", tmp_path / "a.png", "--html", tmp_path / "a.html"]
    command = [sys.executable, ROOT / script, cloud, "auto", 50, 12, *extra, *outputs, "--out", tmp_path / "mesh.ply"]
    result = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "PYTHONPATH": f"{site}:{ROOT}"}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert not re.search(r"\b(?:fetch|XMLHttpRequest|WebSocket|importScripts|sendBeacon)\b", page)


def locked(path) -> dict[str, tuple[str, list[str]]]:
    """Name: version and hashes."""
    found = {}
    for entry in re.sub(r"\\\n", " ", path.read_text(encoding="utf-8")).splitlines():
        if entry and not entry.startswith("#"):
            name, version, *hashes = re.fullmatch(
                r"([\w.-]+)==(\S+)((?:\s+--hash=sha256:[0-9a-f]{64})+)", entry
            ).groups()
            found[canonicalize_name(name)] = version, hashes[0].split()
    return found


def test_what_was_tested_is_locked():
    assert {path.name.split("-")[1] for path in LOCKS} >= {"cpu", "dev"}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_locked_versions_are_within_the_ranges_and_no_host_is_named(path):
    kind = path.name.split("-")[1]
    packages = locked(path)
    assert "//" not in path.read_text(encoding="utf-8")
    environment = {"python_version": "3.11", "sys_platform": "linux", "platform_machine": "x86_64"}
    for requirement in closure(ROOT / "requirements" / f"requirements-{kind}.txt"):
        assert isinstance(requirement, Requirement)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            version, hashes = packages[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{requirement} is locked at {version}: run make_lock.py"
            assert hashes


def test_links_are_followed_with_a_word(tmp_path, caplog):
    from neural_splines.files.atomic import save_bytes

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "target")
    save_bytes(tmp_path / "plain", b"1")
    assert caplog.records == []
    save_bytes(tmp_path / "link", b"1")
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/link is a link: {tmp_path}/elsewhere/target is written"
    ]
    assert (tmp_path / "elsewhere" / "target").read_bytes() == b"1"


@pytest.mark.parametrize("mask", [0o077, 0o002])
def test_the_umask_decides_who_may_read(mask, tmp_path):
    from neural_splines.files.atomic import save_bytes

    before = os.umask(mask)
    try:
        save_bytes(tmp_path / "file", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~mask
