"""Which files a run reads and which it writes: known before any work, so that no output replaces an input or another.

Files are told apart by what they are, not by how they are called: one has many names by links, by other spellings and,
where the file system makes no difference, in other cases.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import OutputError
from .atomic import STANDARD, check_writable, shown

Key = tuple[int | str, ...]  # device and number of what is there, and the names below it that are not there yet
THERE = 2  # entries of a key


@dataclass(frozen=True, eq=False)
class Target:
    """A file that is to be written, and what asks for it; or a folder, which is made where there is none."""

    path: str
    option: str
    folder: bool = False


def check(inputs: Iterable[str], targets: Iterable[Target]) -> None:
    """Refuse what cannot be written, what would overwrite an input, and what would be written twice."""
    targets = list(targets)
    if all(target.path != STANDARD for target in targets):
        targets.insert(0, Target(STANDARD, "standard output"))  # what is printed may go to a file as well
    sources = {key for path in inputs if len(key := _key(path, 0)) == THERE}
    written: dict[Key, Target] = {}
    for target in targets:
        if not target.folder:
            check_writable(target.path)
        for key in _keys(target.path):
            if key in sources:
                raise OutputError(
                    f"{shown(target.path)}: is the input, which {target.option} would overwrite; choose another name"
                )
            other = written.setdefault(key, target)
            if other is not target:
                raise OutputError(
                    f"{shown(target.path)}: would be written by {other.option} and by {target.option}; choose another "
                    "name for one of them"
                )


def _keys(path: str) -> Iterator[Key]:
    """Of a file, and of the folders that are made for it."""
    if key := _key(path, 1):
        yield key
        yield from (key[:end] for end in range(THERE + 1, len(key)))


def _key(path: str, standard: int) -> Key:
    """What all names of a file have in common; () for what many may share. standard: the stream that `-` stands for."""
    try:
        found = os.fstat(standard) if path == STANDARD else os.stat(path)
    except (OSError, ValueError):
        folder, name = os.path.split(os.path.realpath(path))
        above = _key(folder, standard) if name else ()
        return above and (*above, _compared(folder, name))
    shared = not stat.S_ISREG(found.st_mode) if path == STANDARD else stat.S_ISCHR(found.st_mode)
    return () if shared else (found.st_dev, found.st_ino)


def _compared(folder: str, name: str) -> str:
    """A name as its file system compares it: where the folder is found in another case, case makes no difference."""
    other = folder.swapcase()
    if other != folder and os.path.exists(other) and os.path.samefile(folder, other):
        return unicodedata.normalize("NFC", name).casefold()
    return name
