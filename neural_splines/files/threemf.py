"""Triangle meshes to 3MF, the format of printers that knows its unit: XML in a ZIP archive, written as it is made.

Our own, because trimesh (5.2) holds a mesh and its file in memory several times, and needs lxml and networkx to do so.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator

from ..errors import warn
from .mesh_content import Content, Part, lines, positions, refuse_size

NAMES = {"mm": "millimeter", "cm": "centimeter", "m": "meter", "in": "inch"}
LARGEST_INDEX = 2**31 - 2
LEVEL = 1  # of compression: 6 takes three times as long for a tenth less
LARGE = 10**7  # vertices and faces together, from which on a file may have 4 GB
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
KINDS = (
    f'{XML}<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>\n'
)
MODEL = "3D/3dmodel.model"
RELATIONS = (
    f'{XML}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rel0" Target="/{MODEL}" '
    'Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>\n'
)
START = (
    XML + '<model unit="{}" xml:lang="en-US" xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02">\n'
    '<metadata name="Application">neural-splines</metadata>\n'
    '<resources><object id="1" type="model"><mesh>\n'
)
END = '</mesh></object></resources>\n<build><item objectid="1"/></build>\n</model>\n'


def write_3mf(content: Content, name: str) -> Iterator[Part]:
    """One object with its unit; vertices and triangles alone. Warns where the mesh is open, which printers refuse."""
    if len(content.vertices) > LARGEST_INDEX:
        refuse_size(name, f"{len(content.vertices)} vertices, and 3MF counts {LARGEST_INDEX}")
    if not content.closed:
        warn(f"{name}: the mesh is not closed, as 3MF and printers need it; close it with --fill-holes")
    into = _Collected()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for path, text in (("[Content_Types].xml", KINDS), ("_rels/.rels", RELATIONS)):
            archive.writestr(_entry(path), text)
        large = len(content.vertices) + (0 if content.faces is None else len(content.faces)) > LARGE
        with archive.open(_entry(MODEL), "w", force_zip64=large) as model:
            for part in _model(content):
                model.write(part)
                yield into.taken()
    yield into.taken()


def _entry(path: str) -> zipfile.ZipInfo:
    """With a date that is always the same, so that equal meshes are equal files."""
    entry = zipfile.ZipInfo(path)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _model(content: Content) -> Iterator[bytes]:
    vertices, faces = content.vertices, content.faces
    yield START.format(NAMES[content.unit]).encode() + b"<vertices>\n"
    x, y, z = positions(content).split()
    yield from lines(f'<vertex x="{x}" y="{y}" z="{z}"/>\n', len(vertices), lambda rows: vertices[rows])
    yield b"</vertices><triangles>\n"
    if faces is not None:
        yield from lines('<triangle v1="%d" v2="%d" v3="%d"/>\n', len(faces), lambda rows: faces[rows])
    yield b"</triangles>" + END.encode()


class _Collected:
    """What an archive writes, until it is taken; it cannot go back, as a pipe cannot."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """What was written stays to be taken."""

    def taken(self) -> bytes:
        found = b"".join(self._parts)
        self._parts.clear()
        return found
