"""What a run writes is known before it begins: no output is an input or another output, whatever both are called."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import BinaryIO
from unittest import mock

import pytest
from run_page import working_in
from scripts import captured, run, write_cloud
from shapes import sphere

from neural_splines.command_line import jobs, outputs, show, steps
from neural_splines.errors import OutputError
from neural_splines.files import arrays, atomic, meshes, targets
from neural_splines.pictures.preview import preview

FIT = ["auto", "50", "8", "--seed", "0", "--device", "cpu"]
GRID = ["auto", "50", "8", "auto", "--seed", "0", "--device", "cpu"]
# Of each command: its module, the arguments that name no file, and a folder for its outputs if it is to have one.
COMMANDS = {
    "fit.py": ("fit", FIT, None),
    "fit.py --out-dir": ("fit", FIT, "folder"),
    "fit-grid.py": ("fit_grid", GRID, None),
    "trim-surface.py": ("trim", ["8", "1"], None),
    "normals": ("normals", [], None),
}
DERIVED = {"save_grid": (".grid.npy", ".grid.json"), "save_points": (".pts.npz",), "shift": (".offset.xyz",)}
VALUES = {"shift": ("auto",)}  # of these, what stands behind them
READ = ("envelope", "cameras", "breaklines")  # by an option
LINKS = ["same", "spelled", "absolute", "missing", "symbolic", "hard", "dangling"]
NAMED = LINKS[:4]  # both by the name of the first, whose file is missing in one case


class WorkBeganError(Exception):
    pass


@dataclass(frozen=True)
class Place:
    """A file that a command reads or writes: its usual name, and what asks for it, with the name where that is free."""

    name: str
    words: tuple[str, ...] = ()
    free: bool = True
    read: bool = False


def module_of(command: str) -> ModuleType:
    return importlib.import_module(f"neural_splines.command_line.{COMMANDS[command][0]}")


def parser_of(command: str) -> argparse.ArgumentParser:
    found: list[argparse.ArgumentParser] = []

    def catch(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        found.append(self)
        raise StopIteration

    with mock.patch.multiple(argparse.ArgumentParser, parse_args=catch, parse_intermixed_args=catch):
        with contextlib.suppress(StopIteration):
            module_of(command).parse_arguments([], "x")
    return found[0]


def places_of(command: str) -> list[Place]:
    """Of every argument that names a file, and of every flag that writes one beside the mesh."""
    folder = COMMANDS[command][2]
    mesh, found = f"{folder}/input_point_cloud.ply" if folder else "recon.ply", []
    for action in parser_of(command)._actions:
        words = (*action.option_strings[-1:], *VALUES.get(action.dest, ()))
        suffix = os.path.splitext(str(action.metavar))[1]
        if action.dest in DERIVED:
            found += [Place(f"{mesh}{end}", words, free=False) for end in DERIVED[action.dest]]
        elif action.dest in ("out", "out_dir"):
            if (action.dest == "out_dir") == bool(folder):
                found.append(Place(mesh, (*words, folder), free=False) if folder else Place(mesh, words))
        elif action.type is outputs.path and folder and suffix in (".png", ".html", ".tif", ".geojson"):
            found.append(Place(mesh.replace(".ply", suffix), (*words, f"{{}}{suffix}"), free=False))
        elif action.type is outputs.path:
            name = action.dest + (suffix or ("" if action.metavar == "DIR" else ".ply"))
            found.append(Place(name, words, read=not words or action.dest in READ))
    return found


def pairs_of(command: str) -> list[tuple[Place, Place]]:
    """All but those of fit-grid.py that fit.py has too."""
    pairs = [(a, b) for a, b in combinations(places_of(command), 2) if not (a.read and b.read)]
    known = places_of("fit.py") if command == "fit-grid.py" else []
    return [(a, b) for a, b in pairs if a not in known or b not in known]


def arranged(one: Place, other: Place, link: str) -> dict[Place, str] | None:
    """The paths of two places that are one file, which is made so; None where names that follow others forbid it."""
    if one.free and Path(other.name).suffix and link in NAMED:  # a folder can be called as a mesh
        one, other = other, one
    renamed = other.read and one.name.startswith(f"folder/{Path(other.name).name}.")  # with the input
    if link in NAMED and (renamed or not other.free):
        return None
    path = {"spelled": f"folder/../{one.name}", "absolute": os.path.abspath(one.name)}.get(link, one.name)
    if link not in NAMED:
        path = other.name
        os.unlink(path)
        (os.link if link == "hard" else os.symlink)(os.path.abspath(one.name), path)
    if link in ("missing", "dangling") and not (one.read or other.read):
        os.unlink(one.name)
    return {one: one.name, other: path}


def arguments(command: str, paths: dict[Place, str]) -> list[str]:
    read = [paths.get(place, place.name) for place in places_of(command) if not place.words]
    written = [[*place.words, *([path] if place.free else [])] for place, path in paths.items() if place.words]
    folder = COMMANDS[command][2]
    written += [["--out-dir", folder]] if folder and ["--out-dir", folder] not in written else []
    return [*read, *COMMANDS[command][1], *(word for words in written for word in words)]


def contents() -> dict[str, bytes | None]:
    return {f"{path}": path.read_bytes() if path.exists() else None for path in Path().rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_two_paths_of_a_command_are_one_file(tmp_path, command, link):
    """Of all pairs that the parsers know: exit code 2 and one line before the work, and every file is as it was."""
    cloud, problems = write_cloud(tmp_path / "cloud.ply", sphere(60)).read_bytes(), []
    for number, (one, other) in enumerate(pairs_of(command)):
        (tmp_path / f"{number}" / "folder").mkdir(parents=True)
        with working_in(str(tmp_path / f"{number}")):
            for name in {place.name for place in places_of(command) if place.read} | {one.name, other.name}:
                Path(name).write_bytes(cloud)
            paths = arranged(one, other, link)
            if paths is not None:
                before, words = contents(), arguments(command, paths)
                problem = problem_of(command, words)
                if problem or contents() != before:
                    problems.append(f"{' '.join(words)}: {problem or 'a file was touched'}")
    assert not problems, "\n".join(problems)


def problem_of(command: str, words: list[str]) -> str | None:
    try:
        with mock.patch.object(steps, "load_scanned_cloud", side_effect=WorkBeganError):
            outcome = captured(module_of(command).main, *words)
    except WorkBeganError:
        return "the work began"
    return None if outcome.code == 2 and outcome.err.count("\n") == 1 else f"{outcome.code} {outcome.err}"


def test_what_a_run_writes_is_what_it_declares(tmp_path):
    """So that no output is left out of the check above."""
    write_cloud(tmp_path / "cloud.ply", sphere(60))
    small = mock.patch.object(show, "preview", partial(preview, size=32))
    with working_in(str(tmp_path)), small, mock.patch.object(jobs, "check", wraps=jobs.check) as check:
        written = [
            word
            for place in places_of("fit.py")
            if not place.read
            for word in (*place.words, *([place.name] if place.free else []))
        ]
        outcome = run("fit.py", "cloud.ply", *FIT, *written)
        assert outcome.code == 0, outcome.err
        ((inputs, declared), _) = check.call_args
        assert inputs == ["cloud.ply"]
        assert {target.path for target in declared} == set(os.listdir()) - {"cloud.ply"}


def test_a_grid_and_its_meaning_are_two_files(tmp_path):
    with pytest.raises(OutputError, match="would be written twice"):
        arrays.save_grid(tmp_path / "a", [1.0], tmp_path / "folder" / ".." / "a", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ignored", [True, False])
def test_case_tells_files_apart_where_the_file_system_does(tmp_path, monkeypatch, ignored):
    exists, same = os.path.exists, os.path.samefile
    if ignored:
        monkeypatch.setattr(os.path, "exists", lambda path: exists(path) or exists(str(path).swapcase()))
        monkeypatch.setattr(os.path, "samefile", lambda a, b: a.casefold() == b.casefold() or same(a, b))
    two = [targets.Target(str(tmp_path / name), f"--{name}") for name in ("Mesh.ply", "mesh.PLY")]
    with pytest.raises(OutputError, match=r"by --Mesh\.ply and by") if ignored else contextlib.nullcontext():
        targets.check([], two)


def test_standard_output_is_a_target_too(tmp_path):
    """A file that the shell writes is neither an input nor another output; what leads to it is `-`."""
    write_cloud(tmp_path / "in.ply", sphere(60))
    with open(tmp_path / "in.ply", "ab") as stream, standing_for(1, stream):
        assert atomic.standard(str(tmp_path / "in.ply")) == atomic.STANDARD
        with pytest.raises(OutputError, match="standard output would overwrite"):
            targets.check([str(tmp_path / "in.ply")], [])
    with open(tmp_path / "out", "wb") as stream, standing_for(1, stream):
        with pytest.raises(OutputError, match="by standard output and by --report"):
            targets.check([], [targets.Target(str(tmp_path / "out"), "--report")])
        with pytest.raises(OutputError, match="by --out and by --report"):
            targets.check([], [targets.Target("-", "--out"), targets.Target(str(tmp_path / "out"), "--report")])
    with open(tmp_path / "in.ply", "rb") as stream, standing_for(0, stream):
        with pytest.raises(OutputError, match="is the input"):
            targets.check(["-"], [targets.Target(str(tmp_path / "in.ply"), "--out")])
    with open(os.devnull, "wb") as stream, standing_for(1, stream):
        targets.check([], [targets.Target(os.devnull, "--out"), targets.Target(os.devnull, "--report")])
        assert atomic.standard(os.devnull) == os.devnull


def test_what_is_written_to_standard_output_is_alone_there(tmp_path):
    """The summary goes to standard error, as that of the reconstruction did already."""
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(60))
    meshes.save_mesh(tmp_path / "mesh.ply", sphere(60).points, None, [[0, 1, 2]])
    for command, args in (("normals", [cloud, "-"]), ("trim-surface.py", [cloud, tmp_path / "mesh.ply", 8, 99])):
        with open(tmp_path / "out", "wb") as stream, standing_for(1, stream):
            words = args if command == "normals" else [*args, "--out", tmp_path / "out"]
            outcome = captured(module_of(command).main, *words)
        assert (outcome.code, outcome.out) == (0, ""), outcome.err
        assert "-> -" in outcome.err
        assert (tmp_path / "out").read_bytes().startswith(b"ply\n")


@contextlib.contextmanager
def standing_for(number: int, stream: BinaryIO) -> Iterator[None]:
    kept = os.dup(number)
    os.dup2(stream.fileno(), number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_written_to_if_somebody_reads_it(tmp_path):
    """And its reader, who takes a close for the end, sees none between the check and the bytes."""
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    for act in (atomic.check_writable, lambda path: atomic.save_bytes(path, b"abc")):
        with pytest.raises(OutputError, match="nobody reads this pipe"):
            act(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    while True:
        with contextlib.suppress(OutputError):  # the reader is not there yet
            atomic.check_writable(pipe)
            break
    atomic.check_writable(pipe)
    atomic.save_bytes(pipe, 100_000 * b"abc")
    reader.join()
    assert got == [100_000 * b"abc"]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no named sockets here")
def test_what_is_neither_a_file_nor_a_pipe_is_refused_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is at most 100 bytes
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        with pytest.raises(OutputError, match="neither a file nor a pipe"):
            atomic.check_writable("socket")


def test_every_argument_that_names_a_file_is_known():
    """By its type, which refuses what no file can be called, so that an empty variable of a shell is no silent None."""
    for command in COMMANDS:
        words = {str(action.metavar): action for action in parser_of(command)._actions}
        named = {word for word in words if word.startswith(("FILE", "DIR", "INPUT", "OUT", "MESH"))}
        assert named == {word for word, action in words.items() if action.type is outputs.path}
    outcome = run("fit.py", "cloud.ply", *FIT, "--report", "")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)


def test_a_folder_of_other_files_is_no_work_directory(tmp_path):
    """Not even a lock is left there."""
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(60))
    outcome = run("fit-grid.py", cloud, *GRID, "--work-dir", tmp_path, "--out", tmp_path / "mesh.ply")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "holds files of something else" in outcome.err
    assert os.listdir(tmp_path) == ["cloud.ply"]
