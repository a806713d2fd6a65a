"""Points with normals from OBJ and OFF text, the other formats that hold them, and meshes from OBJ.

Our own few lines, because point-cloud-utils 0.34 gives a vertex the normal of the same number whatever the
faces say, takes what happens to lie in memory where normals or coordinates are missing, reads OBJ coordinates as
float32 (100000.123456789 as 100000.125), a word among them as 0, leaves out a face that the end of the file cuts,
fills truncated OFF files, and allocates what an OFF header claims.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np

from ..errors import CloudError
from .ply import TRUNCATED, quoted

OFF_KEYWORD = re.compile(rb"(ST)?(C?)(N?)(C?)OFF\b(.*)", re.DOTALL)  # texture and colour follow the normal


def read_obj(data: bytes) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Points and normals [n, 3] of the `v` and `vn` lines, None where there are no `vn`; colours `v x y z r g b`.

    Normals belong to vertices as the faces say, summed where they differ; without faces, in order.
    """
    points, normals, pairs, colours = [], [], [], []
    for number, line in enumerate(data.splitlines(), 1):
        match line.split():
            case [b"v", *values]:
                points.append(floats(values, f"line {number}"))
                if len(values) >= 6:
                    colours.append(floats(values[3:6], f"line {number}"))
            case [b"vn", *values]:
                normals.append(floats(values, f"line {number}"))
            case [b"f", *corners]:
                pairs += [_corner(c, len(points), len(normals), number) for c in corners if c.count(b"/") == 2]
    if not points:
        raise no_vertices()
    tints = np.array(colours) if len(colours) == len(points) else None
    if not normals:
        return np.array(points), None, tints
    x, n = np.array(points), np.array(normals)
    if not pairs:
        if len(x) != len(n):
            raise unequal_normals(len(x), len(n))
        return x, n, tints
    vertex, normal = np.unique(np.array(pairs), axis=0).T
    if min(vertex.min(), normal.min()) < 0 or vertex.max() >= len(x) or normal.max() >= len(n):
        raise CloudError(f"faces refer to vertices or normals that are not there; {TRUNCATED}")
    summed = np.zeros_like(x)
    np.add.at(summed, vertex, n[normal])
    return x, summed, tints


def read_obj_mesh(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [v, 3] and faces [f, 3] of the `v` and `f` lines; polygons become fans of triangles."""
    vertices, faces = [], []
    for number, line in enumerate(data.splitlines(), 1):
        match line.split():
            case [b"v", *values]:
                vertices.append(floats(values, f"line {number}"))
            case [b"f", *corners]:
                polygon = [_index(c.split(b"/")[0], len(vertices), c, number) for c in corners]
                if len(polygon) < 3:
                    raise CloudError(f"line {number}: a face of {len(polygon)} corners; {TRUNCATED}")
                faces += [(polygon[0], b, c) for b, c in itertools.pairwise(polygon[1:])]
    return np.array(vertices).reshape(-1, 3), np.array(faces, np.int64).reshape(-1, 3)


def read_off(data: bytes) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Points, normals and colours [n, 3] of OFF text: counts, then a line `x y z` for each, with `nx ny nz` in NOFF and
    `r g b` in COFF.
    """
    text = re.sub(rb"#[^\r\n]*", b"", data).lstrip()
    keyword = OFF_KEYWORD.match(text)
    if keyword is None:
        raise CloudError(
            f"not an OFF file with three coordinates, it starts with {quoted(data[:16])}; export it as PLY"
        )
    place = 6 if keyword[3] else 3
    width = place + (3 if keyword[2] or keyword[4] else 0)
    lines = [line.split() for line in keyword[5].splitlines() if line.strip()]
    if not lines or not re.fullmatch(rb"[0-9]{1,18}", lines[0][0]):
        raise CloudError(f"no vertex count where an OFF file has it; {TRUNCATED}")
    count = int(lines[0][0])
    if count > len(lines) - 1:
        raise CloudError(f"the header declares {count} vertices but {len(lines) - 1} lines follow; {TRUNCATED}")
    rows = [floats(line, f"vertex {i}", width) for i, line in enumerate(lines[1 : count + 1], 1)]
    table = np.array(rows).reshape(count, width)
    return table[:, :3], table[:, 3:6] if keyword[3] else None, table[:, place:] if width > place else None


def no_vertices() -> CloudError:
    return CloudError("no vertices in this OBJ file; export it again")


def unequal_normals(points: int, normals: int) -> CloudError:
    return CloudError(f"{points} vertices but {normals} normals; export one normal for each vertex")


def floats(values: Sequence[bytes], where: str, count: int = 3) -> list[float]:
    """The first numbers of a line; CloudError where there are not so many."""
    try:
        if len(values) >= count:
            return [float(value) for value in values[:count]]
    except ValueError:
        pass
    raise CloudError(f"{where}: {quoted(b' '.join(values))} does not begin with {count} numbers; {TRUNCATED}")


def _corner(text: bytes, points: int, normals: int, line: int) -> tuple[int, int]:
    """Indices from 0 of vertex and normal of a corner `v/vt/vn`; negative ones count from the end so far."""
    vertex, _, normal = text.split(b"/")
    return _index(vertex, points, text, line), _index(normal, normals, text, line)


def _index(digits: bytes, count: int, text: bytes, line: int) -> int:
    """The index from 0 that a corner gives; negative ones count from the end of the `count` so far."""
    if not re.fullmatch(rb"-?[0-9]{1,18}", digits):
        raise CloudError(f"line {line}: {quoted(text)} is not a corner of a face; {TRUNCATED}")
    index = int(digits)
    return index + count if index < 0 else index - 1
