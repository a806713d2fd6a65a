"""Malformed and extreme inputs, each with the one outcome that is right for it.

    python tests/corpus.py FOLDER    writes them all

An outcome is 'mesh', 'warning' (a mesh, and a message that contains `message`) or 'error' (one line
that contains `message`, and nothing else). Clouds are small: a sphere of 400 points.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cloud_bytes import (
    COLOURS,
    FACES,
    LINE,
    LONG,
    MIXED,
    NORMAL,
    ODD,
    PLANE,
    PROPERTIES,
    SIZE,
    TEXT,
    UP,
    XYZ,
    N,
    P,
    changed,
    header,
    lists,
    obj,
    off,
    ply,
    reworded,
    sphere,
    with_lists,
)


@dataclass(frozen=True)
class Case:
    """`write(path)` makes the file; `name` and `suffix` are the file's name."""

    name: str
    write: Callable[[Path], object]
    outcome: str
    message: str = ""
    suffix: str = ".ply"

    def file(self, folder: Path) -> Path:
        """The path of this case in a folder, after writing it."""
        path = Path(folder) / f"{self.name}{self.suffix}"
        self.write(path)
        return path


# name, contents, outcome, message
_FILES = [
    # normals
    ("no_normals", ply(P, None, names=XYZ), "mesh", ""),
    ("two_of_three_normals", ply(names=(*XYZ, "nx", "ny")), "mesh", ""),
    ("zero_normals_all", ply(P, 0 * N), "warning", "400 of 400 normals are zero"),
    ("zero_normals_some", ply(P, changed(N, slice(40), 0.0)), "warning", "40 of 400 normals are zero"),
    ("nan_normals_some", ply(P, changed(N, slice(7), np.nan)), "warning", "7 of 400 normals are zero or not"),
    ("nan_normals_all", ply(P, np.nan * N), "warning", "400 of 400 normals are zero or not"),
    ("non_unit_normals", ply(P, N * np.geomspace(1e-3, 1e3, 400)[:, None]), "warning", "not of unit length"),
    ("huge_normals", ply(P, 1e200 * N, type_="double"), "warning", "not of unit length"),
    ("tiny_normals", ply(P, 1e-6 * N), "warning", "400 of 400 normals are zero"),
    ("flipped_normals", ply(P, -N), "warning", "--flip-normals"),
    (
        "flipped_normals_some",
        ply(P, changed(N, slice(None, None, 20), -N[::20])),
        "warning",
        "are mixed",
    ),
    ("normals_named_normal_x", ply(names=(*XYZ, "normal_x", "normal_y", "normal_z")), "mesh", ""),
    # points
    ("nan_points_some", ply(changed(P, slice(5), np.nan), N), "warning", "5 not finite"),
    ("infinite_points_some", ply(changed(P, slice(3), np.inf), N), "warning", "3 not finite"),
    ("nan_points_all", ply(np.nan * P, N), "error", "400 not finite"),
    ("one_point", ply(P[:1], N[:1]), "error", "only one usable point"),
    ("two_points", ply(P[[0, 399]], N[[0, 399]]), "warning", "lie on a line"),
    ("three_points", ply(P[[0, 200, 399]], N[[0, 200, 399]]), "mesh", ""),
    ("coincident_points", ply(0 * P + 1.0, N), "error", "all coincide"),
    ("collinear_points", ply(LINE, np.tile(UP, (50, 1))), "warning", "lie on a line"),
    ("coplanar_points", ply(PLANE, np.tile(UP, (225, 1))), "mesh", ""),
    ("many_duplicates", ply(np.tile(P, (5, 1)), np.tile(N, (5, 1))), "warning", "1,600 duplicates"),
    ("utm_double", ply(*sphere(400, 5.0, (5e5, 5e6, 100.0)), type_="double"), "mesh", ""),
    ("utm_float", ply(*sphere(400, 50.0, (5e5, 5e6, 100.0))), "warning", "in steps of 0.5"),
    ("scale_1e-9", ply(1e-9 * P, N), "mesh", ""),
    ("scale_1e9", ply(1e9 * P, N), "mesh", ""),
    ("scale_1e-160", ply(1e-160 * P, N, type_="double"), "error", "range of float64"),
    ("scale_1e160", ply(1e160 * P, N, type_="double"), "error", "range of float64"),
    ("far_from_origin", ply(P + 1e12, N, type_="double"), "error", "subtract an offset"),
    ("one_far_outlier", ply(changed(P, 0, 1e3), N), "warning", "1 of 400 points"),
    ("outlier_out_of_range", ply(changed(P, 0, 1e300), N, type_="double"), "error", "remove the outlier"),
    # files that are not what they seem
    ("empty", b"", "error", "empty"),
    ("jpeg", b"\xff\xd8\xff\xe0" + bytes(range(256)), "error", "not a PLY"),
    ("html", b"<!DOCTYPE html><html>Not found</html>", "error", "not a PLY"),
    ("zeros", bytes(1000), "error", "not a PLY"),
    ("gzipped", gzip.compress(TEXT, mtime=0), "error", "not a PLY"),
    ("only_magic", b"ply\n", "error", "no end_header"),
    ("truncated_header", ply()[:100], "error", "no end_header"),
    ("truncated_text", TEXT[: len(TEXT) // 2], "error", "the line has 4"),
    ("truncated_text_by_a_line", TEXT[: TEXT.rindex(b"\n", 0, -1) + 1], "error", "the data end after 399"),
    ("truncated_text_in_a_line", TEXT[: TEXT.rindex(b" ")], "error", "the line has 5"),
    ("truncated_binary", ply()[: SIZE // 2], "error", "the file is truncated"),
    ("truncated_by_a_byte", ply()[:-1], "error", "only 399 of 24 bytes"),
    ("no_data", header("element vertex 400", *PROPERTIES), "error", "only 0 bytes follow"),
    ("header_longer_than_data", ply(count=500), "error", "only 400 of 24 bytes"),
    ("more_data_than_header", ply(count=300), "warning", "ignored 2400 bytes"),
    ("more_lines_than_header", ply(count=300, order="ascii"), "warning", "after the 300 points"),
    ("transferred_as_text", ply().replace(b"\n", b"\r\n"), "error", "transferred as text"),
    ("text_called_binary", TEXT.replace(b"ascii", b"binary_little_endian", 1), "warning", "ignored"),
    ("binary_called_text", ply().replace(b"binary_little_endian", b"ascii", 1), "error", "is not a number"),
    ("wrong_byte_order", ply().replace(b"little", b"big", 1), "warning", "2 not finite"),
    ("huge_count", ply(count=10**15), "error", "only 400 of 24 bytes"),
    ("huge_count_text", ply(count=10**15, order="ascii"), "error", "bytes follow"),
    ("absurd_count", ply(count="9" * 5000), "error", "line 3 is not understood"),
    ("negative_count", ply(count=-1), "error", "line 3 is not understood"),
    ("no_count", ply(count="many"), "error", "line 3 is not understood"),
    ("zero_count", header("element vertex 0", *PROPERTIES), "error", "contains no points"),
    # headers
    ("crlf_text", ply(order="ascii", newline="\r\n"), "mesh", ""),
    ("crlf_header_binary", ply(newline="\r\n"), "mesh", ""),
    ("cr_text", ply(order="ascii", newline="\r"), "mesh", ""),
    ("cr_header_binary", ply(newline="\r"), "mesh", ""),
    ("byte_order_mark", b"\xef\xbb\xbf" + TEXT, "mesh", ""),
    ("comments", ply(before="comment é \x00 %s\nobj_info num_cols 512\n\ncomment", after="comment"), "mesh", ""),
    ("endless_header_line", ply(before="comment " + "x" * (1 << 20)), "error", "no end_header within"),
    ("endless_header", ply(before="comment\n" * 200_000), "error", "no end_header within"),
    ("unknown_keyword", ply(before="elephant 7"), "error", "line 3 is not understood: 'elephant 7'"),
    ("no_format", header("element vertex 1", first="comment"), "error", "no format"),
    ("unknown_encoding", header(first="format binary_middle_endian 1.0"), "error", "line 2 is not understood"),
    ("property_before_element", ply(before="property float x"), "error", "line 3 is not understood"),
    ("unknown_type", header("element vertex 1", "property quad x"), "error", "line 4 is not understood"),
    ("no_vertex_element", header("element point 1", "property float x"), "error", "no element 'vertex'"),
    ("two_vertex_elements", ply(after="element vertex 3\nproperty float x"), "error", "2 elements 'vertex'"),
    ("vertex_without_properties", header("element vertex 9"), "error", "no property 'x'"),
    ("no_z", ply(names=("x", "y", *NORMAL)), "error", "no property 'z'"),
    ("list_as_coordinate", ply(types={"x": "list uchar float"}, order="ascii"), "error", "'x' is a list"),
    ("property_twice", ply(names=(*XYZ, "x", *NORMAL)), "error", "'x' is declared 2 times"),
    # what PLY allows
    ("text", TEXT, "mesh", ""),
    ("big_endian", ply(order=">"), "mesh", ""),
    ("double", ply(type_="double"), "mesh", ""),
    ("mixed_types_and_order", ply(names=(*NORMAL, *XYZ)[::-1], types={"x": "double", "ny": "double"}), "mesh", ""),
    ("integer_coordinates", ply(np.round(1000 * P), N, types=dict.fromkeys(XYZ, "short")), "mesh", ""),
    ("colours", ply(names=("red", *XYZ, "green", *NORMAL, "blue"), extra=COLOURS), "mesh", ""),
    ("colours_text", ply(names=("red", *XYZ, "green", *NORMAL, "blue"), extra=COLOURS, order="ascii"), "mesh", ""),
    ("faces_after", ply(after=FACES) + lists(MIXED), "mesh", ""),
    ("faces_after_truncated", ply(after=FACES) + lists(MIXED)[:-9], "mesh", ""),
    ("triangles_before", ply(before=FACES, data_before=lists([3] * 60)), "mesh", ""),
    ("polygons_before", ply(before=FACES, data_before=lists(MIXED)), "mesh", ""),
    ("polygons_before_big_endian", ply(before=FACES, data_before=lists(MIXED, ">"), order=">"), "mesh", ""),
    ("polygons_before_text", ply(before=FACES, data_before=lists(MIXED, "ascii"), order="ascii"), "mesh", ""),
    ("unknown_elements", ply(before=ODD, data_before=b"abcd"), "mesh", ""),
    ("lists_in_vertices", with_lists("<"), "mesh", ""),
    ("lists_in_vertices_text", with_lists("ascii"), "mesh", ""),
    ("huge_list_before", ply(before=FACES, data_before=b"\xff"), "error", "the data end after"),
    ("negative_list", ply(before=FACES.replace("uchar", "char"), data_before=b"\xff"), "error", "list of length -1"),
    # text
    ("nan_and_inf_words", reworded(b"nan", b"NaN", b"inf", b"-Infinity", b"1e999"), "warning", "5 not finite"),
    ("nan_words_of_windows", reworded(b"-1.#IND", b"1.#QNAN", b"-nan(ind)"), "warning", "3 not finite"),
    ("word_in_text", reworded(b"zero"), "error", "is not a number"),
    ("decimal_commas", reworded(b"0,5"), "error", "'0,5' is not a number"),
    ("nul_in_text", reworded(b"\x00"), "error", "is not a number"),
    ("short_lines", ply(order="ascii", after="property float extra"), "error", "the line has 6"),
    ("long_lines", LONG.replace(b"property uchar red\n", b"", 1), "error", "the line has 7"),
    ("one_long_line", TEXT.rstrip() + b" 7\n", "error", "the line has 7"),
    ("blank_lines", TEXT.replace(b"\n-0", b"\n \n\n-0", 30), "mesh", ""),
    ("wrapped_lines", reworded(b"0.5\n"), "error", "the line has 1"),
    ("bad_list_length_text", with_lists("ascii").replace(b"\n0 ", b"\n-1 ", 1), "error", "the length of a list"),
]

_OTHER_FORMATS = [
    ("obj", obj(P, N), "mesh", "", ".obj"),
    (
        "obj_faces",
        obj(P, N[::-1], "f 1//400 2//399 3//398\nf -1/1/1 -2//2 -3/3/3"),
        "warning",
        "394 of 400 normals",
        ".obj",
    ),
    ("obj_no_normals", obj(P, N[:0]), "mesh", "", ".obj"),
    ("obj_few_normals", obj(P, N[:3]), "error", "400 vertices but 3 normals", ".obj"),
    ("obj_bad_index", obj(P, N, "f 1//1 2//2 -9999//3"), "error", "that are not there", ".obj"),
    ("obj_short_line", obj(P, N) + b"v 1 2\n", "error", "line 802", ".obj"),
    ("obj_garbage", bytes(range(256)), "error", "no vertices", ".obj"),
    ("off", off(P, N), "mesh", "", ".off"),
    ("off_no_normals", off(P, N[:, :0], "OFF"), "mesh", "", ".off"),
    ("off_truncated", off(P, N)[:5000], "error", "the file is truncated", ".off"),
    ("off_huge_count", off(P, N, count=2 * 10**9), "error", "400 lines follow", ".off"),
    ("off_negative_count", off(P, N, count=-5), "error", "no vertex count", ".off"),
    ("stl", bytes(84), "error", "no vertex normals", ".stl"),
    ("unknown_format", b"0 0 0 0 0 1\n", "error", "give it the extension of its format", ".docx"),
    ("words", b"0 0 0 0 0 1\n1 0 0 0 0 one\n", "error", "line 2: 'one' is not a number", ".xyz"),
    (
        "pandas",
        b"x,y,z,nx,ny,nz\n" + b"\n".join(b"%f,%f,%f,%f,%f,%f" % (*p, *n) for p, n in zip(P, N, strict=True)),
        "mesh",
        "",
        ".csv",
    ),
    ("ply_by_another_name", ply(), "mesh", "", ".dat"),
]

CORPUS = [
    *(
        Case(name, lambda path, data=data: path.write_bytes(data), outcome, message, *suffix)
        for name, data, outcome, message, *suffix in _FILES + _OTHER_FORMATS
    ),
    Case("missing", lambda path: None, "error", "No such file"),
    Case("directory", lambda path: path.mkdir(), "error", "is a directory"),
    Case("in_a_missing_directory", lambda path: None, "error", "No such file", "/cloud.ply"),
]

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{len([case.file(folder) for case in CORPUS])} inputs in {folder}\n")
