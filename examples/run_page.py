"""Run the code blocks of a page of the manual, in this process: its commands are known, no shell is asked.

python examples/run_page.py docs/tutorial.md [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = {"fit.py": "fit", "fit-grid.py": "fit_grid", "trim-surface.py": "trim"}
Words = list[str]


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language, or nothing, and text of every fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[Words]:
    """The words of every command of a bash block, without the `python` before a script's name."""
    lines = block.replace("\\\n", " ").splitlines()
    parts = [shlex.split(part, comments=True) for line in lines for part in line.split("&&")]
    return [words[1:] if words[0] == "python" and words[1].endswith(".py") else words for words in parts if words]


def run_command(words: Words) -> None:
    """Run it; SystemExit with a code that is not 0 where it fails, LookupError where it is not known here."""
    name, *args = words
    if name in SCRIPTS:
        code = importlib.import_module(f"neural_splines.command_line.{SCRIPTS[name]}").main(args, name)
    elif name == "neural-splines" or words[:3] == ["python", "-m", "neural_splines"]:
        from neural_splines.command_line.main import main

        code = main(args if name == "neural-splines" else words[3:])
    elif name.startswith("examples/"):
        code = importlib.import_module(Path(name).stem).main(args)
    elif words[:2] == ["mkdir", "-p"]:
        code = [os.makedirs(folder, exist_ok=True) for folder in words[2:]].clear()
    else:
        raise LookupError(f"not a command that this script knows: {shlex.join(words)}")
    if code:
        raise SystemExit(code)


def run_page(
    page: Path,
    folder: Path,
    edit: Callable[[Words], Words | None] = lambda words: words,
    languages: Collection[str] = ("bash", "python"),
) -> None:
    """Run every block of these languages, in order, in a folder; edit(words) changes a command, or leaves it out."""
    names = {"__name__": "page"}
    with working_in(folder):
        for language, block in blocks(page):
            if language in languages and language == "bash":
                for words in filter(None, map(edit, commands(block))):
                    run_command(words)
            elif language in languages and language == "python":
                exec(compile(block, page.name, "exec"), names)


@contextlib.contextmanager
def working_in(folder: Path | str) -> Iterator[None]:
    """In that folder; contextlib.chdir of Python 3.11."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "examples")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("."), help="where its files are and come to lie")
    arguments = parser.parse_args()
    run_page(arguments.page.resolve(), arguments.folder)
