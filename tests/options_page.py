"""docs/options.md: every option of every command, from the parsers themselves.

PYTHONPATH=. python tests/options_page.py    writes the page anew
"""

from __future__ import annotations

import argparse
import importlib
import re
from unittest import mock

from scripts import ROOT

from neural_splines.command_line.codes import MEANINGS
from neural_splines.command_line.main import COMMANDS

PAGE = ROOT / "docs" / "options.md"
SCRIPTS = {"fit": "fit.py", "fit-grid": "fit-grid.py", "trim": "trim-surface.py"}
MESHING = ("reconstruct", "fit-grid", "fit")  # one set of options
ARGUMENTS, REST = "positional arguments", "options"  # argparse's names of its two groups
INTRODUCTION = """# Options of every command

`tests/options_page.py` makes this page from the programs; `COMMAND --help` prints the same.
A test fails when the page is old. [glossary.md](glossary.md) explains the words.
[parameters.md](parameters.md) shows what the most important options do.
`auto` means that the program chooses the value from the data.
"""
GUIDES = {
    "input": "[input.md](input.md) has the formats. LAS and LAZ files need `pip install laspy[lazrs]`, E57 files "
    "`pip install pye57`.",
    "normals": "[normals.md](normals.md) has more.",
    "cells": "[parameters.md](parameters.md) has pictures.",
    "output": "[input.md](input.md) has the formats, [printing.md](printing.md) the meshes for 3D printers. "
    "`--printable` needs `pip install manifold3d`, `--texture` needs `pip install xatlas`.",
    "terrain": "[tasks.md](tasks.md) has an example. These need `pip install rasterio pyproj`.",
    "computation": "[performance.md](performance.md) has times and memory. `neural-splines doctor` says what works.",
    "scenes": "[scale.md](scale.md) has more.",
}


class Caught(Exception):
    """A parser that was about to parse."""


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of a command, caught where it begins to parse."""
    module = importlib.import_module(f"neural_splines.command_line.{COMMANDS[command][0]}")
    prog = f"neural-splines {command}"

    def catch(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise Caught(self)

    with mock.patch.multiple(argparse.ArgumentParser, parse_args=catch, parse_intermixed_args=catch):
        try:
            module.parse_arguments([], prog) if hasattr(module, "parse_arguments") else module.main([], prog)
        except Caught as caught:
            return caught.args[0]
    raise LookupError(f"{command} does not parse arguments")


def name_of(action: argparse.Action) -> str:
    """`--out FILE`, or GRID_SIZE: as a user writes it."""
    names = ", ".join(action.option_strings)
    if action.nargs == 0:
        return names
    metavar = "|".join(map(str, action.choices)) if action.choices else action.metavar or action.dest.upper()
    if isinstance(metavar, tuple):
        shown = f"{metavar[0]} [{' '.join(metavar[1:])}]" if action.nargs == "+" else " ".join(metavar)
    else:
        shown = f"[{metavar}]" if action.nargs == "?" else f"{metavar} ..." if action.nargs == "+" else metavar
    shown = shown.replace("|", "\\|")
    return f"{names} {shown}".strip()


def row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """One line of a table: name, default, meaning."""
    text = (action.help or "") % {**vars(action), "prog": parser.prog}
    default = re.search(r" \(default: ((?:[^()]|\([^()]*\))*)\)", text)
    said = text.replace(default[0], "") if default else text
    said = re.sub(r"\(docs/(\w+\.md)\)", r"([\1](\1))", said).replace("|", "\\|")
    said = re.sub(r"(?<![\w`-])(--[a-z][a-z-]*)", r"`\1`", said)
    return f"| `{name_of(action)}` | {default[1] if default else ''} | {said} |"


def groups_of(parser: argparse.ArgumentParser) -> dict[str, list[argparse.Action]]:
    """Its arguments by the titles of their groups, without --help."""
    found = {
        str(group.title): [action for action in group._group_actions if action.dest != "help"]
        for group in parser._action_groups
    }
    return {title: actions for title, actions in found.items() if actions}


def table(parser: argparse.ArgumentParser, actions: list[argparse.Action]) -> list[str]:
    return ["", "| | default | meaning |", "|---|---|---|", *(row(parser, action) for action in actions)]


def words(actions: list[argparse.Action]) -> list[str]:
    return [f"`{action.option_strings[0]}`" for action in actions]


def meshing() -> list[str]:
    """What reconstruct, fit-grid and fit take; one table for each group of options."""
    parsers = {command: parser_of(command) for command in MESHING}
    named, cells, one = (groups_of(parsers[command]) for command in MESHING)
    known = {action.dest for actions in one.values() for action in actions}
    lines = ["", f"## {heading(MESHING[0])}", ""]
    lines += [
        "Three commands make meshes, with the same options. `reconstruct` needs only the points; the sizes are options "
        "that are `auto` where they are not given. `fit-grid` (`fit-grid.py`) takes the same sizes as arguments. `fit` "
        "(`fit.py`) fits one spline; it has no cells.",
        "",
        "```",
        *(usage(parsers[command], groups) for command, groups in zip(MESHING, (named, cells, one), strict=True)),
        "```",
    ]
    lines += ["", "### Arguments of fit-grid and fit", *table(parsers["fit-grid"], cells[ARGUMENTS])]
    count = next(action for action in one[ARGUMENTS] if action.dest == "num_nystrom_samples")
    lines += ["", f"In `fit`, `NUM_NYSTROM_SAMPLES` is the {count.help}."]
    lines += ["", "### Sizes of reconstruct", *table(parsers["reconstruct"], named["sizes"])]
    for title, actions in cells.items():
        if title == ARGUMENTS:
            continue
        missing = [action for action in actions if action.dest not in known]
        lines += ["", f"### {title.capitalize()}", "", guide(title)]
        if len(missing) == len(actions):
            lines[-1] += " `fit` has none of these."
        elif missing:
            lines[-1] += f" `fit` does not have {', '.join(words(missing))}."
        lines[-1] = lines[-1].strip()
        lines += table(parsers["fit-grid"], actions)
    return lines


def guide(title: str) -> str:
    return next((text for word, text in GUIDES.items() if title.startswith(word)), "")


def usage(parser: argparse.ArgumentParser, groups: dict[str, list[argparse.Action]]) -> str:
    return " ".join(["usage:", parser.prog, *map(name_of, groups.get(ARGUMENTS, [])), "[options]"])


def other(command: str) -> list[str]:
    """A command of its own."""
    parser = parser_of(command)
    groups = groups_of(parser)
    script = f" The script `{SCRIPTS[command]}` is the same." if command in SCRIPTS else ""
    told = (parser.description or "").strip()
    lines = ["", f"## {command}", "", f"{told}{'' if told.endswith('.') else '.'}{script}"]
    lines += ["", "```", usage(parser, groups), "```"]
    return lines + table(parser, [action for actions in groups.values() for action in actions])


def page() -> str:
    lines = [INTRODUCTION, "| command | what it does |", "|---|---|"]
    lines += [
        f"| [`neural-splines {name}`](#{heading(name).replace(', ', '-')}) | {what} |"
        for name, (_, what) in COMMANDS.items()
    ]
    lines += meshing()
    for command in COMMANDS:
        if command not in MESHING:
            lines += other(command)
    lines += exit_codes()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def exit_codes() -> list[str]:
    """What a script that calls a command learns from its exit code."""
    lines = ["", "## Exit codes", "", "| code | meaning | what to do |", "|---|---|---|"]
    lines += [f"| {code} | {meaning} | {remedy} |" for code, (meaning, remedy) in MEANINGS.items()]
    return [
        *lines,
        "",
        "An error is one line on standard error: the input, what is wrong, what to do. It leaves no partial output, "
        "and an older mesh stays as it was. Many inputs end with the code of the failure where every one failed, and "
        "with 1 where one met a bug. The report has `error` and `exit_code` for each input that failed, also for a "
        "single one. `--out-dir` is made where it is missing.",
    ]


def heading(command: str) -> str:
    """The heading of the section that has its options."""
    return ", ".join(MESHING) if command in MESHING else command


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
