"""Clouds as the bytes of files: PLY of every kind, OBJ, OFF, and what may be wrong with them."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

XYZ, NORMAL = ("x", "y", "z"), ("nx", "ny", "nz")
CODES = {"float": "f4", "double": "f8", "int": "i4", "uchar": "u1", "short": "i2", "uint": "u4"}
FORMATS = {"ascii": "ascii", "<": "binary_little_endian", ">": "binary_big_endian"}


def sphere(count: int = 400, radius: float = 1.0, center: Iterable[float] = (0.0, 0.0, 0.0)):
    """Points on a Fibonacci spiral and their normals, [count, 3] each."""
    i = np.arange(count) + 0.5
    z, angle = 1.0 - 2.0 * i / count, i * np.pi * (1.0 + 5.0**0.5)
    normals = np.stack([np.sqrt(1.0 - z * z) * np.cos(angle), np.sqrt(1.0 - z * z) * np.sin(angle), z], 1)
    return radius * normals + np.asarray(center, float), normals


P, N = sphere()


def ply(
    points=P,
    normals=N,
    order="<",
    type_="float",
    types=None,
    names=XYZ + NORMAL,
    count=None,
    before="",
    after="",
    data_before=b"",
    newline="\n",
    extra=None,
) -> bytes:
    """A PLY file; `names` gives the order of properties, `extra` maps more of them to (type, values)."""
    columns = {name: (type_, values) for name, values in zip(XYZ, np.asarray(points, float).T, strict=True)}
    if normals is not None:
        for choice in (NORMAL, ("normal_x", "normal_y", "normal_z")):
            columns |= {name: (type_, values) for name, values in zip(choice, np.asarray(normals).T, strict=True)}
    columns |= extra or {}
    columns = [(name, (types or {}).get(name, columns[name][0]), columns[name][1]) for name in names]
    header = ["ply", f"format {FORMATS[order]} 1.0", *before.splitlines()]
    header += [f"element vertex {len(points) if count is None else count}"]
    header += [f"property {kind} {name}" for name, kind, _ in columns] + [*after.splitlines(), "end_header", ""]
    if order == "ascii":
        rows = zip(*(values.tolist() for *_, values in columns), strict=True)
        body = newline.join([*(" ".join(f"{value:.9g}" for value in row) for row in rows), ""]).encode()
    else:
        fields = [(str(i), order + CODES[kind]) for i, (_, kind, _) in enumerate(columns)]
        table = np.zeros(len(points), fields)
        with np.errstate(over="ignore"):
            for i, (*_, values) in enumerate(columns):
                table[str(i)] = values
        body = table.tobytes()
    return newline.join(header).encode() + data_before + body


def lists(lengths: Iterable[int], order: str = "<") -> bytes:
    """Faces of these lengths, as `list uchar int`."""
    if order == "ascii":
        return b"".join(b"%d %b\n" % (n, b" ".join(b"%d" % i for i in range(n))) for n in lengths)
    return b"".join(struct.pack(f"{order}B{n}i", n, *range(n)) for n in lengths)


def changed(array: np.ndarray, rows, value) -> np.ndarray:
    array = array.copy()
    array[rows] = value
    return array


def header(*lines: str, first: str = "format ascii 1.0") -> bytes:
    """A file of this header alone."""
    return "\n".join(["ply", first, *lines, "end_header", ""]).encode()


def obj(points, normals, faces: str = "") -> bytes:
    lines = ["v {} {} {}".format(*p) for p in points.tolist()] + ["vn {} {} {}".format(*n) for n in normals.tolist()]
    return "\n".join([*lines, faces, ""]).encode()


def off(points, normals, keyword: str = "NOFF", count: object = None) -> bytes:
    rows = [" ".join(map(str, row)) for row in np.hstack([points, normals]).tolist()]
    return "\n".join([keyword, f"{count or len(points)} 0 0", *rows, ""]).encode()


# -- cases -------------------------------------------------------------------------------------------

UP = (0.0, 0.0, 1.0)
LINE = np.stack([np.linspace(0, 1, 50), np.zeros(50), np.zeros(50)], 1)
PLANE = np.stack([*(a.ravel() for a in np.meshgrid(np.arange(15.0), np.arange(15.0))), np.zeros(225)], 1)
PROPERTIES = tuple(f"property float {name}" for name in XYZ + NORMAL)
ODD = "element odd 2\nproperty short a\nelement none 9"
FACES = "element face 60\nproperty list uchar int vertex_indices"
SIZE = len(ply())
TEXT = ply(order="ascii")
MIXED = [3, 4, 5] * 20
COLOURS = {name: ("uchar", np.arange(400) % 256) for name in ("red", "green", "blue")}
LONG = ply(names=(*XYZ, *NORMAL, "red"), extra=COLOURS, order="ascii")
LISTED = "ply\nformat {} 1.0\nelement vertex 400\nproperty list uchar int seen_by\n" + "\n".join(PROPERTIES)


def with_lists(order: str) -> bytes:
    """Vertices that begin with a list of varying length."""
    table, head = np.hstack([P, N]), f"{LISTED.format(FORMATS[order])}\nend_header\n".encode()
    if order == "ascii":
        seen = lists((i % 3 for i in range(400)), order).splitlines()
        rows = [line + b" " + " ".join(map(str, row)).encode() for line, row in zip(seen, table, strict=True)]
        return head + b"\n".join(rows)
    return head + b"".join(lists([i % 3], order) + row.astype("<f4").tobytes() for i, row in enumerate(table))


def reworded(*words: bytes) -> bytes:
    """TEXT with these words as the x of its first points."""
    lines = TEXT.splitlines(keepends=True)
    first = lines.index(b"end_header\n") + 1
    for row, word in enumerate(words, first):
        lines[row] = word + lines[row][lines[row].index(b" ") :]
    return b"".join(lines)
