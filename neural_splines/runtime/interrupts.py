"""Ctrl-C and SIGTERM: a run ends at once, whatever it is computing, and leaves only complete files.

Python runs signal handlers in the main thread between bytecodes, so not during a long call of C code.
Signals are therefore dealt with by a thread of its own, which Python's C handler wakes through a file
descriptor. It removes the files that are being written and ends the process. The lock keeps files from
being made or renamed meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

from . import streams

SIGNALS = (signal.SIGINT, signal.SIGTERM)

undivided = threading.RLock()  # held for a few system calls that an interrupt waits for
if hasattr(os, "register_at_fork"):  # whoever holds it does not follow into a child
    os.register_at_fork(before=undivided.acquire, after_in_parent=undivided.release, after_in_child=undivided.release)
_unfinished: set[str] = set()
_complete: list[str] = []  # since the first of the installations that are there now
_installed = 0


@contextlib.contextmanager
def temporary(path: str) -> Iterator[None]:
    """A block that makes the file or folder at `path` and renames it: at its end, or an interrupt, there is none."""
    with undivided:
        _unfinished.add(path)
    try:
        yield
    finally:
        with undivided:
            _unfinished.discard(path)
            with contextlib.suppress(FileNotFoundError):  # it has its new name
                _remove(path)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        import shutil

        shutil.rmtree(path)
    else:
        os.unlink(path)


def completed(path: str) -> None:
    """Note that the file at `path` is whole, for the message of an interrupt, if there can be one."""
    if _installed:
        _complete.append(path)


@contextlib.contextmanager
def interruptible(prog: str) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM end the process as `install` says."""
    undo = install(prog)
    try:
        yield
    finally:
        undo()


def install(prog: str) -> Callable[[], None]:
    """From now on SIGINT and SIGTERM end the process with one line and exit code 130 or 143, until what is returned
    is called.

    Only in the main thread, where Python allows it, and not for signals that the caller ignores (nohup). The line needs
    a standard error: streams that are closed are opened.
    """
    streams.ensure()
    caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread() or not caught:
        return lambda: None
    global _installed
    _installed += 1
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    thread = threading.Thread(target=_wait, args=(receiver, prog), name="interrupts", daemon=True)
    thread.start()
    wake = sender.detach()  # open until `undo`, whoever holds that
    before = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in caught}

    def undo() -> None:
        global _installed
        _installed -= 1
        if not _installed:
            _complete.clear()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        socket.close(wake)  # ends the thread
        thread.join()
        receiver.close()

    return undo


def _wait(receiver: socket.socket, prog: str) -> None:
    while byte := receiver.recv(1):
        if byte[0] in SIGNALS:
            _end(prog, byte[0])


def _end(prog: str, number: int) -> None:
    """Remove what is incomplete, say what is not, and end the process, with `number` as a shell expects it."""
    undivided.acquire()  # and never release it: the main thread goes on until the process ends
    for path in _unfinished:
        with contextlib.suppress(OSError):
            _remove(path)
    kept = f"complete: {', '.join(_complete)}" if _complete else "nothing written"
    start = "\n" if sys.stderr.isatty() else ""  # below a progress bar
    with contextlib.suppress(OSError):
        os.write(2, f"{start}{prog}: interrupted; {kept}\n".encode())
    os._exit(128 + number)
