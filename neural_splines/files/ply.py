"""PLY headers. A header is a claim: nothing is allocated or skipped that the bytes do not back.

Errors are CloudErrors that say what is wrong and what to do; the caller, who knows it, adds the path.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

import numpy as np

from ..errors import CloudError

HEADER_LIMIT = 1 << 20
MAGIC = re.compile(rb"ply[ \t]*(\r\n|\n|\r)")
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"int64": "i8", "uint64": "u8", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8"},
}
COUNT_TYPES = {name: code for name, code in TYPES.items() if code[0] in "iu"}
TRUNCATED = "the file is truncated or its header is wrong; copy or export it again"
REPAIR = "repair the header or export the file again"


@dataclass(frozen=True)
class Property:
    """A scalar, or a list where `count_type` is given; types have the file's byte order."""

    name: str
    type: np.dtype
    count_type: np.dtype | None = None


@dataclass(frozen=True)
class Element:
    """`count` records of the same properties, as the header claims; `start`: how many come before, of a part."""

    name: str
    count: int
    properties: list[Property] = field(default_factory=list)
    start: int = 0

    def find(self, *names: str) -> Property | None:
        """The property that has the first of these names that is there."""
        for name in names:
            found = [p for p in self.properties if p.name == name]
            if len(found) > 1:
                raise CloudError(f"property {name!r} is declared {len(found)} times; {REPAIR}")
            if found:
                return found[0]
        return None

    def short_of(self, there: str) -> CloudError:
        """The error of a file that ends before this element does."""
        return CloudError(f"the header declares {self.count} of element {quoted(self.name)} but {there}; {TRUNCATED}")


@dataclass(frozen=True)
class Header:
    """`size` counts bytes through end_header; data follow as text if `ascii`, else in the properties' types."""

    ascii: bool
    elements: list[Element]
    size: int

    def find(self, name: str) -> Element:
        """The one element of this name."""
        found = [e for e in self.elements if e.name == name]
        if len(found) == 1:
            return found[0]
        there = ", ".join(quoted(e.name) for e in self.elements[:5]) or "none"
        problem = f"{len(found)} elements {name!r}" if found else f"no element {name!r} (elements: {there})"
        raise CloudError(f"the PLY header declares {problem}; export the file again, as a point cloud or a mesh")


def is_ply(data: bytes) -> bool:
    return MAGIC.match(data) is not None


def quoted(text: str | bytes) -> str:
    """Printable, short and on one line, whatever a file holds."""
    text = text[:40]
    return ascii(text.decode("latin-1") if isinstance(text, bytes) else text)


def parse_header(data: bytes) -> Header:
    """The header of a PLY file's bytes. All its lines end like the first: \\n, \\r\\n or \\r."""
    magic = MAGIC.match(data)
    if magic is None:
        raise CloudError(f"not a PLY file, it starts with {quoted(data[:16])}; export it as PLY")
    newline = b"\r" if magic[1] == b"\r" else b"\n"
    order: str | None = None
    elements: list[tuple[str, int, list[tuple[str, ...]]]] = []
    position = magic.end()
    for number in itertools.count(2):
        end = data.find(newline, position, HEADER_LIMIT)
        if end < 0:
            if len(data) > HEADER_LIMIT:
                raise CloudError(f"the PLY header has no end_header within {HEADER_LIMIT} bytes; {REPAIR}")
            raise CloudError(f"the PLY header has no end_header; {TRUNCATED}")
        line, position = data[position:end], end + 1
        match line.decode("latin-1").split():
            case [] | ["comment" | "obj_info", *_]:
                pass
            case ["end_header"]:
                break
            case ["format", name, _] if order is None and name in ORDERS:
                order = ORDERS[name]
            case ["element", name, count] if re.fullmatch(r"[0-9]{1,18}", count):
                elements.append((name, int(count), []))
            case ["property", "list", count, type_, name] if elements and count in COUNT_TYPES and type_ in TYPES:
                elements[-1][2].append((name, TYPES[type_], TYPES[count]))
            case ["property", type_, name] if elements and type_ in TYPES:
                elements[-1][2].append((name, TYPES[type_]))
            case _:
                raise CloudError(f"PLY header line {number} is not understood: {quoted(line)}; {REPAIR}")
    if order is None:
        raise CloudError(f"the PLY header declares no format; {REPAIR}")
    return Header(not order, [_element(order or "<", *element) for element in elements], position)


def _element(order: str, name: str, count: int, properties: list[tuple[str, ...]]) -> Element:
    typed = [Property(name, *(np.dtype(order + code) for code in codes)) for name, *codes in properties]
    return Element(name, count, typed)
