"""What every reader shares: the bytes of a file, and errors that name it."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator

from ..errors import CloudError
from . import ply
from .atomic import STANDARD, PathLike, shown

COORDINATES = ("x", "y", "z")


@contextlib.contextmanager
def errors_name(path: PathLike) -> Iterator[None]:
    """Every failure to read becomes one CloudError that begins with the path."""
    try:
        yield
    except CloudError as error:
        raise CloudError(f"{shown(path)}: {error}") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise CloudError(f"{shown(path)}: cannot be read ({reason}); check the path and its permissions") from None
    except MemoryError:
        raise CloudError(f"{shown(path)}: does not fit into memory; thin it out first") from None


def read_bytes(path: PathLike) -> bytes:
    """All bytes of a regular file that is not empty, or of standard input."""
    if path == STANDARD:
        data = sys.stdin.buffer.read()
        if not data:
            raise CloudError("standard input is empty; pipe a cloud into it")
        return data
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise CloudError("is a directory; give a file in it")
    if not stat.S_ISREG(mode):
        raise CloudError("is not a regular file; save the data to one first")
    with open(path, "rb") as stream:
        data = stream.read()
    if not data:
        raise CloudError("the file is empty; export it again")
    return data.removeprefix(b"\xef\xbb\xbf")  # a byte order mark that editors put before text


def require(element: ply.Element, names: tuple[str, ...]) -> None:
    for name in names:
        found = element.find(name)
        if found is None:
            raise CloudError(f"element 'vertex' has no property {name!r}; export the file with x y z coordinates")
        if found.count_type is not None:
            raise CloudError(f"property {name!r} is a list where a number belongs; {ply.REPAIR}")
