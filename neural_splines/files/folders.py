"""Folders that are made for outputs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from .atomic import kind_of, shown


@contextlib.contextmanager
def folder(path: str) -> Iterator[None]:
    """A block in which a folder is there, with those above it. Those that were made and are empty at its end go again.

    OutputError where it cannot be made.
    """
    made, above = [], os.path.abspath(path)
    while not os.path.exists(above):
        made.append(above)
        above = os.path.dirname(above)
    try:
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            reason = "is a file" if os.path.isfile(above) else error.strerror
            raise kind_of(error)(f"{shown(path)}: cannot be a folder ({reason}); choose another --out-dir") from None
        yield
    finally:
        for name in made:
            with contextlib.suppress(OSError):
                os.rmdir(name)
