"""COPC as bytes, by the words of its specification: a LAZ of a chunk for each node of an octree."""

from __future__ import annotations

import io
import struct

import numpy as np

HEADER = 375
ENTRY = struct.Struct("<4iQii")


def octree(points: np.ndarray, most: int) -> tuple[np.ndarray, float, dict[tuple[int, ...], np.ndarray]]:
    """The centre, half the side, and the rows of each node: a full one has some, and the rest lie below."""
    lower, upper = points.min(0), points.max(0)
    centre, half = (lower + upper) / 2, float((upper - lower).max()) / 2 * 1.0001
    nodes: dict[tuple[int, ...], np.ndarray] = {}
    todo = [((0, 0, 0, 0), np.random.default_rng(0).permutation(len(points)))]
    while todo:
        (level, *cell), rows = todo.pop()
        nodes[(level, *cell)] = rows[:most]
        rows = rows[most:]
        side = 2 * half / 2 ** (level + 1)
        below = np.floor((points[rows] - (centre - half)) / side).astype(int)
        for key in np.unique(below, axis=0):
            todo.append(((level + 1, *map(int, key)), rows[(below == key).all(1)]))
    return centre, half, nodes


def copc(file, most: int = 200, pages: int = 2) -> bytes:
    """Of a laspy.LasData of point format 6, 7 or 8, in nodes of so many points at most.

    pages: the nodes from this level on stand in further pages of the table.
    """
    import laspy
    import lazrs

    file.header.update(file.points)
    points = np.column_stack([file.x, file.y, file.z])
    centre, half, nodes = octree(points, most)
    form = file.header.point_format
    packing = lazrs.LazVlr.new_for_compression(form.id, form.num_extra_bytes, True)
    extra = [vlr for vlr in file.header.vlrs if vlr.user_id == "LASF_Spec"]
    records = [("copc", 1, bytes(160)), ("laszip encoded", 22204, packing.record_data())]
    records += [(vlr.user_id, vlr.record_id, vlr.record_data_bytes()) for vlr in extra]
    # Chunks: each node is compressed by itself.
    stream, places = io.BytesIO(), {}
    compressor = lazrs.LasZipCompressor(stream, packing)
    rows = file.points.array.view(np.uint8).reshape(len(points), -1)
    compressor.reserve_offset_to_chunk_table()
    for number, key in enumerate(sorted(nodes)):
        if number:
            compressor.finish_current_chunk()
        compressor.compress_many(np.ascontiguousarray(rows[nodes[key]]).reshape(-1))
    compressor.done()
    data = bytearray(stream.getvalue())
    start = HEADER + sum(54 + len(body) for *_, body in records)
    (table,) = struct.unpack_from("<q", data)
    struct.pack_into("<q", data, 0, table + start)
    reader = io.BytesIO(bytes(data[table:]))
    table_of = lazrs.read_chunk_table_only(reader, packing)
    at = start + 8
    for key, (count, size) in zip(sorted(nodes), table_of, strict=True):
        assert count == len(nodes[key])
        places[key] = (at, size, count)
        at += size
    # The table: a page of the upper levels, and one of each node at the level `pages` with all that is below.
    behind = start + len(data)
    first, further = [], {}
    for key, place in places.items():
        top = tuple([pages, *(k >> (key[0] - pages) for k in key[1:])]) if key[0] >= pages else None
        (first if top is None else further.setdefault(top, [])).append(ENTRY.pack(*key, *place))
    at = behind + 60 + ENTRY.size * (len(first) + len(further))
    body = bytearray(b"".join(first))
    for top, entries in further.items():
        body += ENTRY.pack(*top, at, ENTRY.size * len(entries), -1)
        at += ENTRY.size * len(entries)
    root = len(body)
    body += b"".join(b"".join(entries) for entries in further.values())
    info = struct.pack("<5dQQ2d", *centre, half, half / 64, behind + 60, root, 0.0, 0.0).ljust(160, b"\0")
    records[0] = ("copc", 1, info)
    # The header, by laspy, and what is different in it.
    head = io.BytesIO()
    laspy.LasData(file.header, file.points).write(head, do_compress=False)
    header = bytearray(head.getvalue()[:HEADER])
    struct.pack_into("<II", header, 96, start, len(records))
    header[6] |= 1 << 4  # a coordinate system would be WKT
    header[104] |= 0x80
    struct.pack_into("<QI", header, 235, behind, 1)
    vlrs = b"".join(
        struct.pack("<H16sHH32s", 0, user.encode(), number, len(body), b"") + body for user, number, body in records
    )
    evlr = struct.pack("<H16sHQ32s", 0, b"copc", 1000, len(body), b"")
    return bytes(header) + vlrs + bytes(data) + evlr + bytes(body)
