"""No import runs back up: rooms in layers, and no cycle among the modules."""

import ast
import re
from pathlib import Path

import pytest
from scripts import ROOT

PACKAGE = ROOT / "neural_splines"
# From the ground up. A module may import from its own room and from lower layers; rooms of one layer do not know
# each other.
LAYERS = [
    {"words", "quantities"},
    {"errors"},
    {"ranges"},
    {"runtime", "settings", "placement", "geometry", "components"},
    {"cloud"},
    {"files", "pictures"},
    {"kernels"},
    {"spline", "surface", "normals"},
    {"cells"},
    {"creases"},
    {"selection"},
    {"run"},
    {"api"},
    {"command_line"},
    {"__main__"},
]
FORBIDDEN = {("cells", "surface")}  # a partition knows nothing of lattices
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


NAMES = {name_of(path): path for path in MODULES}


def imports(path: Path) -> set[str]:
    """The modules of the package that one imports anywhere in it, but for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = [ast.Pass()]
    package = path.relative_to(PACKAGE).parent.parts
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)] + tuple(
                (node.module or "").split(".") if node.module else ()
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "neural_splines":
            base = tuple(node.module.split(".")[1:])
        else:
            continue
        for alias in node.names:
            whole = ".".join((*base, alias.name))
            found.add(whole if whole in NAMES else ".".join(base))
    return found & set(NAMES)


def layer(name: str) -> int:
    return next(i for i, rooms in enumerate(LAYERS) if name.split(".")[0] in rooms)


@pytest.mark.parametrize("name", NAMES)
def test_imports_point_downwards(name):
    room = name.split(".")[0]
    for other in imports(NAMES[name]):
        its = other.split(".")[0]
        assert its == room or layer(other) < layer(name), f"{name} imports {other}, which lies no lower"
        assert (room, its) not in FORBIDDEN, f"{name} imports {other}"


def test_no_modules_import_each_other_in_a_circle():
    graph = {name: imports(path) - {name} for name, path in NAMES.items()}
    while graph:
        leaves = {name for name, others in graph.items() if not others & graph.keys()}
        assert leaves, f"among these there is a circle: {sorted(graph)}"
        graph = {name: others for name, others in graph.items() if name not in leaves}


def test_every_room_has_its_layer():
    assert {name.split(".")[0] for name in NAMES} == set().union(*LAYERS)


def test_only_files_opens_files():
    """But for what the system tells about itself."""
    allowed = {"runtime.memory", "runtime.limits", "runtime.streams", "runtime.versions", "command_line.doctor"}
    for name, path in NAMES.items():
        calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        if not name.startswith("files") and name not in allowed:
            assert not calls & {"open", "np.load", "np.save", "np.savez", "os.open"}, f"{name} opens a file"


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("command_line")])
def test_only_commands_print_and_read_the_command_line(name):
    text = NAMES[name].read_text(encoding="utf-8")
    assert "argparse" not in text
    assert "print(" not in text


def test_the_readme_lists_every_room():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listing = readme[readme.index("## Map of the repository") :]
    for name in NAMES:
        room = name.split(".")[0]
        asked = f"{room}/ " if (PACKAGE / room).is_dir() else f"{room}.py"
        assert asked in listing or room.startswith("__"), name


def test_the_names_of_settings_are_those_of_the_registries():
    """A kernel, a backend or a solver that is added in its room can be asked for, and the other way round."""
    from neural_splines import settings
    from neural_splines.kernels import products
    from neural_splines.kernels.kernels import KERNELS
    from neural_splines.spline import solvers

    assert tuple(KERNELS) == settings.KERNELS
    assert ("auto", *products.BACKENDS) == settings.BACKENDS
    assert tuple(solvers.SOLVERS) == settings.SOLVERS


def test_the_type_checker_is_silenced_where_the_page_says_and_nowhere_else():
    """docs/architecture.md lists every exception with its reason."""
    for path in [*PACKAGE.rglob("*.py"), ROOT / "tests" / "contracts.py"]:
        assert "type: ignore" not in path.read_text(encoding="utf-8"), path
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for override in re.findall(
        r"\[\[tool.mypy.overrides\]\]\nmodule = \[(.*?)\]",
        (ROOT / "pyproject.toml").read_text(encoding="utf-8"),
        re.DOTALL,
    ):
        for module in re.findall(r'"([^"]+)"', override):
            name = module.removesuffix(".*").removeprefix("neural_splines.").replace(".", "/")
            assert f"`{name}" in page, f"{module} is silenced, and docs/architecture.md does not say why"
