"""Files that are complete under their own names or not there at all."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

from ..errors import DiskFullError, OutputError
from ..runtime import interrupts

STANDARD = "-"  # input or output
_pipes: dict[str, int] = {}  # open from the check until they are written: their readers would take a close for the end
logger = logging.getLogger(__name__)
PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def atomic(*paths: PathLike, result: bool = True, synced: bool = False) -> Iterator[list[BinaryIO]]:
    """Streams whose bytes appear at their paths when the block ends: at all or none, and never if it is left early.

    Links are followed, which is said; what is no regular file (a pipe, /dev/null, `-` for standard output) is written
    to directly. result: whether an interrupt later is to name them as complete. synced: whether they outlast a power
    cut as soon as the block has ended, and one within it leaves what was there.
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
                    streams.append(stack.enter_context(open(target, "wb", opener=_opened)))
                    continue
                if any(target == other for _, other, _ in moves):
                    raise OutputError(f"{shown(path)}: would be written twice; choose another name for one")
                if os.path.islink(path):
                    logger.warning("%s is a link: %s is written", shown(path), shown(target))
                temporary = os.path.join(os.path.dirname(target), f".neural-splines-{secrets.token_hex(8)}.tmp")
                stack.enter_context(interrupts.temporary(temporary))
                with interrupts.undivided:
                    streams.append(stack.enter_context(open(temporary, "xb")))
                moves.append((temporary, target, shown(path)))
            yield streams
            for stream in streams:
                if synced and os.path.isfile(stream.name):
                    stream.flush()
                    os.fsync(stream.fileno())
                stream.close()
            _move(moves, result)
            for folder in {os.path.dirname(target) for _, target, _ in moves} if synced else ():
                sync_folder(folder)
    except OSError as error:
        raise unwritable(path, error) from error


@contextlib.contextmanager
def atomic_folder(path: str) -> Iterator[str]:
    """A new folder that is at `path` when the block ends, in the place of one that was there, or not at all."""
    try:
        beside = os.path.join(os.path.dirname(os.path.abspath(path)), f".neural-splines-{secrets.token_hex(8)}")
        with interrupts.temporary(f"{beside}.tmp"), interrupts.temporary(f"{beside}.old.tmp"):
            with interrupts.undivided:
                os.mkdir(f"{beside}.tmp")
            yield f"{beside}.tmp"
            with interrupts.undivided:
                old = os.path.isdir(path)
                if old:
                    os.rename(path, f"{beside}.old.tmp")
                try:
                    os.rename(f"{beside}.tmp", path)
                except OSError:
                    if old:
                        os.rename(f"{beside}.old.tmp", path)
                    raise
                interrupts.completed(shown(path))
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


def sync(path: PathLike) -> None:
    """Wait until the bytes of a file are on its disk."""
    with open(path, "r+b") as stream:
        os.fsync(stream.fileno())


def sync_folder(path: PathLike) -> None:
    """Wait until the names in a folder are on its disk; Windows has no such call."""
    with contextlib.suppress(PermissionError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def save_bytes(path: PathLike, data: bytes) -> None:
    with atomic(path) as (stream,):
        stream.write(data)


def standard(path: str) -> str:
    """`-` for a path that is where standard output goes, as /dev/stdout; other paths, and devices, as they are."""
    with contextlib.suppress(OSError, ValueError):
        found = os.stat(path)
        if os.path.samestat(found, os.fstat(1)) and not stat.S_ISCHR(found.st_mode):
            return STANDARD
    return path


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
    if not replaced:
        _check_special(path, target)


def _check_special(path: PathLike, target: str) -> None:
    """Of what is neither file nor folder, pipes that somebody reads and devices such as /dev/null can be written to."""
    mode = os.stat(target).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        raise OutputError(f"{shown(path)}: is neither a file nor a pipe; give the name of a file")
    if stat.S_ISFIFO(mode) and target not in _pipes:
        try:
            _pipes[target] = _opened(target, os.O_WRONLY)
        except OSError as error:
            raise unwritable(path, error) from None


def _opened(target: str, flags: int) -> int:
    """A descriptor of a pipe or a device; OSError for a pipe that nobody reads, for which `open` would wait."""
    if target in _pipes:
        return _pipes.pop(target)
    at_once = getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(target, flags | at_once)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads this pipe") from None
        raise
    if at_once:
        os.set_blocking(descriptor, True)
    return descriptor


def _target(path: PathLike) -> str:
    """Where a path leads through links; OSError for what no file can be called."""
    path = os.fspath(path)
    if "\0" in path or not os.path.basename(path):
        raise OSError(errno.EINVAL, "not the name of a file")
    if _exists(path) and not os.path.isfile(path):
        return os.path.abspath(path)  # /dev/fd/63 leads to a pipe without a name
    return os.path.realpath(path)


def _exists(path: str) -> bool:
    """os.path.exists, but a name that is too long is an OSError."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.stat(path)
        return True
    return False


def unwritable(path: PathLike, error: OSError) -> OutputError:
    return kind_of(error)(f"{shown(path)}: cannot be written ({error.strerror or error}); choose another place")


def kind_of(error: OSError) -> type[OutputError]:
    """The class of error for what the system says of a write."""
    return DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else OutputError


def shown(path: PathLike) -> str:
    """The path in a message: as it is, unless that would not be one readable line."""
    path = os.fspath(path)
    return path if path.isprintable() and path else ascii(path)
