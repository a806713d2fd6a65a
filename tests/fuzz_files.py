"""Random mutations of valid files of every format, read as a whole and in pieces, and as meshes.

    PYTHONPATH=. nice python tests/fuzz_files.py COUNT [SEED] [SUFFIX ...]

Anything but a result or a one-line CloudError is a finding: another error, a warning that is not ours, more than
SECONDS of computing, more than ROOM of memory, a process that ends, pieces that differ from the whole. Files are read
in a process that such an end does not harm; LAS, LAZ and E57 are decoded by one process until a file ends it, instead
of one for each, which would take a hundred times as long. Findings are kept in the folder that the last line names.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from fuzz_seeds import SUFFIXES, e57_pages, members, seeds, zipped

from neural_splines.files import isolation

SECONDS, ROOM, PATIENCE = 10, 500 << 20, 120  # of computing; bytes; seconds that others may hold the machine
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # a quick disk
MESHES = (".ply", ".obj", ".stl")
WORDS = b"""0 -1 1 3 255 65536 2147483648 4294967295 9223372036854775808 1e30 nan -inf 1e999 1e-320 1_0 0x1 1,5 1.#IND
True None () - . / # , ; | : ' " { [ ply end_header comment element property list vertex face uchar char int float
double int64 x y nx normal_x red rgb v vn f vt NOFF COFF OFF solid facet endsolid VERSION FIELDS SIZE TYPE COUNT WIDTH
HEIGHT POINTS DATA ascii binary binary_compressed F I U 1.0 <f8 |O <U9 >i4 descr shape fortran_order points normals
""".split()
WORDS += [b"element vertex 20\n", b"property float x\n", b"property list uint double nx\n", b"binary_big_endian", b""]
WORDS += [b" ", b"\n", b"\r", b"\r\n", b"\0", b"\x85", b"\v", b"\f", b"\x1c", b"\xa0", b"\xff" * 4, b"\xef\xbb\xbf"]
WORDS += [b"1" * 30, b"9" * 400, b"0 " * 3000, b"\xe9", b"\0\0\x80\x7f", b"\xff" * 8, b"\xff\xff\xff\x7f"]
NUMBER = re.compile(rb"\d+")


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A few changes, half of them near the start: bits, words, numbers, pieces cut, doubled, or from another file."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        end = rng.choice((len(data), max(data.find(b"end_header") + 12, 400)))
        at = rng.randrange(min(end, len(data)) + 1)
        size = rng.choice((0, 1, 2, 4, 8, 24, rng.randrange(len(data) + 1)))
        match rng.randrange(9):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + size]
            case 2:
                data[at:at] = data[at : at + size]
            case 3:
                data[at : at + rng.choice((0, size))] = rng.choice(WORDS)
            case 4:
                data[at : at + size] = rng.randbytes(size)
            case 5:
                del data[at:]
            case 6 if numbers := list(NUMBER.finditer(data, 0, end)):
                start, stop = rng.choice(numbers).span()
                data[start:stop] = rng.choice((*WORDS[:20], b"%d" % rng.randrange(1 << rng.randrange(1, 64))))
            case 7:
                place = rng.randrange(len(other) + 1)
                data[at : at + rng.choice((0, size))] = other[place : place + size]
            case 8:  # a number as bytes
                width = rng.choice((1, 2, 4, 8))
                value = rng.choice((0, 1, (1 << 8 * width) - 1, 1 << 8 * width - 1, rng.randrange(1 << 8 * width)))
                data[at : at + width] = value.to_bytes(width, "little")
            case _:  # a whole token
                stop = next((i for i in range(at, len(data)) if data[i] in b" \n\r"), len(data))
                data[at:stop] = rng.choice(WORDS)
    return bytes(data)


def attack(suffix: str, rng: random.Random) -> bytes:
    """A broken file of the format; often with checksums that are right, so that what lies behind them is reached."""
    first, second = rng.choice(seeds(suffix)), rng.choice(seeds(suffix))
    if suffix == ".npz" and rng.random() < 0.6:
        inside = members(first)
        name = rng.choice(list(inside))
        inside[name] = mutated(inside[name], rng.choice(list(members(second).values())), rng)
        methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
        data = zipped(inside, rng.choice(methods))
        return data if rng.random() < 0.8 else mutated(data, second, rng)
    data = mutated(first, second, rng)
    return e57_pages(data) if suffix == ".e57" and rng.random() < 0.8 else data


# -- in the process that reads --------------------------------------------------------------------------


class Lasting:
    """What `isolation.start` gives, from one process for file after file."""

    process: subprocess.Popen | None = None

    def __init__(self, module: str, request: str):
        if Lasting.process is None or Lasting.process.poll() is not None:
            if Lasting.process is not None:
                Lasting.socket.close()
            Lasting.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            code = f"import fuzz_files; fuzz_files.decode({theirs.fileno()})"
            Lasting.process = subprocess.Popen(
                [sys.executable, "-c", code],
                env={**os.environ, **isolation.THREADS, "PYTHONPATH": os.pathsep.join(sys.path)},
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
            theirs.close()
        reader, writer = os.pipe()
        socket.send_fds(Lasting.socket, [json.dumps([module, request]).encode()], [writer])
        os.close(writer)
        self.stdout = io.BufferedReader(io.FileIO(reader))

    def wait(self) -> int:
        return Lasting.process.wait()

    def kill(self) -> None:
        """It may be needed again."""

    def __enter__(self) -> Lasting:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()


def decode(number: int) -> None:
    """In that process: each request with limits of its own, into the pipe that comes with it."""
    requests = socket.socket(fileno=number)
    while True:
        request, pipes, *_ = socket.recv_fds(requests, 1 << 16, 1)
        if not request:
            return
        for limit in (resource.RLIMIT_AS, resource.RLIMIT_CPU):
            hard = resource.getrlimit(limit)[1]
            resource.setrlimit(limit, (hard, hard))
        os.dup2(pipes[0], 1)
        os.close(pipes[0])
        module, sys.argv[-1] = json.loads(request)
        import_module(f"{isolation.__package__}.{module}").main()


def problem(path: Path, outcomes: Counter) -> str | None:
    """What went wrong in reading this file in every way, or None."""
    import pieces

    from neural_splines.errors import CloudError, ReconstructionWarning
    from neural_splines.files import meshes, point_clouds, streams
    from neural_splines.files.scans import ScannedCloud

    options = streams.ReadOptions(attributes=("all",) if path.stat().st_size % 2 else ())

    def whole() -> ScannedCloud:
        scanned = point_clouds.load_scanned_cloud(path, options.attributes)
        if scanned.normals is not None:
            with contextlib.suppress(CloudError):
                point_clouds.oriented(scanned, str(path))
        return scanned

    def in_parts() -> ScannedCloud:
        return pieces.in_pieces(path, options, 1 + path.stat().st_size % 9)

    results: dict[str, object] = {}
    ways = [whole, in_parts] if path.suffix != ".stl" else []
    for way in [*ways, *([lambda: meshes.load_mesh(path)] if path.suffix in MESHES else [])]:
        name = getattr(way, "__name__", "").replace("<lambda>", "mesh")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                results[name] = way()
                outcomes[f"{name} read"] += 1
            except CloudError as error:
                outcomes[f"{name} refused"] += 1
                line = str(error)
                if not line.isprintable() or not line.startswith(f"{path}: ") or "; " not in line:
                    return f"{name}: message {line!r}"
                if "fit into memory" in line:
                    return f"{name}: no memory"
            except Exception as error:
                return f"{name}: {type(error).__name__}: {error}"
        others = [warning for warning in said if warning.category is not ReconstructionWarning]
        if others:
            return f"{name}: {others[0].category.__name__}: {others[0].message}"
    if "whole" in results and "in_parts" in results and not pieces.same(results["whole"], results["in_parts"]):
        return "pieces differ from the whole"
    return None


def serve(connection: Connection, folder: str) -> None:
    """Read file after file; what goes wrong is answered, or ends this process."""
    import torch

    from neural_splines.files import pcd

    pcd._lzf(np.zeros(2, np.uint8), np.zeros(1, np.uint8))  # compiled before memory and time count
    torch.set_num_threads(1)
    isolation.start = Lasting
    with open("/proc/self/statm") as stream:
        room = int(stream.read().split()[0]) * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    path = Path(folder)
    while True:
        suffix, data = connection.recv()
        file = path / f"a{suffix}"
        file.write_bytes(data)
        outcomes: Counter = Counter()
        signal.setitimer(signal.ITIMER_PROF, 3 * SECONDS)  # which ends the process
        start = os.times()
        found = problem(file, outcomes)
        signal.setitimer(signal.ITIMER_PROF, 0)
        taken = sum(os.times()[:4]) - sum(start[:4])
        slow = f"more than {SECONDS} s for each way" if taken > SECONDS * sum(outcomes.values()) else None
        connection.send((found or slow, outcomes))


class Worker:
    """The process that reads, started again where a file ends it."""

    def __init__(self) -> None:
        self._process: multiprocessing.Process | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-files-", dir=MEMORY)

    def try_(self, suffix: str, data: bytes) -> tuple[str | None, Counter]:
        if self._process is None:
            self._connection, other = multiprocessing.Pipe()
            arguments = (other, self._folder.name)
            self._process = multiprocessing.get_context("spawn").Process(target=serve, args=arguments)
            self._process.start()
            other.close()
        self._connection.send((suffix, data))
        with contextlib.suppress(EOFError, ConnectionError):
            if self._connection.poll(PATIENCE):
                return self._connection.recv()
            self._process.kill()
        self._process.join()
        code, self._process = self._process.exitcode, None
        return f"the process ended with {signal.Signals(-code).name if code < 0 else code}", Counter()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
        self._folder.cleanup()


@contextlib.contextmanager
def worker() -> Iterator[Worker]:
    with contextlib.closing(Worker()) as found:
        yield found


def main(count: int, seed: int, suffixes: list[str]) -> int:
    kept, crashes = Path(tempfile.mkdtemp(prefix="fuzz-found-")), 0
    with worker() as process:
        for suffix in suffixes:
            rng, outcomes, found = random.Random(f"{seed}{suffix}"), Counter(), Counter()
            for _ in range(count):
                data = attack(suffix, rng)
                wrong, seen = process.try_(suffix, data)
                outcomes += seen
                if wrong:
                    found[wrong] += 1
                    (kept / f"{crashes + found.total()}{suffix}").write_bytes(data)
            crashes += found.total()
            lines = [f"{suffix}: {count} files, seed {seed}: {json.dumps(outcomes)}; {found.total()} findings"]
            sys.stdout.write("\n".join([*lines, *(f"  {n} x {wrong}" for wrong, n in found.items()), ""]))
            sys.stdout.flush()
    sys.stdout.write(f"{crashes} findings, in {kept}\n")
    return int(bool(crashes))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, sys.argv[3:] or list(SUFFIXES)))
