"""Tables of numbers: read as they were meant, or refused with the column that was not understood."""

from __future__ import annotations

import numpy as np
import pytest
from shapes import sphere

from neural_splines.errors import CloudError, said
from neural_splines.files.point_clouds import load_scanned_cloud

COUNT = 60
RANDOM = np.random.default_rng(0)
CLOUD = sphere(COUNT)
P, N = CLOUD.points.numpy(), CLOUD.normals.numpy()
GREY = RANDOM.integers(20, 235, (COUNT, 1))
RGB = np.clip(GREY + RANDOM.integers(-20, 20, (COUNT, 3)), 0, 255)  # channels that follow each other, as in pictures
INTENSITY = RANDOM.integers(0, 256, COUNT)
RETURNS, CLASSES = RANDOM.integers(1, 4, COUNT), RANDOM.choice([1, 2, 5, 6], COUNT)
IDS = np.arange(1, COUNT + 1)
CODES = ["GRND", "TREE", "EDGE"] * (COUNT // 3)
HEAT = RANDOM.normal(size=COUNT)


def text(*columns, separator=" ", header="", decimal=".", form="{:.17g}", end=""):
    """Lines of the columns, [n] or [n, k]; words stay as they are."""
    rows = zip(*(np.asarray(c).reshape(COUNT, -1).tolist() for c in columns), strict=True)
    words = [[w if isinstance(w, str) else form.format(w) for part in row for w in part] for row in rows]
    return (header + "".join(separator.join(line).replace(".", decimal) + end + "\n" for line in words)).encode()


def pwn(points, normals):
    return f"{COUNT}\n".encode() + text(points) + text(normals)


def ptx(*stations, colours=None):
    """Stations (pose R, t) that saw all points, each with one pulse that met nothing."""
    out = b""
    for turn, place in stations:
        rows = [[*p, 0.5, *(colours[k] if colours is not None else ())] for k, p in enumerate((P - place) @ turn.T)]
        rows.append([0, 0, 0, 0.5, *((0, 0, 0) if colours is not None else ())])
        pose = [[*turn[k], 0] for k in range(3)] + [[*place, 1]]
        head = [[len(rows)], [1], place, *turn, *pose]
        out += "".join(" ".join(f"{v:.17g}" for v in row) + "\n" for row in [*head, *rows]).encode()
    return out


QUARTER = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
# name, bytes, and what it has beside its points: normals, colours, numbers by name
LAYOUTS = {
    "plain.xyz": (text(P), ""),
    "comma.csv": (text(P, separator=","), ""),
    "semicolon.csv": (text(P, separator=";"), ""),
    "pipe.txt": (text(P, separator="|"), ""),
    "tab.txt": (text(P, separator="\t"), ""),
    "comma and blank.csv": (text(P, separator=", "), ""),
    "blanks.txt": (text(P, separator="   "), ""),
    "trailing comma.csv": (text(P, separator=",", end=","), ""),
    "decimal commas, semicolons.csv": (text(P, separator=";", decimal=","), ""),
    "decimal commas, tabs.txt": (text(P, separator="\t", decimal=","), ""),
    "decimal commas, blanks.xyz": (text(P, separator=" ", decimal=",", form="{:.5f}"), ""),
    "decimal commas with names.csv": (text(P, N, separator=";", decimal=",", header="x;y;z;nx;ny;nz\n"), "n"),
    "normals.xyz": (text(P, N), "n"),
    "normals of six digits.xyz": (text(P, N, form="{:.6f}"), "n"),
    "normals.pwn": (text(P, N), "n"),
    "count normals.pwn": (text(P, N, header=f"{COUNT}\n"), "n"),
    "points then normals.pwn": (pwn(P, N), "n"),
    "colours.xyz": (text(P, RGB), "c"),
    "colours.xyzrgb": (text(P, RGB), "c"),
    "fractions.xyzrgb": (text(P, RGB / 255), "c"),
    "fractions.txt": (text(P, RGB / 255), "c"),
    "colours written with points.txt": (text(P, RGB, form="{:.6f}"), "c"),
    "colours of savetxt.txt": (text(P, RGB, form="{:.18e}"), "c"),
    "sixteen bits.txt": (text(P, RGB * 257), "c"),
    "colours and alpha.txt": (text(P, RGB, np.full(COUNT, 255)), "c"),
    "normals and colours.txt": (text(P, N, RGB), "nc"),
    "colours and normals.txt": (text(P, RGB, N), "nc"),
    "intensity and colours.pts": (text(P, INTENSITY, RGB), "ci"),
    "intensity of fractions and colours.pts": (text(P, INTENSITY / 255, RGB), "ci"),
    "negative intensity and colours.pts": (text(P, -4 * INTENSITY - 1, RGB, header=f"{COUNT}\n"), "ci"),
    "colours and intensity.txt": (text(P, RGB, INTENSITY), "c"),
    "intensity.xyz": (text(P, INTENSITY), "i"),
    "intensity and normals.txt": (text(P, HEAT, N), "ni"),
    "intensity, return and class.txt": (text(P, 20 * INTENSITY, RETURNS, CLASSES), "i"),
    "small intensity, return and class.txt": (text(P, INTENSITY, RETURNS, CLASSES), "i"),
    "normals of zero.xyz": (text(P, 0 * N), ""),
    "three numbers.txt": (text(P, HEAT, 2 * HEAT, 3 * HEAT), "i"),
    "number first.csv": (text(IDS, P, separator=","), ""),
    "number from zero.txt": (text(IDS - 1, P, RGB), "c"),
    "number, normals.txt": (text(IDS, P, N), "n"),
    "surveyor.csv": (text(IDS, P, CODES, separator=","), ""),
    "surveyor with words for numbers.csv": (text([f"P{k}" for k in IDS], P, CODES, separator=","), ""),
    "surveyor with names.csv": (text(IDS, P, CODES, separator=",", header="Id,Easting,Northing,Height,Code\n"), ""),
    "surveyor with units.csv": (text(P, separator=";", header="East [m];North [m];Elevation [m]\n"), ""),
    "east north height.txt": (text(P, separator=" ", header="E N H\n"), ""),
    "CloudCompare.asc": (text(P, RGB, header="//X Y Z R G B\n"), "c"),
    "CloudCompare with a count.asc": (
        text(P, RGB / 255, HEAT, header=f"//X Y Z Rf Gf Bf Scalar_field\n{COUNT}\n"),
        "c",
    ),
    "CloudCompare normals.asc": (text(P, N, header=f"//X Y Z Nx Ny Nz\n{COUNT}\n"), "n"),
    "ParaView.csv": (
        text(N, P, separator=",", header='"Normals:0","Normals:1","Normals:2","Points:0","Points:1","Points:2"\n'),
        "n",
    ),
    "older ParaView.csv": (text(HEAT, P, separator=",", header="heat,Points_0,Points_1,Points_2\n"), ""),
    "pandas.csv": (text(IDS - 1, P, N, separator=",", header=",x,y,z,nx,ny,nz\n"), "n"),
    "savetxt header.txt": (text(P, N, header="# x y z nx ny nz\n"), "n"),
    "order of a comment.txt": (text(RGB, P, header="# r g b x y z\n"), "c"),
    "title and names.txt": (text(P, RGB, header="A survey of the quarry\nX Y Z R G B\n"), "c"),
    "capitals.csv": (text(P, RGB, N, separator=",", header="X,Y,Z,RED,GREEN,BLUE,NX,NY,NZ\n"), "nc"),
    "words among names.csv": (text(P, CODES, N, separator=",", header="x,y,z,kind,nx,ny,nz\n"), "n"),
    "old Macintosh.txt": (text(P, N).replace(b"\n", b"\r"), "n"),
    "byte order mark.csv": (b"\xef\xbb\xbf" + text(P, N, separator=",", header="x,y,z,nx,ny,nz\n"), "n"),
    "one station.ptx": (ptx((np.eye(3), np.zeros(3))), "v"),
    "two stations.ptx": (ptx((np.eye(3), np.array([5.0, 0, 1])), (QUARTER, np.array([-5.0, 2, 1]))), "vv"),
    "station with colours.ptx": (ptx((QUARTER, np.array([3.0, 0, 0])), colours=RGB), "vc"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_table_is_read_as_it_is_meant(tmp_path, name):
    contents, has = LAYOUTS[name]
    (tmp_path / name).write_bytes(contents)
    found = load_scanned_cloud(tmp_path / name, ("all",))
    times = max(1, has.count("v"))
    assert np.abs(found.points - np.tile(P, (times, 1))).max() < 1e-5
    assert (found.normals is not None) == ("n" in has), found.reading
    assert "n" not in has or np.abs(found.normals - N).max() < 1e-5
    assert (found.colours is not None) == ("c" in has), found.reading
    assert "c" not in has or np.array_equal(found.colours, RGB), found.reading
    assert (found.viewpoints is not None) == ("v" in has)
    assert "i" not in has or "intensity" in found.scalars, found.reading


def test_stations_say_where_they_stood(tmp_path):
    (tmp_path / "two.ptx").write_bytes(LAYOUTS["two stations.ptx"][0])
    found = load_scanned_cloud(tmp_path / "two.ptx")
    assert np.array_equal(np.unique(found.viewpoints, axis=0), [[-5.0, 2, 1], [5.0, 0, 1]])
    assert found.reading == "2 stations, 2 pulses met nothing"


@pytest.mark.parametrize(
    ("words", "names"),
    [("x y z i r g b", "ci"), ("x,y,z,-,r,g,b", "c"), ("z x y heat - - -", ""), ("x y z nx ny nz -", "n")],
)
def test_a_user_may_name_the_columns(tmp_path, words, names):
    (tmp_path / "a.txt").write_bytes(text(P, 0.001 * INTENSITY, RGB))
    found = load_scanned_cloud(tmp_path / "a.txt", ("all",), words)
    order = ["xyz".index(word) for word in words.replace(",", " ").split() if word in tuple("xyz")]
    assert np.array_equal(found.points[:, order], P)
    assert ((found.normals is not None), (found.colours is not None)) == ("n" in names, "c" in names)
    assert ("intensity" in found.scalars, "heat" in found.scalars) == ("i" in names, "heat" in words)


@pytest.mark.parametrize("splats", [False, True])
def test_only_splats_are_left_out_for_their_opacity(tmp_path, splats):
    """The same column of another cloud is a number like others."""
    names = "f_dc_0,f_dc_1,f_dc_2," if splats else ""
    opacity = np.where(np.arange(COUNT) % 3, 4.0, -9.0)
    columns = [P, *([0.0 * P] if splats else []), opacity]
    (tmp_path / "a.csv").write_bytes(text(*columns, separator=",", header=f"x,y,z,{names}opacity\n"))
    found = load_scanned_cloud(tmp_path / "a.csv")
    assert len(found.points) == (COUNT * 2 // 3 if splats else COUNT)
    assert (found.colours is not None) == splats
    assert not splats or set(found.colours.ravel().tolist()) == {128}


REFUSED = {
    "too few.txt": (text(P, RGB), "x y z r g", "has 6 columns and --columns names 5"),
    "twice.txt": (text(P), "x y x", "--columns names two columns 'x'"),
    "no z.txt": (text(P), "x y i", "names no x, y and z"),
    "named.csv": (text(P, separator=",", header="x,y,z\n"), "x y z", "which --columns does not change"),
    "degrees.csv": (text(P, separator=",", header="longitude,latitude,height\n"), "", "longitudes and latitudes"),
    "words.csv": (
        text(P, CODES, separator=",", header="a,b,c,d\n"),
        "",
        "has no columns x, y and z (columns: a, b, c)",
    ),
    "one word.txt": (text(P).replace(b"\n", b"\n0 one 2\n", 1), "", "line 2: 'one' is not a number"),
    "long line.txt": (text(P) + b"0 0 0 0\n", "", f"line {COUNT + 1}: 4 numbers where other lines have 3"),
    "cut.ptx": (ptx((np.eye(3), np.zeros(3)))[:-400], "", "declares 61 pulses but"),
    "no station.ptx": (text(P), "", "a station begins with two whole numbers"),
    "no matrix.ptx": (b"1\n1\n" + 8 * b"0 0 0\n" + b"0 0 0 1\n", "", "a station's matrix has 4 x 4 numbers"),
    "three numbers.ptx": (b"1\n1\n" + 4 * b"0 0 0\n" + 4 * b"0 0 0 1\n" + b"1 1 1\n", "", "3 numbers, a pulse has 4"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_one_line(tmp_path, name):
    contents, words, message = REFUSED[name]
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(CloudError) as caught:
        load_scanned_cloud(tmp_path / name, (), words)
    assert message in said(caught.value)
    assert "\n" not in str(caught.value)
