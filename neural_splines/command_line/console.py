"""What a user sees beside results: progress, warnings, errors, and the exit codes of the commands.

0: done. 1: a bug. 2: refused or failed, with one line that says why. 3: done, but with warnings under
--strict. 130 and 143: interrupted by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

from ..errors import NeuralSplinesError, ReconstructionWarning, warn
from ..runtime import streams
from ..runtime.interrupts import interruptible
from ..runtime.monitor import PhaseTimer

NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "cannot allocate memory",
    "bad_alloc",
    "alloc_failed",
)


class ProgressBar:
    """A monitor that draws the current phase on standard error where that is a terminal; silent when piped."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stderr
        self.enabled = self.stream.isatty()
        self._name = ""
        self._bar: Any = None

    def phase(self, name: str) -> None:
        self._name = name
        if name:
            self.progress(0, None)
        else:
            self.close()

    def progress(self, done: float, total: float | None, note: str = "") -> None:
        if not self.enabled:
            return
        from tqdm import tqdm

        if self._bar is None or self._bar.desc != self._name + ": ":
            self.close()
            self._bar = tqdm(total=total, desc=self._name, file=self.stream, leave=False)
        self._bar.total = total
        self._bar.n = done
        self._bar.set_postfix_str(note, refresh=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextlib.contextmanager
def exit_policy(prog: str, verbose: bool, strict: bool = False) -> Iterator[PhaseTimer]:
    """Known errors become one line on standard error and exit code 2; warnings become one line each.

    With `strict`, a run that warned exits with code 3 after it has written its outputs. The block gets a monitor that
    times its phases and draws their progress.
    """
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format=f"{prog}: %(message)s", stream=sys.stderr, force=True
    )
    logging.getLogger("neural_splines").setLevel(logging.DEBUG if verbose else logging.NOTSET)
    logging.getLogger("numba").setLevel(logging.WARNING)
    logging.getLogger("neural_splines.cost").setLevel(logging.INFO)  # of what takes minutes
    if sys.stderr.isatty():  # who waits in front of a terminal wants to know for what
        logging.getLogger("neural_splines.compiling").setLevel(logging.INFO)
    shown = 0

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        nonlocal shown
        shown += 1
        _say(prog, f"warning: {message}")

    try:
        with interruptible(prog), warnings.catch_warnings():
            warnings.showwarning = show
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", ReconstructionWarning)
            yield PhaseTimer(ProgressBar())
    except NeuralSplinesError as error:
        sys.exit(_fail(prog, str(error)))
    except (ImportError, OSError) as error:  # a library that is missing or cannot be loaded, a system at its limits
        sys.exit(_fail(prog, f"{_of_the_system(error)}; {_remedy(error)}"))
    except (MemoryError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        if isinstance(error, RuntimeError) and not any(words in reason.lower() for words in NO_MEMORY):
            raise
        sys.exit(_fail(prog, f"{_without_location(reason)}; use fewer centres, a smaller grid or --dtype float32"))
    if strict and shown:
        _say(prog, f"{shown} warning{'s' if shown > 1 else ''} under --strict; the outputs were written")
        sys.exit(3)


def tell(text: str) -> None:
    """Print what a command found out, when its outputs are complete: that nobody can read it is no failure."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # piped into head
        streams.discard(1)
    except OSError as error:
        streams.discard(1)
        warn(f"standard output cannot be written ({error.strerror}); the outputs are complete, their summary is lost")


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


def _fail(prog: str, message: str) -> int:
    _say(prog, f"error: {message}")
    return 2


def _say(prog: str, message: str) -> None:
    say(f"{prog}: {message}")


def say(message: str) -> None:
    """One line on standard error, if anybody can be told."""
    try:
        sys.stderr.write(" ".join(message.split()) + "\n")
        sys.stderr.flush()
    except OSError:
        streams.discard(2)
