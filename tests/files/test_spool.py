"""What takes long to decode is decoded once: later passes over a file read what the first one kept."""

import numpy as np
import pytest

from neural_splines.files import spool as spools
from neural_splines.files.spool import Spool


def columns(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(count)
    return [
        {
            "x": rng.random(rows),
            "class": rng.integers(9, size=rows).astype(">u2"),
            "rgb": rng.random((rows, 3), np.float32),
        }
        for rows in (count, 0, 1)
    ]


def tables(count: int) -> list[np.ndarray]:
    return [np.random.default_rng(rows).random((rows, 6)) for rows in (count, 1)]


def same(one, other) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return list(one) == list(other) and all(same(one[name], other[name]) for name in one)


class Decoder:
    def __init__(self, pieces):
        self.parts, self.calls = pieces, 0

    def __call__(self):
        self.calls += 1
        yield from self.parts


@pytest.mark.parametrize("made", [columns, tables])
def test_later_passes_have_the_same_pieces_and_decode_nothing(made, tmp_path):
    decoder, spool = Decoder(made(1000)), Spool(str(tmp_path))
    for _ in range(3):
        found = list(spool.pieces(decoder))
        assert len(found) == len(decoder.parts)
        assert all(same(one, other) for one, other in zip(found, decoder.parts, strict=True))
    assert decoder.calls == 1
    assert next(iter(spool.pieces(decoder))) is not decoder.parts[0]
    del spool
    assert not list(tmp_path.iterdir())


def test_a_pass_that_ends_early_keeps_nothing(tmp_path):
    decoder, spool = Decoder(columns(10)), Spool(str(tmp_path))
    assert same(next(spool.pieces(decoder)), decoder.parts[0])
    assert len(list(spool.pieces(decoder))) == 3
    assert len(list(spool.pieces(decoder))) == 3
    assert decoder.calls == 2


@pytest.mark.parametrize("trouble", ["no folder", "lost folder", "little room", "full disk"])
def test_without_room_every_pass_decodes(trouble, tmp_path, monkeypatch):
    if trouble == "little room":
        monkeypatch.setattr(spools.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    if trouble == "full disk":

        def refuse(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(spools, "_write", refuse)
    folder = {"no folder": None, "lost folder": str(tmp_path / "lost")}.get(trouble, str(tmp_path))
    decoder, spool = Decoder(columns(1000)), Spool(folder)
    for _ in range(2):
        assert all(same(one, other) for one, other in zip(spool.pieces(decoder), decoder.parts, strict=True))
    assert decoder.calls == 2
    assert not list(tmp_path.iterdir())
