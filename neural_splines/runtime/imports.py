"""What a command imports at its start: thousands of modules, among which there is no garbage."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Import torch within the block: Python does not look for garbage meanwhile, nor ever again in what is there then.

    A sixth of the time of these imports is such a search. Nothing happens where torch was imported before: then it is
    the program that called who decides.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
