"""What a user sees beside results: progress, warnings and errors, and the exit code that goes with them (`codes`)."""

from __future__ import annotations

import contextlib
import errno
import logging
import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import NeuralSplinesError, ReconstructionWarning, said, warn
from ..files.atomic import STANDARD
from ..quantities import counted
from ..runtime import limits, streams
from ..runtime.interrupts import interruptible
from ..runtime.monitor import PhaseTimer
from ..runtime.progress import Progress
from .codes import NO_ROOM, WARNED, code_of


@contextlib.contextmanager
def exit_policy(
    prog: str, verbose: bool, strict: bool = False, quiet: bool = False, measured: bool = False
) -> Iterator[PhaseTimer]:
    """Known errors become one line on standard error and an exit code; warnings become one line each.

    With `strict`, a run that warned exits with code 3 after it has written its outputs. The block gets a monitor that
    times its phases, measures their memory where `measured`, and draws their progress unless `quiet`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(f"{prog}: %(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("neural_splines").setLevel(logging.DEBUG if verbose else logging.NOTSET)
    logging.getLogger("numba").setLevel(logging.WARNING)
    logging.getLogger("neural_splines.cost").setLevel(logging.INFO)  # of what takes minutes
    if sys.stderr.isatty():  # who waits in front of a terminal wants to know for what
        logging.getLogger("neural_splines.compiling").setLevel(logging.INFO)
    shown = 0

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        nonlocal shown
        shown += 1
        say(prog, f"warning: {said(message)}")

    try:
        with interruptible(prog), warnings.catch_warnings():
            warnings.showwarning = show
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", ReconstructionWarning)
            limits.check_libraries()
            with contextlib.closing(Progress(prefix=f"{prog}: ")) as progress:
                yield PhaseTimer(None if quiet else progress, measured=measured)
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        say(prog, f"error: {line}")
        sys.exit(code_of(error))
    if strict and shown:
        say(prog, f"{counted(shown, 'warning')} under --strict; the outputs were written")
        sys.exit(WARNED)


class _Lines(logging.Formatter):
    """Every record is one line that can be read."""

    def format(self, record: logging.LogRecord) -> str:
        return streams.printable(super().format(record))


def tell(lines: Iterable[str], out: str = "") -> None:
    """Print what a command found out, when its outputs are complete: that nobody can read it is no failure.

    On standard error where `out`, what was written, is standard output.
    """
    stream, number = (sys.stderr, 2) if out == STANDARD else (sys.stdout, 1)
    try:
        streams.write(stream, *lines)
    except BrokenPipeError:  # piped into head
        streams.discard(number)
    except OSError as error:
        streams.discard(number)
        warn(f"standard output cannot be written ({error.strerror}); the outputs are complete, their summary is lost")


def explained(error: Exception) -> str | None:
    """The line that says what went wrong and what to do; None for a bug."""
    if isinstance(error, NeuralSplinesError):
        return said(error)
    if isinstance(
        error, (ImportError, OSError)
    ):  # a library that is missing or cannot be loaded, a system at its limits
        return f"{_of_the_system(error)}; {_remedy(error)}"
    reason = str(error).strip().split("\n")[0]
    if code_of(error) == NO_ROOM:
        return f"{_without_location(reason)}; use fewer centres, a smaller grid or --dtype float32"
    return None


def _of_the_system(error: Exception) -> str:
    """What the system or a loader says, without Python's number of it."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def _remedy(error: Exception) -> str:
    """What to do about an error of the system; about one of a library, look at the installation."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return "make room there, or set TMPDIR, NUMBA_CACHE_DIR and TRITON_CACHE_DIR to another folder"
    if number in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM):
        return "close other programs, or raise the limits that ulimit -a shows"
    return "check the installation with python -m neural_splines doctor"


def _without_location(reason: str) -> str:
    """An allocator's message without the C++ source line that it begins with."""
    for words in ("CUDA out of memory", "DefaultCPUAllocator: ", "Unable to allocate"):
        if words in reason:
            reason = reason[reason.index(words) :].removeprefix("DefaultCPUAllocator: ")
    return reason if "memory" in reason else f"out of memory: {reason or 'no allocation is possible'}"


def say(prog: str, message: str) -> None:
    """One line on standard error, if anybody can be told."""
    try:
        streams.write(sys.stderr, f"{prog}: {message}")
    except OSError:
        streams.discard(2)
