"""A power cut at any step of a scene in parts, and bits that flip: the same command ends in the same bytes.

A cut is made by hand: `Disk` notes what is synced, and at the cut loses what is not, as a file system may: whole, in
part or not at all, each file by itself, and with it names that were not synced.
"""

import os
import random
from pathlib import Path

import pytest
from parts import SETTINGS, done, middle
from scripts import write_cloud
from shapes import sphere

from neural_splines.run import in_parts
from neural_splines.runtime.monitor import PhaseTimer

ANEW = ("support-", "samples-", "reach-", "lost-")  # made by every run: they depend on all blocks
KINDS = ("run.json", "run.copy.json", "partition.npz", "points.bin", "choice.npz", "points-0.npz", "cells-1.npz",
         "block-0.npz")  # fmt: skip


class PowerCut(BaseException):
    pass


class Disk:
    """What is safe of a folder, and a cut at the step number `cut` of those that sync or rename."""

    def __init__(self, work, cut=None):
        self.work, self.cut, self.steps = Path(work), cut, 0
        self.contents, self.names, self.found = {}, set(), {}
        self.fsync, self.replace = os.fsync, os.replace

    def install(self, monkeypatch):
        monkeypatch.setattr(os, "fsync", self._fsync)
        monkeypatch.setattr(os, "replace", self._replace)

    def _files(self):
        return [path for path in self.work.iterdir() if path.name != "lock"] if self.work.exists() else []

    def _step(self):
        if self.steps == self.cut:
            self.found = {path.name: (path.stat().st_ino, path.read_bytes()) for path in self._files()}
            raise PowerCut
        self.steps += 1

    def _fsync(self, descriptor):
        self._step()
        self.fsync(descriptor)
        number = os.fstat(descriptor).st_ino
        if number == self.work.stat().st_ino:
            self.names = {(path.name, path.stat().st_ino) for path in self._files()}
        for path in self._files():
            if path.stat().st_ino == number:
                self.contents[number] = path.read_bytes()

    def _replace(self, source, target):
        if Path(target).is_relative_to(self.work.parent):  # Numba's cache moves files too
            self._step()
        self.replace(source, target)

    def unsafe(self):
        """Files of which a part, or the name, is not safe."""
        return [
            path.name for path in self._files()
            if self.contents.get(path.stat().st_ino) != path.read_bytes()
            or (path.name, path.stat().st_ino) not in self.names
        ]  # fmt: skip

    def lose(self, draw):
        """Leave in the folder what a cut may leave."""
        for path in self._files():
            path.unlink()
        for name, (number, data) in sorted(self.found.items()):
            if (name, number) not in self.names and draw.random() < 0.3:
                continue
            if self.contents.get(number) != data:
                place = draw.randrange(len(data) + 1)
                zeros = bytes(len(data) - place)
                data = draw.choice(
                    [data, data[:place], data[:place] + zeros, bytes(len(data)), b"", zeros + data[-place:]]
                )
            (self.work / name).write_bytes(data)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(in_parts, "sizes", lambda asked, kind: (100, 12))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The cloud of a run in parts, its mesh, and how many steps it took to make sure of what it made."""
    folder = tmp_path_factory.mktemp("finished")
    path = write_cloud(folder / "cloud.ply", sphere(300))
    disk = Disk(folder / "work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_parts, "sizes", lambda asked, kind: (100, 12))
        disk.install(patch)
        done(path, folder)
    return path, (folder / "mesh.ply").read_bytes(), disk.steps


def survives_a_cut(finished, folder, monkeypatch, step, seed):
    path, mesh, _ = finished
    folder.mkdir()
    disk, draw = Disk(folder / "work", step), random.Random(f"{step} {seed}")
    with monkeypatch.context() as patch:
        disk.install(patch)
        with pytest.raises(PowerCut):
            done(path, folder)
    disk.lose(draw)
    assert not (folder / "mesh.ply").exists() or (folder / "mesh.ply").read_bytes() == mesh
    done(path, folder)
    assert (folder / "mesh.ply").read_bytes() == mesh


@pytest.mark.parametrize("share", [0.0, 0.08, 0.2, 0.4, 0.7, 0.9])
def test_a_power_cut_costs_time_and_nothing_else(share, finished, tmp_path, monkeypatch):
    survives_a_cut(finished, tmp_path / "run", monkeypatch, int(share * finished[2]), 0)


@pytest.mark.slow
def test_a_power_cut_at_every_step_costs_time_and_nothing_else(finished, tmp_path, monkeypatch):
    for step in range(finished[2]):
        for seed in range(2):
            survives_a_cut(finished, tmp_path / f"run-{step}-{seed}", monkeypatch, step, seed)


def test_what_a_later_stage_builds_on_is_safe(finished, tmp_path, monkeypatch):
    """At the begin of each stage and when the mesh gets its name; a result that stands for points, when it gets its."""
    disk, phase, marked = Disk(tmp_path / "work"), PhaseTimer.phase, []
    disk.install(monkeypatch)

    def entered(self, name):
        assert name in ("trim", "write", "") or not disk.unsafe(), name
        phase(self, name)

    def replaced(source, target):
        if target.endswith("partition.npz"):
            data = (disk.work / "points.bin").read_bytes()
            marked.append(disk.contents.get((disk.work / "points.bin").stat().st_ino) == data)
        if target.endswith("mesh.ply"):
            marked.append(os.stat(source).st_ino in synced)
        disk.replace(source, target)

    synced = set()

    def fsynced(descriptor):
        disk._fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(PhaseTimer, "phase", entered)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(os, "fsync", fsynced)
    done(finished[0], tmp_path)
    assert marked == [True, True]


def made_again(folder, victim, flip, path, mesh):
    """Run again with a bit flipped in a file: the mesh is the same, and no other file is touched."""
    work = folder / "work"
    data = (work / victim).read_bytes()
    (work / victim).write_bytes(flip(data))
    before = {name: (work / name).stat().st_mtime_ns for name in os.listdir(work)}
    results = [name for name in before if name.endswith(".npz")]
    (folder / "mesh.ply").unlink()
    resumed = done(path, folder).resumed
    assert (folder / "mesh.ply").read_bytes() == mesh
    assert (work / victim).read_bytes() == data or victim.endswith(".npz")
    changed = {name for name in before if (work / name).stat().st_mtime_ns != before[name]}
    alone = {"points.bin": {"points.bin", "partition.npz"}, "partition.npz": {"points.bin", "partition.npz"}}
    assert {name for name in changed if not name.startswith(ANEW)} <= alone.get(victim, {victim})
    return len(results) - resumed


@pytest.fixture(scope="module")
def kept(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_parts, "sizes", lambda asked, kind: (100, 12))
        done(finished[0], folder)
    return folder


@pytest.mark.parametrize("victim", KINDS)
def test_a_flipped_bit_is_found_and_its_part_alone_made_again(victim, finished, kept):
    path, mesh, _ = finished
    assert made_again(kept, victim, middle, path, mesh) == victim.endswith(".npz")


@pytest.mark.slow
def test_flipped_bits_anywhere_in_every_file_change_nothing(finished, kept):
    path, mesh, _ = finished
    draw = random.Random(0)

    def anywhere(data):
        data = bytearray(data)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        return bytes(data)

    files = sorted({*os.listdir(kept / "work")} - {"lock"})
    found = {
        name: [made_again(kept, name, flip, path, mesh) for flip in (middle, anywhere, anywhere)] for name in files
    }
    assert all(counts[0] == name.endswith(".npz") for name, counts in found.items())


def test_the_settings_of_a_damaged_folder_are_still_known(finished, kept):
    store = in_parts.WorkDirectory(str(kept / "work"))
    identity = store.known()
    assert identity["grid_size"] == SETTINGS.grid_size
    (kept / "work" / "run.json").write_bytes(bytes(100))
    assert store.known() == identity
