"""The files that say what to install agree with each other and with what the program imports."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "requirements").glob("requirements-*.txt"))
TORCH_FILES = [path for path in FILES if re.search(r"-(cpu|cuda\d+)\.txt", path.name)]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

HOSTS = {"download.pytorch.org", "github.com", "falkon.dibris.unige.it"}  # beside PyPI, which is never named
DISTRIBUTIONS = {"skimage": "scikit-image"}  # where the import is not the name with underscores


def parse(path):
    """Requirements and options of one file, without what it includes."""
    lines = [line.split(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    options = [line for line in lines if line.startswith("-")]
    return [Requirement(line) for line in lines if not line.startswith("-")], options


def closure(path):
    """Requirements of a file and of the files it includes."""
    found, options = parse(path)
    for option in options:
        if option.startswith("-r "):
            found += closure(path.parent / option[3:].strip())
    return found


def key(requirement):
    """What two requirements must share to be the same: name, range and marker."""
    return canonicalize_name(requirement.name), str(requirement.specifier), str(requirement.marker)


def conda_environment():
    """Name, conda requirements and pip requirements of environment.yml, by its indentation."""
    name, conda, pip = None, [], []
    section = None
    for line in (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if not line.startswith(" "):
            section = text.split(":")[0]
            name = text.split(":")[1].strip() if section == "name" else name
        elif section == "dependencies" and text != "- pip:":
            (conda if line.startswith("  - ") else pip).append(text.removeprefix("- "))
    return name, [line for line in conda if not line.startswith("python=")], [Requirement(line) for line in pip]


def runtime():
    return [Requirement(line) for line in PROJECT["dependencies"]]


def optional():
    return [Requirement(line) for extra in PROJECT["optional-dependencies"].values() for line in extra]


def imported(path):
    """Top-level names of the third-party modules that a file imports, however deep in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    folders = (path.parent, ROOT / "benchmarks", ROOT / "tests", *(ROOT / "tests").glob("*/"), ROOT / "examples")
    own = {"neural_splines"} | {other.stem for folder in folders for other in folder.glob("*.py")}
    return {name for name in names if name not in sys.stdlib_module_names and name not in own}


def distributions(names):
    return {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in names}


def names(requirements):
    return {canonicalize_name(requirement.name) for requirement in requirements}


def here(requirements):
    return [r for r in requirements if r.marker is None or r.marker.evaluate()]


def test_every_file_of_the_issue_is_there():
    expected = {"common", "cpu", "cuda126", "cuda128", "cuda130", "dev", "falkon"}
    assert expected <= {path.stem.removeprefix("requirements-") for path in FILES}


@pytest.mark.parametrize("path", [*FILES, ROOT / "environment.yml"], ids=lambda path: path.name)
def test_first_line_says_for_whom(path):
    assert path.read_text(encoding="utf-8").startswith("# For ")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_requirements_are_released_and_bounded(path):
    for requirement in parse(path)[0]:
        if requirement.url:
            assert re.fullmatch(r"git\+https://\S+@[0-9a-f]{40}", requirement.url), f"{requirement.name} is not pinned"
            continue
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators in ({"=="}, {">=", "<"}), f"{requirement}: give both ends of the range, or one release"
        assert not requirement.specifier.prereleases


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_included_files_exist(path):
    for option in parse(path)[1]:
        if option.startswith("-r "):
            assert (path.parent / option[3:].strip()).is_file(), option


@pytest.mark.parametrize(
    "path",
    [*FILES, ROOT / "environment.yml", ROOT / "pyproject.toml", ROOT / ".ci" / "run", ROOT / "docs" / "install.md"],
    ids=lambda path: path.name,
)
def test_only_public_hosts_are_named(path):
    found = re.findall(r"\b\w+://([^/\s\"'`)>]*)", path.read_text(encoding="utf-8"))
    assert set(found) <= HOSTS


def test_runtime_dependencies_agree():
    common = parse(ROOT / "requirements" / "requirements-common.txt")[0]
    assert {key(r) for r in runtime() if r.name != "torch"} == {key(r) for r in common}


@pytest.mark.parametrize("path", TORCH_FILES, ids=lambda path: path.name)
def test_torch_files_pin_a_torch_of_their_build(path):
    requirements, options = parse(path)
    torch = next(r for r in requirements if r.name == "torch")
    (pin,) = torch.specifier
    allowed = next(r for r in runtime() if r.name == "torch").specifier
    assert pin.operator == "=="
    assert allowed.contains(pin.version)
    assert names(runtime()) <= names(closure(path))

    build = path.stem.removeprefix("requirements-")
    indices = [option for option in options if "index" in option]
    if build == "cpu":
        assert "+" not in pin.version
        assert not indices  # pip retries an unreachable index for minutes
    else:
        label = build.replace("cuda", "cu")
        assert pin.version.endswith(f"+{label}")
        assert indices == [f"--extra-index-url https://download.pytorch.org/whl/{label}"]
        assert "triton" in names(requirements)


def test_development_requirements_agree():
    extra = [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]]
    assert {key(r) for r in extra} == {key(r) for r in parse(ROOT / "requirements" / "requirements-dev.txt")[0]}


def test_ranges_of_one_package_are_the_same_everywhere():
    everything = [r for path in FILES for r in parse(path)[0] if not r.url] + runtime() + optional()
    ranges = {}
    for r in everything:
        if r.name != "torch":
            ranges.setdefault((canonicalize_name(r.name), str(r.marker)), set()).add(str(r.specifier))
    assert {name: found for name, found in ranges.items() if len(found) > 1} == {}


def test_conda_environment_agrees():
    name, conda, pip = conda_environment()
    assert name == "neural-splines"
    python = {"python_version": "3.12", "python_full_version": "3.12.0"}
    needed = [r for r in runtime() + optional() if r.marker is None or r.marker.evaluate(python)]
    wanted = {canonicalize_name(r.name): str(r.specifier) for r in needed}
    found = {canonicalize_name(r.name): str(r.specifier) for r in [*map(Requirement, conda), *pip]}
    found["torch"] = found.pop("pytorch")
    found.pop("pip")
    assert {package: wanted.get(package) for package in found} == found
    assert names(r for r in runtime() if r.marker is None or r.marker.evaluate(python)) <= set(found)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "neural_splines").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_imports_of_the_package_are_declared(path):
    falkon = parse(ROOT / "requirements" / "requirements-falkon.txt")[0]
    assert distributions(imported(path)) <= names(runtime() + optional() + falkon)


def test_imports_of_scripts_and_tests_are_installed_by_their_command():
    declared = names(here(closure(ROOT / "requirements" / "requirements-dev.txt"))) | {
        "packaging",
        "tomli",
        "bpy",
        "bpy-extras",
        "addon-utils",
    }  # the first two by pytest; the others come with Blender
    falkon = names(parse(ROOT / "requirements" / "requirements-falkon.txt")[0])
    bench = names(parse(ROOT / "requirements" / "requirements-bench.txt")[0])
    for folder in (ROOT, ROOT / "tests", ROOT / "examples", ROOT / "benchmarks"):
        for path in folder.rglob("*.py") if folder == ROOT / "tests" else folder.glob("*.py"):
            assert distributions(imported(path)) <= declared | falkon | bench, path.name


def test_every_package_folder_is_installed():
    """setuptools finds packages by their __init__.py."""
    folders = {path.parent for path in (ROOT / "neural_splines").rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert settings["packages"]["find"] == {"include": ["neural_splines*"]}
    data = ["py.typed", *(f"pictures/{name}" for name in ("viewer/*", "tiles.html", "THIRD_PARTY.txt"))]
    assert settings["package-data"] == {"neural_splines": data}
    assert PROJECT["license-files"] == ["LICENSE", "neural_splines/pictures/THIRD_PARTY.txt"]


def test_example_lies_on_the_surface_that_its_script_defines():
    spec = importlib.util.spec_from_file_location("make_example", ROOT / "examples" / "make_example.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    header, body = (ROOT / "examples" / "knot.ply").read_bytes().split(b"end_header\n", 1)
    count = int(re.search(rb"element vertex (\d+)", header).group(1))
    points, normals = np.split(np.frombuffer(body, "<f4").reshape(count, 6).astype(float), 2, axis=1)
    value, gradient = script.field(points)
    diagonal = np.linalg.norm(np.ptp(points, axis=0))
    assert 25_000 <= count <= 35_000
    # float32 coordinates of size 2: 1.2e-7 at most, and |grad F| <= 1.4
    assert np.abs(value).max() < 2e-7
    assert np.abs(value).max() / diagonal < 1e-7
    assert np.abs(np.linalg.norm(normals, axis=1) - 1).max() < 1e-6
    # the gradient turns by up to 1 / (the smallest radius of curvature, 0.02) for each unit that a point moves
    assert np.abs(normals - gradient / np.linalg.norm(gradient, axis=1, keepdims=True)).max() < 1e-5


@pytest.mark.processes
def test_doctor_survives_broken_packages(tmp_path):
    """A package that raises, one that ends the process and a metadata folder without content: one line each."""
    (tmp_path / "pykeops").mkdir()
    (tmp_path / "pykeops" / "__init__.py").write_text("raise RuntimeError('broken on purpose\\nin two lines')")
    (tmp_path / "falkon").mkdir()
    (tmp_path / "falkon" / "__init__.py").write_text("import os; os._exit(70)")
    (tmp_path / "scipy-0.dist-info").mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "neural_splines", "doctor", "--keops"]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    lines = {line.split()[0]: line for line in answer.stdout.splitlines() if line.startswith("  ")}
    assert answer.returncode == 0
    assert answer.stderr == ""
    assert "broken on purpose" in lines["keops"]
    assert "ended with 70" in lines["falkon"]
    assert "works" in lines["torch"]
    assert "works" in lines["numba"]


def test_doctor_into_a_closed_pipe_is_silent():
    """python -m neural_splines doctor | head -1"""
    command = [sys.executable, "-m", "neural_splines", "doctor"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "versions\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_the_conda_recipe_agrees():
    text = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "(.*)"', (ROOT / "neural_splines" / "__init__.py").read_text())[1]
    assert f'version: "{version}"' in text
    lines = re.findall(r"^    - (\S+ [<>=]\S+)$", text[text.index("  run:") :], re.MULTILINE)
    found = {canonicalize_name(r.name): str(r.specifier) for r in map(Requirement, lines)}
    found["torch"] = found.pop("pytorch")
    assert found.pop("python") == PROJECT["requires-python"]
    wanted = {canonicalize_name(r.name): str(r.specifier) for r in runtime()}
    wanted.pop("point-cloud-utils")
    assert found == wanted


def test_the_package_that_a_message_asks_for_is_on_the_index():
    """What follows `pip install` in a message are distributions that are declared, never this package with an extra."""
    declared = (
        names(runtime() + optional()) | {"lazrs"} | names(closure(ROOT / "requirements" / "requirements-cpu.txt"))
    )
    assert "laspy[lazrs]" in " ".join(map(str, optional()))  # the extra that is the package lazrs
    found = {}
    for path in (ROOT / "neural_splines").rglob("*.py"):
        for line in re.findall(r"pip install ([^\"'`;{]+)", path.read_text(encoding="utf-8")):
            found[path.name] = {canonicalize_name(word) for word in line.split() if not word.startswith(("-r", "requ"))}
    assert {"decode_las.py", "decode_e57.py", "rasters.py", "printing.py", "charts.py"} <= set(found)
    assert {name: words - declared for name, words in found.items() if words - declared} == {}
    assert not [
        path for path in (ROOT / "neural_splines").rglob("*.py") if "install 'neural-splines[" in path.read_text()
    ]
