"""Clouds as the bytes of files that are no PLY: text, PCD, NumPy, LAS, LAZ and E57; and what the bytes of 3MF say."""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

CORE = "{http://schemas.microsoft.com/3dmanufacturing/core/2015/02}"
OF_UNIT = {"millimeter": 1e-3, "centimeter": 1e-2, "meter": 1.0, "inch": 0.0254}


def text(columns, separator=" ", header="", decimal="."):
    lines = [separator.join(f"{value:.17g}" for value in row) for row in np.column_stack(columns).tolist()]
    return (header + "\n".join(lines) + "\n").replace(".", decimal).encode()


def pcd(kind: str, fields: dict[str, np.ndarray], viewpoint="0 0 0 1 0 0 0") -> bytes:
    kinds = {"f": "F", "i": "I", "u": "U"}
    arrays = list(fields.values())
    count = len(arrays[0])
    header = [
        "# .PCD v0.7 - Point Cloud Data file format", "VERSION 0.7", f"FIELDS {' '.join(fields)}",
        f"SIZE {' '.join(str(a.dtype.itemsize) for a in arrays)}",
        f"TYPE {' '.join(kinds[a.dtype.kind] for a in arrays)}",
        f"COUNT {' '.join('1' for _ in arrays)}", f"WIDTH {count}", "HEIGHT 1", f"VIEWPOINT {viewpoint}",
        f"POINTS {count}", f"DATA {kind}", "",
    ]  # fmt: skip
    if kind == "ascii":
        body = text([a.astype(float) for a in arrays])
    elif kind == "binary":
        body = np.rec.fromarrays(arrays).tobytes()
    else:
        raw = b"".join(a.tobytes() for a in arrays)
        packed = lzf(raw)
        body = struct.pack("<II", len(packed), len(raw)) + packed
    return "\n".join(header).encode() + body


def lzf(data: bytes) -> bytes:
    """Compressed by the slowest of ways: a copy of the last place where three bytes are the same, else literals."""
    out, literals, seen, i = bytearray(), bytearray(), {}, 0

    def flush():
        for k in range(0, len(literals), 32):
            part = literals[k : k + 32]
            out.extend([len(part) - 1, *part])
        literals.clear()

    while i < len(data):
        key = data[i : i + 3]
        before = seen.get(key)
        if len(key) == 3 and before is not None and i - before <= 8192:
            length = 3
            while length < 264 and i + length < len(data) and data[before + length] == data[i + length]:
                length += 1
            flush()
            offset, count = i - before - 1, length - 2
            out.extend([min(count, 7) << 5 | offset >> 8] + ([count - 7] if count >= 7 else []) + [offset & 255])
        else:
            length = 1
            literals.append(data[i])
        for k in range(i, i + length):
            seen[data[k : k + 3]] = k
        i += length
    flush()
    return bytes(out)


def numpy_bytes(save, *args, **arrays) -> bytes:
    stream = io.BytesIO()
    save(stream, *args, **arrays)
    return stream.getvalue()


def las(points, normals=None, colours=None, compressed=False, version="1.2", format_=2) -> bytes:
    """By laspy, with steps of a micrometre."""
    import laspy

    file = laspy.LasData(laspy.LasHeader(point_format=format_, version=version))
    file.header.offsets, file.header.scales = np.floor(np.min(points, 0)), [1e-6] * 3
    names = ("NormalX", "NormalY", "NormalZ") if normals is not None else ()
    for name in names:
        file.add_extra_dim(laspy.ExtraBytesParams(name=name, type=np.float32))
    file.x, file.y, file.z = np.asarray(points).T
    for k, name in enumerate(names):
        file[name] = normals[:, k]
    if colours is not None:
        file.red, file.green, file.blue = 257 * np.asarray(colours).T
    stream = io.BytesIO()
    file.write(stream, do_compress=compressed)
    return stream.getvalue()


def e57(scans) -> bytes:
    """By pye57, which writes float32: a scan for each (points, colours, where the scanner stood)."""
    import pye57

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.e57"
        with pye57.E57(str(path), mode="w") as file:
            for points, colours, stand in scans:
                columns = dict(zip(("cartesianX", "cartesianY", "cartesianZ"), (points - stand).T.copy(), strict=True))
                columns |= dict(zip(("colorRed", "colorGreen", "colorBlue"), colours.T.astype(np.uint8), strict=True))
                file.write_scan_raw(columns, translation=np.array(stand), rotation=np.array([1.0, 0, 0, 0]))
        return path.read_bytes()


def read_3mf(data):
    """Metres of its unit, vertices and triangles, by the words of the specification."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        relations = ElementTree.fromstring(archive.read("_rels/.rels"))
        (model,) = [part.get("Target").lstrip("/") for part in relations if part.get("Type").endswith("/3dmodel")]
        kinds = ElementTree.fromstring(archive.read("[Content_Types].xml"))
        assert {part.get("Extension") for part in kinds} == {"rels", "model"}
        root = ElementTree.fromstring(archive.read(model))
    assert root.tag == f"{CORE}model"
    (item,) = root.findall(f"{CORE}build/{CORE}item")
    (thing,) = root.findall(f"{CORE}resources/{CORE}object")
    assert (item.get("objectid"), thing.get("type")) == (thing.get("id"), "model")
    vertices = [[float(v.get(c)) for c in "xyz"] for v in thing.iter(f"{CORE}vertex")]
    faces = [[int(t.get(c)) for c in ("v1", "v2", "v3")] for t in thing.iter(f"{CORE}triangle")]
    return OF_UNIT[root.get("unit")], np.array(vertices), np.array(faces)
