"""Decoders that behave as native code does with broken files; `test_guard.py` runs each in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from neural_splines.files import isolation


def aborts(path: str, wanted: list[str]) -> Iterator[isolation.Columns]:
    yield {"x": np.arange(5.0)}
    os.abort()


def loops(path: str, wanted: list[str]) -> Iterator[isolation.Columns]:
    isolation.SECONDS = 0
    isolation.confine(path)
    while True:
        pass
    yield {}


def grows(path: str, wanted: list[str]) -> Iterator[isolation.Columns]:
    isolation.confine(path)
    yield {"x": np.zeros(1 << 32)}


def panics(path: str, wanted: list[str]) -> Iterator[isolation.Columns]:
    raise BaseException("panicked\nat line 1")
    yield {}


def prints(path: str, wanted: list[str]) -> Iterator[isolation.Columns]:
    os.write(1, b"hello\n")
    yield {"x": np.arange(5.0)}


# the line that is said of each; none where it gives its columns all the same
DECODERS = {
    "aborts": (aborts, "is broken, what decodes it ended with SIGABRT; export it again"),
    "loops": (loops, "takes more time than any whole file of its size; export it again"),
    "grows": (grows, "takes more memory than any whole file of its size; export it again"),
    "panics": (panics, r"is not read as ODD \(panicked\); export it again"),
    "prints": (prints, ""),
}


def main(name: str) -> None:
    isolation.serve("ODD", DECODERS[name][0])
