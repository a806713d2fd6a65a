"""Triangle meshes from and to STL: binary files are read by point-cloud-utils, after a look at their size; text by our
own few lines. Files are written by our own, because trimesh (5.2) holds a mesh and its file in memory several times.

point-cloud-utils 0.34 reads a binary file safely whose size is the one that its header says. A text it never ends to
read where a line has 100,000 characters, takes up to where it is cut or has a word among its numbers, and prints about.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import numpy as np

from ..errors import CloudError, first_line, warn
from . import mesh_content
from .atomic import PathLike
from .mesh_content import MAX_LOSS, Content, Part, refuse_size, table
from .ply import TRUNCATED, quoted

HEADER, TRIANGLE = 84, 50  # bytes
FACET = b"facet normal 0 0 0 outer loop vertex 0 0 0 vertex 0 0 0 vertex 0 0 0 endloop endfacet".split()
WORDS = [i for i, word in enumerate(FACET) if word != b"0"]
LONGEST_WORD = 64  # in text
CORNERS = [8, 9, 10, 12, 13, 14, 16, 17, 18]


def read_stl(path: PathLike, data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [v, 3] and faces [f, 3] of a file and its bytes; corners at the same position are one vertex.

    Raises CloudError where the bytes are no whole STL file.
    """
    count = int.from_bytes(data[80:HEADER], "little")
    if len(data) == HEADER + TRIANGLE * count:
        corners = _read_binary(path, count)
    elif data.lstrip()[:5].lower() == b"solid":
        corners = _read_text(data)
    elif len(data) < HEADER:
        raise CloudError(f"not an STL file, it starts with {quoted(data[:16])}; {TRUNCATED}")
    else:
        raise CloudError(f"the header declares {count} triangles but {len(data) - HEADER} bytes follow; {TRUNCATED}")
    vertices, place = np.unique(corners, axis=0, return_inverse=True)
    return vertices, place.reshape(-1, 3)


def _read_binary(path: PathLike, count: int) -> np.ndarray:
    """The corners [3 f, 3] of a file of the right size."""
    if count == 0:
        return np.zeros((0, 3))
    try:
        import point_cloud_utils as pcu

        name = os.fsdecode(path)
        name.encode()
        vertices, faces = pcu.load_mesh_vf(name)
    except UnicodeEncodeError:
        raise CloudError("has a name that is not UTF-8, which point-cloud-utils cannot open; rename it") from None
    except ImportError as error:
        raise CloudError(f"STL needs the package point-cloud-utils ({first_line(error)}); convert it to PLY") from error
    except RuntimeError as error:  # NaN or Inf
        raise CloudError(f"is not read as STL ({first_line(error)}); repair it, e.g. with MeshLab") from error
    corners = np.asarray(vertices, np.float64)[np.asarray(faces, np.int64).reshape(-1)]  # one face: [3]
    if len(corners) != 3 * count:
        raise CloudError(f"{len(corners) // 3} of {count} triangles were read; export it again, or as PLY")
    return corners


def _read_text(data: bytes) -> np.ndarray:
    """The corners [3 f, 3] of the facets between the lines `solid` and `endsolid`."""
    lines = [line.split() for line in data.splitlines() if line.strip()]
    ends = [i for i, line in enumerate(lines) if line[0].lower() == b"endsolid"]
    if not ends or ends[-1] != len(lines) - 1:
        raise CloudError(f"no endsolid at its end; {TRUNCATED}")
    words = [word for line in lines if line[0].lower() not in (b"solid", b"endsolid") for word in line]
    if len(words) % len(FACET):
        raise CloudError(f"its facets do not have {len(FACET)} words each; {TRUNCATED}")
    longest = max(words, key=len, default=b"")
    if len(longest) > LONGEST_WORD:
        raise CloudError(f"a word of {len(longest)} characters, {quoted(longest)}; {TRUNCATED}")
    facets = np.array(words, dtype=f"S{LONGEST_WORD}").reshape(-1, len(FACET))
    wrong = (np.char.lower(facets[:, WORDS]) != np.array(FACET)[WORDS]).any(1)
    if wrong.any():
        facet = int(wrong.argmax())
        raise CloudError(f"facet {facet + 1} is not understood: {quoted(b' '.join(facets[facet]))}; {TRUNCATED}")
    try:
        return facets[:, CORNERS].astype(np.float64).reshape(-1, 3)
    except ValueError as error:
        raise CloudError(f"corners that are not numbers ({first_line(error)}); {TRUNCATED}") from error


def write_stl(content: Content, name: str) -> Iterator[Part]:
    """Binary STL: float32 corners and face normals, nothing else; warns where float32 shows."""
    loss, collapsed = content.loss(), content.collapsed()
    if content.voxel_size and (loss > MAX_LOSS * content.voxel_size or collapsed):
        lost = f", so that {collapsed} faces have no area" if collapsed else ""
        warn(
            f"{name}: STL has only float32, which moves vertices by up to {loss:.3g}, {loss / content.voxel_size:.2g} "
            f"voxels{lost}; use --shift auto, or PLY, OBJ, OFF or GLB"
        )
    faces, vertices = content.faces, content.vertices
    count = 0 if faces is None else len(faces)
    if count > mesh_content.LARGEST_UINT:
        refuse_size(name, f"{count} faces, and STL counts {mesh_content.LARGEST_UINT}")
    yield bytes(80) + struct.pack("<I", count)
    if faces is not None:

        def facets(first: int, last: int) -> np.ndarray:
            corners = vertices[faces[first:last]]
            return np.concatenate([_unit_normals(corners)[:, None], corners], 1).reshape(-1, 12)

        yield from table(count, [("<f4", facets, 12), ("<u2", _zeros, 1)])


def _zeros(first: int, last: int) -> np.ndarray:
    return np.zeros((last - first, 1))


def _unit_normals(corners: np.ndarray) -> np.ndarray:
    """The normals [f, 3] of triangles [f, 3, 3]; zero for those without area."""
    a, b, c = corners.transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    largest = np.abs(normals).max(1, initial=0.0)[:, None]
    normals = normals / np.where(largest > 0.0, largest, 1.0)  # else their squares may underflow
    length = np.sqrt((normals * normals).sum(1))[:, None]
    return np.asarray(normals / np.where(length > 0.0, length, 1.0))
