"""What every reader shares: the bytes of a file, and the one guard around all that reads."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from ..errors import CloudError, LargeCloudError, NeuralSplinesError, ReconstructionWarning, first_line, said
from . import ply
from .atomic import STANDARD, PathLike, shown

COORDINATES = ("x", "y", "z")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # editors put it before text
ROWS = 1 << 18  # of a piece of a file: as text, with what it is made into, 100 MB
LONGEST_REASON = 200  # characters of what a library says
Piece = TypeVar("Piece")


@contextlib.contextmanager
def errors_name(path: PathLike) -> Iterator[None]:
    """The guard: whatever is raised while a file is read becomes one CloudError that begins with its path.

    Libraries raise what they like for broken files. Errors that are not about a file, and interrupts, pass.
    """
    try:
        if "\0" in os.fspath(path):
            raise OSError("a NUL character in its name")
        yield
    except CloudError as error:
        raise type(error)(f"{shown(path)}: {printable(said(error))}") from None
    except (NeuralSplinesError, ReconstructionWarning):
        raise
    except MemoryError:
        raise LargeCloudError(f"{shown(path)}: does not fit into memory; thin it out first") from None
    except Exception as error:
        if isinstance(error, OSError) and (error.errno or "\0" in os.fspath(path)):
            reason = error.strerror or str(error)
            raise CloudError(f"{shown(path)}: cannot be read ({reason}); check the path and its permissions") from None
        raise CloudError(f"{shown(path)}: {unread(kind_of(path), error)}") from None


def unread(kind: str, error: BaseException) -> str:
    """The line about a file that a library does not read."""
    return f"is not read as {kind} ({printable(first_line(error))[:LONGEST_REASON]}); export it again"


def kind_of(path: PathLike) -> str:
    """The format that the name of a file says."""
    return printable(os.path.splitext(os.fspath(path))[1][1:].upper()) or "a cloud"


def printable(text: str) -> str:
    """The text with escapes for what no terminal should get, such as names that a file made up."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def guarded(path: PathLike, pieces: Callable[[], Generator[Piece, None, None]]) -> Callable[[], Iterator[Piece]]:
    """The same pieces, each read under the guard; what their receiver raises is not its business."""

    def read() -> Iterator[Piece]:
        with contextlib.closing(pieces()) as left:
            while True:
                with errors_name(path):
                    piece = next(left, None)
                if piece is None:
                    return
                yield piece

    return read


def read_bytes(path: PathLike) -> bytes:
    """All bytes of a regular file that is not empty, or of standard input."""
    if path == STANDARD:
        data = sys.stdin.buffer.read()
        if not data:
            raise CloudError("standard input is empty; pipe a cloud into it")
        return data
    return first_bytes(path, -1).removeprefix(BYTE_ORDER_MARK)


def first_bytes(path: PathLike, count: int) -> bytes:
    """So many bytes of a regular file that is not empty; all of them where count is -1."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise CloudError("is a directory; give a file in it")
    if not stat.S_ISREG(mode):
        raise CloudError("is not a regular file; save the data to one first")
    with open(path, "rb") as stream:
        data = stream.read(count)
    if not data:
        raise CloudError("the file is empty; export it again")
    return data


def require(element: ply.Element, names: tuple[str, ...]) -> None:
    for name in names:
        found = element.find(name)
        if found is None:
            raise CloudError(f"element 'vertex' has no property {name!r}; export the file with x y z coordinates")
        if found.count_type is not None:
            raise CloudError(f"property {name!r} is a list where a number belongs; {ply.REPAIR}")
