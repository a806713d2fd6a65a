"""Files that are complete under their own names or not there at all."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
from collections.abc import Iterator
from typing import BinaryIO

from ..errors import OutputError
from ..runtime import interrupts

STANDARD = "-"  # input or output
logger = logging.getLogger(__name__)
PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def atomic(*paths: PathLike, result: bool = True) -> Iterator[list[BinaryIO]]:
    """Streams whose bytes appear at their paths when the block ends: at all or none, and never if it is left early.

    Links are followed, which is said; what is no regular file (/dev/stdout, a pipe, `-` for standard output) is written
    to directly. result: whether an interrupt later is to name them as complete.
    """
    path = paths[0]
    try:
        with contextlib.ExitStack() as stack:
            streams: list[BinaryIO] = []
            moves: list[tuple[str, str, str]] = []
            for path in paths:
                if path == STANDARD:
                    streams.append(stack.enter_context(os.fdopen(os.dup(1), "wb")))
                    continue
                target = _target(path)
                if _exists(target) and not os.path.isfile(target):
                    streams.append(stack.enter_context(open(target, "wb")))
                    continue
                if os.path.islink(path):
                    logger.warning("%s is a link: %s is written", shown(path), shown(target))
                temporary = os.path.join(os.path.dirname(target), f".neural-splines-{secrets.token_hex(8)}.tmp")
                stack.enter_context(interrupts.temporary(temporary))
                with interrupts.undivided:
                    streams.append(stack.enter_context(open(temporary, "xb")))
                moves.append((temporary, target, shown(path)))
            yield streams
            for stream in streams:
                stream.close()
            _move(moves, result)
    except OSError as error:
        raise unwritable(path, error) from error


def _move(moves: list[tuple[str, str, str]], result: bool) -> None:
    """Rename temporaries to their targets, which an interrupt waits for; where one cannot be, there is none."""
    with interrupts.undivided:
        moved = []
        try:
            for temporary, target, _ in moves:
                os.replace(temporary, target)
                moved.append(target)
        except OSError:
            for target in moved:
                with contextlib.suppress(OSError):
                    os.unlink(target)
            raise
        for _, _, name in moves if result else ():
            interrupts.completed(name)


def save_bytes(path: PathLike, data: bytes) -> None:
    with atomic(path) as (stream,):
        stream.write(data)


def check_writable(path: PathLike) -> None:
    """Raise OutputError now if `path` could not be written later."""
    if path == STANDARD:
        return
    try:
        target = _target(path)
        folder, exists = os.path.dirname(target), _exists(target)
    except OSError as error:
        raise unwritable(path, error) from None
    if os.path.isdir(target):
        raise OutputError(f"{shown(path)}: is a directory; give the name of a file")
    if not os.path.isdir(folder):
        raise OutputError(f"{shown(path)}: there is no folder {shown(folder)}; create it first")
    replaced = not exists or os.path.isfile(target)
    if (exists and not os.access(target, os.W_OK)) or (replaced and not os.access(folder, os.W_OK | os.X_OK)):
        raise OutputError(f"{shown(path)}: no permission to write there; choose another place")


def _target(path: PathLike) -> str:
    """Where a path leads through links; OSError for what no file can be called."""
    path = os.fspath(path)
    if "\0" in path or not os.path.basename(path):
        raise OSError(errno.EINVAL, "not the name of a file")
    return os.path.realpath(path)


def _exists(path: str) -> bool:
    """os.path.exists, but a name that is too long is an OSError."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.stat(path)
        return True
    return False


def unwritable(path: PathLike, error: OSError) -> OutputError:
    return OutputError(f"{shown(path)}: cannot be written ({error.strerror or error}); choose another place")


def shown(path: PathLike) -> str:
    """The path in a message: as it is, unless that would not be one readable line."""
    path = os.fspath(path)
    return path if path.isprintable() and path else ascii(path)
