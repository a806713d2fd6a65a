"""Standard streams: some that a caller closed, some that nobody reads, and text that is fit for them."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TextIO


def ensure() -> None:
    """Streams 0, 1 and 2 that the caller closed lead to the null device, as if redirected there; none fails at the end.

    Else the next file that is opened gets their number, and what a library writes to them; and Python ends with exit
    code 120 where it cannot write what a library, or a log, left in a stream.
    """
    atexit.unregister(flush)
    atexit.register(flush)
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            if os.open(os.devnull, os.O_RDWR) != number:  # the lowest number that is free
                continue
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def flush() -> None:
    """Write what standard output and error hold back; if nobody takes it, forget it."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):  # piped into head, or its device is full; closed
            discard(number)


def discard(number: int) -> None:
    """What is still to be written to a stream goes nowhere: its reader is gone, or its device is full."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)


def write(stream: TextIO, *lines: str) -> None:
    """Lines that a terminal shows as they are meant, whatever names they hold."""
    stream.write("".join(f"{encodable(printable(line), stream)}\n" for line in lines))
    stream.flush()


def printable(text: str) -> str:
    """The text as one line without anything that a terminal would obey: names in files can be any characters."""
    indent = text[: len(text) - len(text.lstrip(" "))]
    line = indent + " ".join(part.strip() for part in text.splitlines())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def encodable(text: str, stream: TextIO) -> str:
    """The text with escapes in the place of what the encoding of a stream does not have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
