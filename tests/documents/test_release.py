"""What a release consists of: a wheel with all of the package, an sdist with all of the repository; files that say how
it is built elsewhere agree with the files that they name.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from scripts import ROOT

import neural_splines as ns

BUILD = "import setuptools.build_meta as build; build.build_sdist('dist'); build.build_wheel('dist')"
NOT_RELEASED = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", "*.nb[ci]", ".*_cache", ".hypothesis", "shared",
    ".carry", ".whl", "recon*", "node_modules",
)  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A copy of the repository after both were built in it, without an index."""
    setuptools = pytest.importorskip("setuptools")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip("pyproject.toml asks for setuptools 77")
    copy = tmp_path_factory.mktemp("release") / "repository"
    shutil.copytree(ROOT, copy, ignore=NOT_RELEASED)
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=copy, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return copy


def files_of(copy, *folders):
    """The files of some folders, as paths of the repository."""
    return {str(path.relative_to(copy)) for folder in folders for path in (copy / folder).rglob("*") if path.is_file()}


def test_the_wheel_has_the_whole_package_and_nothing_else(built):
    (wheel,) = (built / "dist").glob("*.whl")
    assert wheel.name == f"neural_splines-{ns.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
        script = archive.read(f"neural_splines-{ns.__version__}.dist-info/entry_points.txt").decode()
    assert found == {name for name in files_of(built, "neural_splines") if "__pycache__" not in name}
    assert "neural-splines = neural_splines.command_line.main:main" in script


def test_the_sdist_has_the_whole_repository(built):
    (sdist,) = (built / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    wanted = files_of(
        built, "neural_splines", "tests", "docs", "benchmarks", "examples", "requirements", "conda", "viewer", ".ci"
    )
    wanted |= files_of(built, ".github") | {path.name for path in built.iterdir() if path.is_file()}
    assert {name for name in wanted - found if "__pycache__" not in name} == set()


def test_what_the_container_copies_and_installs_is_there():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    let_in = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    copied = [word for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for word in line.split()]
    assert set(copied) == set(let_in)
    assert all((ROOT / name).exists() for name in copied)
    builds = re.search(r"^# REQUIREMENTS is .*?: (.*?) \(", text.replace("\n# ", " "), re.MULTILINE)[1]
    for build in re.findall(r"\w+", builds.replace(" or ", " ")):
        assert (ROOT / "requirements" / f"requirements-{build}.txt").exists(), build
    extras = re.search(r'"\.\[(.*)\]"', text)[1].split(",")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras)


@pytest.mark.parametrize("name", [".github/workflows/tests.yml", ".pre-commit-config.yaml", "CONTRIBUTING.md"])
def test_the_files_that_commands_name_are_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    found = set(re.findall(r"(?<![\w/])((?:requirements|tests|docs|examples|neural_splines)/[\w/.-]+\.\w+)", text))
    assert found
    assert {path for path in found if not (ROOT / path).exists()} == set()


def test_the_workflow_tries_the_pythons_that_are_promised():
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    versions = re.search(r'python: \[("3\.10".*"3\.13")\]', text)[1]
    assert versions == '"3.10", "3.11", "3.12", "3.13"'
    assert 'requires-python = ">=3.10"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert {"ubuntu-latest", "macos-latest", "windows-latest"} <= set(re.findall(r"\w+-latest", text))
