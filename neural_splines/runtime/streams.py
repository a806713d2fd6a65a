"""Standard streams that a caller closed."""

from __future__ import annotations

import os
import sys


def ensure() -> None:
    """Streams 0, 1 and 2 that the caller closed lead to the null device, as if redirected there.

    Else the next file that is opened gets their number, and what a library writes to them.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            if os.open(os.devnull, os.O_RDWR) != number:  # the lowest number that is free
                continue
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def flush() -> None:
    """Write what standard output holds back; if nobody takes it, forget it."""
    try:
        sys.stdout.flush()
    except OSError:  # piped into head, or its device is full
        discard(1)


def discard(number: int) -> None:
    """What is still to be written to a stream goes nowhere: its reader is gone, or its device is full."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
