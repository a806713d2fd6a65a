"""What the site has beside docs/*.md: pages made of files outside of docs/, links to them, and formulas.

Documents are written to be read in the repository. There README links to docs/method.md, and docs/method.md to
../neural_splines/cells/levels.py. On the site the first is a page, and the second gets one, with the code.
"""

from __future__ import annotations

import ast
import importlib.util
import logging
import posixpath
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
TURNED = ROOT / "build" / "gallery" / "knot.html"
SIZES = ("auto", "auto", "96", "auto", "--regularization", "1e-7")
GALLERY = """

## A mesh to turn

The shipped example, as `--html` writes it: drag to turn, scroll to zoom. It can do
[more](page.md). [The page alone](site/knot.html).

<iframe class="turned" src="../site/knot.html" title="The mesh of examples/knot.ply" loading="lazy"></iframe>
"""
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
LANGUAGES = {".py": "python", ".toml": "toml", ".yml": "yaml", ".yaml": "yaml", ".json": "json"}
LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")
NAMED = re.compile(r"\[(\w+)\.md\](?=\(\1\.md[)#])")  # a link whose text is the name of its file
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
logger = logging.getLogger("mkdocs.hooks.pages")
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(?=\S)([^$\n]+?)(?<=\S)\$", re.DOTALL)


def on_startup(*, command: str, dirty: bool) -> None:
    """Make the page of a mesh to turn, by the program itself, where it is installed beside MkDocs."""
    if importlib.util.find_spec("torch") is None:
        logger.info("without PyTorch in this environment the gallery has no mesh to turn")
        return
    TURNED.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "neural_splines", "fit-grid", "examples/knot.ply", *SIZES, "--quiet"]
        subprocess.run([*words, "--out", f"{folder}/knot.ply", "--html", str(TURNED)], cwd=ROOT, check=True)


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages that are no files of docs/."""
    texts = [(ROOT / "docs" / file.src_uri, folder_of(file.src_uri)) for file in files.documentation_pages()]
    for name, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / name)))
        texts.append((ROOT / name, ""))
    for target in sorted(
        {target for path, folder in texts for target in outside(path.read_text(encoding="utf-8"), folder)}
    ):
        files.append(File.generated(config, source_page(target), content=listing(target)))
    files.append(File.generated(config, "reference.md", content=reference()))
    if TURNED.exists():
        files.append(File.generated(config, "site/knot.html", abs_src_path=str(TURNED)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Links as the site has them, and formulas as MathML."""
    name = page.file.src_uri
    if name.startswith("source/"):
        return markdown
    if name == "gallery.md" and TURNED.exists():
        markdown += GALLERY
    titled = NAMED.sub(lambda link: f"[{title_of(link[1])}]", markdown)
    return with_formulas(LINK.sub(lambda link: moved(link, name), titled))


def folder_of(name: str) -> str:
    """The folder of a page of the site, as a path of the repository."""
    return "" if name in PAGES.values() else posixpath.normpath(posixpath.join("docs", posixpath.dirname(name)))


def title_of(name: str) -> str:
    """The heading of a page, for readers who see no files."""
    path = ROOT / "docs" / f"{name}.md"
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") if path.is_file() else f"{name}.md"


def outside(text: str, folder: str) -> set[str]:
    """Files outside of docs/ that a text of this folder links to, as paths of the repository."""
    targets = {resolved(target, folder) for _, target, _, _ in LINK.findall(text)}
    return {target for target in targets if target not in PAGES and is_outside(target)}


def resolved(target: str, folder: str) -> str:
    return target if ":" in target else posixpath.normpath(posixpath.join(folder, target))


def is_outside(path: str) -> bool:
    return ":" not in path and not path.startswith(("docs/", "..")) and (ROOT / path).is_file()


def moved(link: re.Match[str], name: str) -> str:
    """A link of this page, with its target where the site has it. What is nowhere stays, and MkDocs warns of it."""
    before, target, anchor, after = link.groups()
    path = resolved(target, folder_of(name))
    if path in PAGES:
        path = PAGES[path]
    elif is_outside(path):
        path = source_page(path)
    elif path.startswith("docs/"):
        path = path.removeprefix("docs/")
    else:
        return link.group()
    return f"{before}{posixpath.relpath(path, posixpath.dirname(name) or '.')}{anchor or ''}{after}"


def source_page(path: str) -> str:
    return f"source/{path}.md"


def listing(path: str) -> str:
    """A page with the text of a file."""
    text = (ROOT / path).read_text(encoding="utf-8")
    fence = "`" * (2 + max(map(len, re.findall("`+", text)), default=1))
    return f"# {path}\n\n{fence}{LANGUAGES.get(Path(path).suffix, 'text')}\n{text}\n{fence}\n"


def reference() -> str:
    """A page of every public name, from the docstrings: functions, what they give, settings, errors."""
    tree = ast.parse((ROOT / "neural_splines" / "__init__.py").read_text(encoding="utf-8"))
    (names,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["__all__"]
    ]
    groups: dict[str, list[str]] = {"Functions": [], "Settings": [], "Results and monitors": [], "Errors": []}
    for name in names:
        if name.islower():
            groups["Functions"].append(name)
        elif name.endswith(("Error", "Warning")):
            groups["Errors"].append(name)
        else:
            groups["Settings" if name.endswith("Settings") else "Results and monitors"].append(name)
    lines = [
        "# Python, every name",
        "",
        "Everything is in `neural_splines`. [Python, by example](api.md) shows it at work.",
    ]
    for title, members in groups.items():
        lines += ["", f"## {title}"]
        lines += [f"\n::: neural_splines.{name}" for name in members]
    return "\n".join(lines) + "\n"


def with_formulas(markdown: str) -> str:
    """The text with LaTeX between dollars, as GitHub reads it, turned to MathML; code stays as it is."""
    parts = CODE.split(markdown)
    return "".join(part if at % 2 else FORMULA.sub(mathml, part) for at, part in enumerate(parts))


def mathml(formula: re.Match[str]) -> str:
    block, inline = formula.groups()
    if block:
        return f'\n\n<div class="formula">{convert(block.strip(), display="block")}</div>\n\n'
    return f"<span>{convert(inline, display='inline')}</span>"  # a line that begins with <math> would be a block
