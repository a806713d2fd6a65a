"""Random mutations of valid and malformed files through load_point_cloud and load_mesh.

    PYTHONPATH=. nice python tests/fuzz_ply.py SECONDS [SEED]

Anything but a result or a one-line CloudError is a crash, and so is more than 5 s or a warning that is
not ours. Inputs that crash are kept in the folder that the last line names.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import torch
from cloud_bytes import FACES, MIXED, N, P, lists, obj, off, ply, with_lists

from neural_splines.clouds import outlier_warning
from neural_splines.errors import CloudError, ReconstructionWarning
from neural_splines.files import meshes, point_clouds

FEW = slice(None, None, 20)
SMALL = {"points": P[FEW], "normals": N[FEW]}
SHORT_FACES, SHORT_MIX = FACES.replace("60", "6"), MIXED[:6]
SEEDS = [
    ("a.ply", ply(**SMALL)),
    ("b.ply", ply(**SMALL, order=">", type_="double")),
    ("c.ply", ply(**SMALL, order="ascii")),
    ("d.ply", ply(**SMALL, order="ascii", newline="\r\n", before="comment made by hand")),
    ("e.ply", ply(**SMALL, newline="\r")),
    ("f.ply", ply(**SMALL, before=SHORT_FACES, data_before=lists(SHORT_MIX))),
    ("g.ply", ply(**SMALL, before=SHORT_FACES, data_before=lists(SHORT_MIX, "ascii"), order="ascii")),
    ("h.ply", ply(**SMALL, after=SHORT_FACES) + lists([3] * 6)),
    ("i.ply", ply(**SMALL, after=SHORT_FACES, order=">") + lists(SHORT_MIX, ">")),
    ("j.ply", ply(**SMALL, after=SHORT_FACES, order="ascii") + lists(SHORT_MIX, "ascii")),
    ("k.ply", with_lists("<")),
    ("l.ply", with_lists("ascii")),
    ("m.obj", obj(P[FEW], N[FEW], "f 1//1 2//2 3//3\nf -1/1/-1 -2/2/-2 -3/3/-3")),
    ("n.off", off(P[FEW], N[FEW])),
]
WORDS = [
    *(b"", b" ", b"\n", b"\r", b"\r\n", b"\x00", b"-", b".", b"/", b"#", b"\xff" * 4, b"\x00\x00\x80\x7f", b"\xff\xfe"),
    *(b"0", b"-1", b"3", b"255", b"65536", b"2147483648", b"4294967295", b"9999999999999999", b"1" * 30, b"9" * 400),
    *(b"nan", b"-inf", b"1e999", b"1e-320", b"1e308", b"1_0", b"0x1", b"1,5", b"1.#IND", "é".encode()),
    *(b"ascii", b"binary_little_endian", b"binary_big_endian", b"1.0", b"ply", b"ply\n", b"end_header\n", b"comment "),
    *(
        b"element vertex 20\n",
        b"element face 1\n",
        b"element ",
        b"vertex",
        b"face",
        b"property ",
        b"property float x\n",
    ),
    *(b"list ", b"property list uchar int vertex_indices\n", b"property list uint double nx\n", b"char", b"uint64"),
    *(b"uchar", b"int", b"float", b"double", b"int64", b"x", b"y", b"nx", b"normal_x", b"v ", b"vn ", b"f ", b"NOFF"),
]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few changes, half of them in the header: tokens swapped, bits flipped, pieces cut, doubled and inserted."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        end = rng.choice((len(data), max(data.find(b"end_header") + 12, 40)))
        at, size = rng.randrange(min(end, len(data)) + 1), rng.choice((0, 1, 2, 4, 8, 24, rng.randrange(len(data) + 1)))
        match rng.randrange(6):
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
            case _:  # a whole token
                stop = next((i for i in range(at, len(data)) if data[i] in b" \n\r"), len(data))
                data[at:stop] = rng.choice(WORDS)
    return bytes(data)


def crash(path: Path, data: bytes, outcomes: Counter | None = None) -> str | None:
    """What went wrong in reading these bytes as a cloud and as a mesh, or None."""
    path.write_bytes(data)
    start = time.process_time()  # of this process: others may hold the machine
    for load in (point_clouds.load_point_cloud, meshes.load_mesh):
        outcome = "read"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", ReconstructionWarning)
                result = load(path)
                if load is point_clouds.load_point_cloud:
                    outlier_warning(result[0])
        except CloudError as error:
            outcome = "error"
            if not str(error).isprintable() or not str(error).startswith(f"{path}: ") or "; " not in str(error):
                return f"message {error!r}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        if outcomes is not None:
            outcomes[f"{load.__name__} {outcome}"] += 1
    return "more than 5 s" if time.process_time() - start > 5.0 else None


def main(seconds: float, seed: int) -> int:
    torch.set_num_threads(1)
    rng, outcomes, found, tried = random.Random(seed), Counter(), Counter(), 0
    folder, stop = Path(tempfile.mkdtemp(prefix="fuzz-ply-")), time.monotonic() + seconds
    while time.monotonic() < stop:
        name, data = rng.choice(SEEDS)
        data = mutated(data, rng)
        problem = crash(folder / name, data, outcomes)
        tried += 1
        if problem:
            found[problem] += 1
            (folder / f"crash-{len(found)}-{name}").write_bytes(data)
    lines = [f"{tried} inputs in {seconds:g} s, seed {seed}: {dict(outcomes)}", f"{found.total()} crashes, in {folder}"]
    sys.stdout.write("\n".join([*lines, *(f"  {count} x {problem}" for problem, count in found.items()), ""]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
