"""Writing: a file is whole or not there, whatever happens meanwhile, and what cannot be written is known before."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path

import pytest
import torch

from neural_splines.errors import OutputError
from neural_splines.files import arrays, atomic


@pytest.mark.parametrize(
    "interruption", [KeyboardInterrupt, SystemExit, MemoryError, OSError(errno.ENOSPC, "No space")]
)
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, interruption):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(OutputError if isinstance(interruption, OSError) else interruption):  # noqa: PT012
        with atomic.atomic(path) as (stream,):
            stream.write(b"new" * 10**6)
            assert path.read_bytes() == b"old"
            raise interruption
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.bin"]


def test_a_grid_interrupted_between_its_files_leaves_neither(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "_json", lambda _: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        arrays.save_grid(tmp_path / "g.npy", torch.zeros(9), tmp_path / "g.json", {})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("failing", ["g.npy", "g.json"])
def test_a_grid_of_which_one_file_cannot_be_renamed_is_not_there(failing, tmp_path, monkeypatch):
    replace = os.replace

    def failing_replace(source, target):
        if os.path.basename(target) == failing:
            raise OSError(errno.EPERM, "Operation not permitted")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing_replace)
    with pytest.raises(OutputError, match="not permitted"):
        arrays.save_grid(tmp_path / "g.npy", torch.zeros(9), tmp_path / "g.json", {})
    assert os.listdir(tmp_path) == []


def test_no_file_of_a_grid_appears_before_both_are_written(tmp_path):
    with atomic.atomic(tmp_path / "g.npy", tmp_path / "g.json") as streams:
        for stream in streams:
            stream.write(b"new")
        assert not {"g.npy", "g.json"} & set(os.listdir(tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"g.npy": b"new", "g.json": b"new"}


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_is_replaced_as_a_whole_or_not_at_all(there, tmp_path, monkeypatch):
    """Left early, with a name that cannot be given, and at last; nothing else remains beside it."""
    folder, rename = tmp_path / "f", os.rename
    if there:
        folder.mkdir()
        (folder / "old").write_text("old")

    def look(expected):
        assert os.listdir(tmp_path) == (["f"] if expected else [])
        assert expected is None or os.listdir(folder) == [expected]

    def write():
        with atomic.atomic_folder(str(folder)) as inside:
            os.mkdir(os.path.join(inside, "new"))
            assert os.listdir(inside) == ["new"]
            yield

    with pytest.raises(KeyboardInterrupt), contextlib.contextmanager(write)():
        raise KeyboardInterrupt
    look("old" if there else None)

    def failing(source, target):
        if target == str(folder) and "old" not in os.path.basename(source):
            raise OSError(errno.EPERM, "Operation not permitted")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OutputError, match="not permitted"), contextlib.contextmanager(write)():
        pass
    look("old" if there else None)
    monkeypatch.setattr(os, "rename", rename)
    with contextlib.contextmanager(write)():
        pass
    look("new")


def test_links_are_followed_and_devices_written_to(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "real" / "file.json")
    arrays.save_json(tmp_path / "link.json", [1])
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real" / "file.json").read_text()) == [1]
    arrays.save_json(os.devnull, [1])
    assert not os.path.isfile(os.devnull)
    if os.path.exists("/dev/full"):
        with pytest.raises(OutputError, match="No space left"):
            arrays.save_json("/dev/full", [1])


def test_new_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    arrays.save_json(tmp_path / "ours", 1)
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["no/such/folder/a.ply", "", "folder", "folder/", "file/a.ply", "x" * 300, "a\0b"])
def test_what_cannot_be_written_is_known_before(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    path = os.path.join(tmp_path, name)
    for act in (atomic.check_writable, lambda p: arrays.save_json(p, 1)):
        with pytest.raises(OutputError) as caught:
            act(path)
        assert str(caught.value).isprintable()
    assert sorted(p.name for p in Path(tmp_path).rglob("*")) == ["file", "folder"]


def test_what_can_be_written_passes_and_is_not_touched(tmp_path, monkeypatch):
    (tmp_path / "old").write_bytes(b"old")
    monkeypatch.chdir(tmp_path)
    for path in ("new.ply", "old", tmp_path / "new.ply", os.devnull):
        atomic.check_writable(path)
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_missing_permission_is_known_before(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="no permission"):
        atomic.check_writable(tmp_path / "new.ply")
