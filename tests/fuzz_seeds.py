"""Valid small files of every format that is read, for the fuzzer to break, and what keeps their checksums right."""

from __future__ import annotations

import functools
import io
import struct
import zipfile

import numpy as np
from cloud_bytes import FACES, MIXED, N, P, lists, obj, off, ply, with_lists
from format_bytes import e57, las, numpy_bytes, pcd, text
from openmvs_bytes import scene

FEW = slice(None, None, 20)
POINTS, NORMALS = P[FEW], N[FEW]
COLOURS = np.arange(60).reshape(20, 3) * 4 % 256
SIX = np.hstack([POINTS, NORMALS])
SMALL = {"points": POINTS, "normals": NORMALS}
SHORT_FACES, SHORT_MIX = FACES.replace("60", "6"), MIXED[:6]
NAMED = dict(zip(("x", "y", "z", "normal_x", "normal_y", "normal_z"), SIX.T.astype("<f4"), strict=True))
TINTED = NAMED | {"rgb": (COLOURS @ (65536, 256, 1)).astype("<u4")}
TRIANGLE = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0.5\nendloop\nendfacet\n"
RECORDS = np.rec.fromarrays(list(NAMED.values()), names=list(NAMED))
PLY = [
    ply(**SMALL),
    ply(**SMALL, order=">", type_="double"),
    ply(**SMALL, order="ascii"),
    ply(**SMALL, order="ascii", newline="\r\n", before="comment made by hand"),
    ply(**SMALL, newline="\r"),
    ply(**SMALL, before=SHORT_FACES, data_before=lists(SHORT_MIX)),
    ply(**SMALL, before=SHORT_FACES, data_before=lists(SHORT_MIX, "ascii"), order="ascii"),
    ply(**SMALL, after=SHORT_FACES) + lists([3] * 6),
    ply(**SMALL, after=SHORT_FACES, order=">") + lists(SHORT_MIX, ">"),
    ply(**SMALL, after=SHORT_FACES, order="ascii") + lists(SHORT_MIX, "ascii"),
    with_lists("<"),
    with_lists("ascii"),
]


@functools.cache
def seeds(suffix: str) -> list[bytes]:
    """Files of the format, made when they are asked for: some need packages that not everyone has."""
    match suffix:
        case ".ply":
            return PLY
        case ".obj":
            return [obj(POINTS, NORMALS, "f 1//1 2//2 3//3\nf -1/1/-1 -2/2/-2 -3/3/-3"), obj(POINTS, NORMALS)]
        case ".off":
            return [off(POINTS, NORMALS), off(POINTS, SIX[:, :0], "OFF"), off(POINTS, SIX, "CNOFF")]
        case ".stl":
            binary = bytes(80) + struct.pack("<I", 2) + b"".join(struct.pack("<12fH", *range(12), 0) for _ in range(2))
            return [binary, f"solid a\n{TRIANGLE * 3}endsolid a\n".encode()]
        case ".xyz":
            return [text([SIX]), text([POINTS, COLOURS]), text([POINTS]), b"# made by hand\n\n" + text([SIX], "\t")]
        case ".csv":
            named = text([POINTS, COLOURS, NORMALS], ",", "x,y,z,r,g,b,nx,ny,nz\n")
            return [named, text([SIX], ";", decimal=","), text([POINTS, COLOURS], " ", "//X Y Z R G B\n")]
        case ".pts":
            return [text([POINTS, POINTS[:, :1], COLOURS], header="20\n")]
        case ".asc":
            named = text([POINTS, COLOURS / 255, POINTS[:, :1]], header="//X Y Z Rf Gf Bf Intensity\n20\n")
            surveyed = b"".join(b"P%d,%b,EDGE\n" % row for row in enumerate(text([POINTS], ",").splitlines()))
            return [named, surveyed, text([SIX], header="# x y z nx ny nz\n"), text([POINTS], decimal=",")]
        case ".ptx":
            pose = "20\n1\n1 2 3\n1 0 0\n0 1 0\n0 0 1\n1 0 0 0\n0 1 0 0\n0 0 1 0\n1 2 3 1\n"
            return [text([POINTS, POINTS[:, :1], *more], header=pose) * 2 for more in ((), (COLOURS,))]
        case ".pcd":
            return [pcd(kind, TINTED, "1 2 3 1 0 0 0") for kind in ("ascii", "binary", "binary_compressed")]
        case ".npy":
            return [numpy_bytes(np.save, a) for a in (SIX, SIX.astype(">f4"), np.asfortranarray(SIX), RECORDS)]
        case ".npz":
            arrays = {"points": POINTS, "normals": NORMALS, "colors": COLOURS / 255, "heat": POINTS[:, 0], "who": "me"}
            columns = dict(zip(("x", "y", "z", "nx", "ny", "nz"), SIX.T, strict=True))
            return [numpy_bytes(save, **a) for save in (np.savez, np.savez_compressed) for a in (arrays, columns)]
        case ".las" | ".laz":
            compressed = suffix == ".laz"
            return [
                las(POINTS, NORMALS, COLOURS, compressed),
                las(POINTS, NORMALS, None, compressed, "1.4", 6),
                las(np.tile(P, (5, 1)), np.tile(N, (5, 1)), None, compressed, "1.4", 7),
            ]
        case ".mvs":
            poses = [(np.eye(3), np.array([0.0, 0, 5]))] * 3
            tracks = [[k % 3] * (k % 4) for k in range(len(POINTS))]
            return [scene(POINTS, tracks, poses, **more) for more in ({"normals": NORMALS}, {"colours": COLOURS})]
        case ".e57":
            return [e57([(POINTS, COLOURS, np.zeros(3)), (POINTS, COLOURS, np.ones(3))]), e57([(P, P, np.zeros(3))])]
    raise KeyError(suffix)


SUFFIXES = (".ply", ".obj", ".off", ".stl", ".xyz", ".csv", ".pts", ".asc", ".ptx", ".pcd", ".npy", ".npz")
SUFFIXES += (".las", ".laz", ".e57", ".mvs")


def members(archive: bytes) -> dict[str, bytes]:
    """The members of a zip archive by name."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return {name: file.read(name) for name in file.namelist()}


def zipped(members: dict[str, bytes], method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return stream.getvalue()


def e57_pages(data: bytes) -> bytes:
    """The file with a right checksum at the end of each page of 1024 bytes, or its decoder would look at none of it."""
    pages = [data[start : start + 1020] for start in range(0, len(data), 1024)]
    return b"".join(page + struct.pack(">I", _crc32c(page)) if len(page) == 1020 else page for page in pages)


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def _row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = [_row(value) for value in range(256)]
