"""The exit codes of the commands: which error has which, and what each means to who calls a command from a script."""

from __future__ import annotations

import errno

from ..errors import DiskFullError, NeuralSplinesError, OutOfMemoryBudgetError, said

DONE, BUG, REFUSED, WARNED, NO_ROOM, SOME_FAILED = range(6)
MEANINGS = {
    DONE: ("done", "use the output"),
    BUG: ("a bug, with a traceback", "report it"),
    REFUSED: (
        "the arguments or an input cannot be used here: they are wrong, need more memory than there is by an estimate "
        "before the work, or a package or a device is missing; nothing was written",
        "correct what the line names; the same command fails again",
    ),
    WARNED: ("done, with a warning under `--strict`; the outputs were written", "look at the warnings"),
    NO_ROOM: (
        "memory or disk ran out in the work",
        "make room, or use a smaller size or a larger machine; with `--work-dir` repeat the command, which continues",
    ),
    SOME_FAILED: (
        "some of many inputs failed (`--out-dir`), the others were written",
        "look at the lines at the end, or at `error` and `exit_code` in the report",
    ),
    130: ("interrupted by Ctrl-C", "repeat the command"),
    143: ("stopped by SIGTERM", "repeat the command"),
}
NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "cannot allocate memory",
    "failed to map segment",  # of a library that does not fit into ulimit -v
    "bad_alloc",
    "alloc_failed",
)
FULL = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM}


def code_of(error: BaseException) -> int:
    """The exit code of a run that ended with this error."""
    if isinstance(error, OutOfMemoryBudgetError):
        return REFUSED
    if isinstance(error, (DiskFullError, MemoryError)):
        return NO_ROOM
    if isinstance(error, (ImportError, OSError)):
        return NO_ROOM if getattr(error, "errno", None) in FULL or lacks_memory(error) else REFUSED
    if isinstance(error, NeuralSplinesError):
        return REFUSED
    return NO_ROOM if isinstance(error, RuntimeError) and lacks_memory(error) else BUG


def lacks_memory(error: BaseException) -> bool:
    """Whether the message of an allocator or a loader says that memory was not enough."""
    return any(words in said(error).split("\n")[0].lower() for words in NO_MEMORY)


def of_many(codes: list[int], inputs: int) -> int:
    """Of a command whose inputs failed with these codes: a bug is said first, then whether others were written."""
    return min(codes) if BUG in codes or len(codes) == inputs else SOME_FAILED
