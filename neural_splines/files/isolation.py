"""Decoders of others in a process of their own: a broken file may end it, keep it busy or fill its memory.

They are not written in Python, and some of their failures no `except` catches: an abort where memory is refused, a loop
of their own. The process gets a path and gives back named columns through a pipe, a line of JSON and then raw numbers;
nothing that it sends is code. Where the system has limits, it gets the memory and the time that a file of its size can
need.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import spawn
from typing import IO

import numpy as np

from ..errors import CloudError, said
from .atomic import PathLike
from .column_statistics import Columns
from .reading import unread

Decoder = Callable[..., Iterator[Columns]]  # of a path, wanted names, and what else `decoded` was given
ROOM, ROOM_OF_A_BYTE = (
    384 << 20,
    64,
)  # of address space: a piece and what makes it; the largest scan that is read at once
SECONDS, SECONDS_OF_A_BYTE = 5, 1e-5  # of computing: 100 times what LAZ and E57 took
BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1])"
CODE = BOOT + "; from {} import main; main()"
# Address space is limited, and each thread and each of glibc's arenas takes some: no more of them than help.
THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "4", "MALLOC_ARENA_MAX": "4"}


def decoded(module: str, path: PathLike, wanted: Sequence[str] = (), *further: Sequence[float]) -> Iterator[Columns]:
    """The columns that the decoder of a module of this room gives, piece after piece. further: what else it takes."""
    child = start(module, json.dumps([os.fspath(path), list(wanted), *map(list, further)]))
    assert isinstance(child.stdout, io.BufferedReader)
    with child:
        try:
            while columns := _received(child, child.stdout):
                yield columns
        finally:
            child.kill()


def start(module: str, request: str) -> subprocess.Popen[bytes]:
    """The process that runs the main() of a module, which sends what `serve` says into its standard output."""
    code = CODE.format(f"{__package__}.{module}")
    return subprocess.Popen(
        # -I: no module of the folder that one happens to work in
        [os.fsdecode(spawn.get_executable()), "-I", "-c", code, json.dumps(sys.path), request],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # where libraries say how they end
        env={**os.environ, **THREADS},
    )


def _received(child: subprocess.Popen[bytes], pipe: io.BufferedReader) -> Columns:
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise _ended(child)
    message = json.loads(line)
    if isinstance(message, str):
        raise CloudError(message)
    columns = {name: np.empty(rows, code) for name, code, rows in message}
    for column in columns.values():
        if pipe.readinto(column.data) < column.nbytes:
            raise _ended(child)
    return columns


def _ended(child: subprocess.Popen[bytes]) -> CloudError:
    code = child.wait()
    if code == -getattr(signal, "SIGXCPU", 0):
        return CloudError("takes more time than any whole file of its size; export it again")
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return CloudError(f"is broken, what decodes it ended with {how}; export it again")


def serve(kind: str, decoder: Decoder) -> None:
    """In the process: send what the decoder gives, or the one line about what it raises."""
    asked = json.loads(sys.argv[-1])
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no column
    with suppress(OSError):  # nobody listens any more
        try:
            for columns in decoder(*asked):
                _send(pipe, columns)
            _say(pipe, [])
        except CloudError as error:
            _say(pipe, said(error))
        except MemoryError:
            _say(pipe, f"is not read as {kind}: takes more memory than any whole file of its size; export it again")
        except BaseException as error:  # decompressors that are not Python have errors of their own
            _say(pipe, unread(kind, error))
        pipe.close()


def _send(pipe: IO[bytes], columns: Columns) -> None:
    whole = {name: np.ascontiguousarray(values) for name, values in columns.items()}
    _say(pipe, [(name, values.dtype.str, len(values)) for name, values in whole.items()])
    for values in whole.values():
        pipe.write(values.data)


def _say(pipe: IO[bytes], message: object) -> None:
    pipe.write(json.dumps(message).encode() + b"\n")


def confine(path: str) -> None:
    """From now on this process has room and time for a file of this size, and leaves no core."""
    with suppress(ImportError, OSError, ValueError):  # other systems have no such limits
        import resource

        size, page = os.path.getsize(path), resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _lower(resource.RLIMIT_CPU, int(time.process_time() + SECONDS + SECONDS_OF_A_BYTE * size) + 1)
        with open("/proc/self/statm") as stream:
            _lower(resource.RLIMIT_AS, int(stream.read().split()[0]) * page + ROOM + ROOM_OF_A_BYTE * size)


def _lower(kind: int, value: int) -> None:
    import resource

    soft, hard = resource.getrlimit(kind)
    if soft == resource.RLIM_INFINITY or value < soft:
        resource.setrlimit(kind, (value, hard))
