"""Clouds of every format: the points, normals and colours that were written, also by other programs; or one line."""

import subprocess
import sys

import numpy as np
import pytest
from format_bytes import numpy_bytes, pcd, text
from scripts import ROOT, run
from shapes import sphere

from neural_splines.errors import CloudError
from neural_splines.files import decode_las
from neural_splines.files.point_clouds import load_scanned_cloud

COUNT = 200
CLOUD = sphere(COUNT)
P, N = CLOUD.points.numpy(), CLOUD.normals.numpy()
RGB = np.random.default_rng(0).integers(0, 256, (COUNT, 3))
HEAT = np.linspace(-1, 1, COUNT)
UTM = P + np.array([512345.0, 4567890.0, 812.0])


XYZ = dict(zip("xyz", P.T.astype("<f8"), strict=True))
SIX = XYZ | dict(zip(("normal_x", "normal_y", "normal_z"), N.T.astype("<f4"), strict=True))
PACKED = (RGB[:, 0] << 16 | RGB[:, 1] << 8 | RGB[:, 2]).astype("<u4")
# name, bytes, whether it has normals, and colours
GOOD = {
    "a.xyz": (text([P, N]), True, False),
    "three.xyz": (text([P]), False, False),
    "colours.xyz": (text([P, RGB]), False, True),
    "a.xyzn": (text([P, N], "\t"), True, False),
    "a.pts": (text([P, HEAT, RGB], header=f"{COUNT}\n"), False, True),
    "a.csv": (text([P, N], ","), True, False),
    "header.csv": (text([P, RGB, N], ", ", header="X,Y,Z,R,G,B,Nx,Ny,Nz\n"), True, True),
    "quoted.csv": (text([N, P], ";", header='"nx";"ny";"nz";"x";"y";"z"\n'), True, False),
    "decimal commas.csv": (text([P, N], ";", decimal=","), True, False),
    "cloud compare.txt": (text([P, RGB, HEAT], " ", header="//X Y Z R G B Scalar_field\n"), False, True),
    "comments.txt": (text([P, N, RGB], "  ", header="# made on Tuesday\n\n# x y z\n"), True, True),
    "windows.asc": (text([P, N]).replace(b"\n", b"\r\n"), True, False),
    "a.npy": (numpy_bytes(np.save, np.hstack([P, N])), True, False),
    "three.npy": (numpy_bytes(np.save, P), False, False),
    "a.npz": (numpy_bytes(np.savez, points=P, normals=N, colors=RGB / 255, heat=HEAT), True, True),
    "columns.npz": (numpy_bytes(np.savez, **dict(zip("xyzrgb", np.hstack([P, RGB]).T, strict=True))), False, True),
    "ascii.pcd": (pcd("ascii", SIX), True, False),
    "binary.pcd": (pcd("binary", SIX | {"rgb": PACKED}), True, True),
    "float.pcd": (pcd("binary", XYZ | {"rgb": PACKED.view("<f4")}), False, True),
    "compressed.pcd": (pcd("binary_compressed", SIX | {"rgb": PACKED, "zero": 0 * PACKED}), True, True),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_was_written_is_read(tmp_path, name):
    contents, normals, colours = GOOD[name]
    (tmp_path / name).write_bytes(contents)
    found = load_scanned_cloud(tmp_path / name)
    assert np.array_equal(found.points, P)
    assert (found.normals is not None) == normals
    assert not normals or np.abs(found.normals - N).max() < 1e-7
    assert (found.colours is not None) == colours
    assert not colours or np.array_equal(found.colours, RGB)


def test_the_summary_says_how_columns_were_read(tmp_path):
    """Six columns are normals, unless they look like colours."""
    for name, said in (("a.xyz", "x y z nx ny nz"), ("colours.xyz", "x y z red green blue")):
        (tmp_path / name).write_bytes(GOOD[name][0])
        outcome = run("fit.py", tmp_path / name, "auto", 60, 12, "--seed", 0, "--out", tmp_path / "out.ply")
        assert outcome.code == 0, outcome.err
        assert f"(columns read as {said})" in outcome.out


def test_attributes_by_name(tmp_path):
    (tmp_path / "a.npz").write_bytes(GOOD["a.npz"][0])
    assert load_scanned_cloud(tmp_path / "a.npz").scalars == {}
    for wanted in (["heat"], ["HEAT"], ["all"]):
        assert np.array_equal(load_scanned_cloud(tmp_path / "a.npz", wanted).scalars["heat"], HEAT)
    with pytest.raises(CloudError, match=r"a.npz: has no attribute 'cold' \(attributes: heat\)"):
        load_scanned_cloud(tmp_path / "a.npz", ["cold"])


BAD = {
    "word.xyz": (b"0 0 0\n1 0 zero\n", "line 2: 'zero' is not a number"),
    "short.xyz": (b"# two\n0 0 0\n1 0\n", "line 3: 2 numbers where other lines have 3"),
    "two.csv": (b"1,2\n3,4\n", "has 2 columns, and a point needs three"),
    "names.csv": (b"a,b,c\n1,2,3\n", "has no columns x, y and z (columns: a, b, c)"),
    "fewer.csv": (b"x,y,z,nx\n1,2,3\n", "names 4 columns and has 3"),
    "empty.txt": (b"# nothing\n\n", "has no lines of numbers"),
    "only a header.csv": (b"x,y,z\n", "has no lines of numbers"),
    "cut.pts": (b"500\n0 0 0\n1 0 0\n", "declares 500 points but has 2"),
    "binary.txt": (bytes(300), "is not text"),
    "not.npy": (b"0 0 0", "is not read as NPY (EOF: reading magic string"),
    "cut.npy": (GOOD["a.npy"][0][:500], "declares an array of 9600 bytes, and 372 follow"),
    "flat.npy": (numpy_bytes(np.save, P[:, 0]), "save numbers as [n, 3]"),
    "pickle.npy": (numpy_bytes(np.save, np.array([{}], object)), "without pickle"),
    "nothing.npz": (numpy_bytes(np.savez, a=P), "has no array 'points' (arrays: a)"),
    "shape.npz": (numpy_bytes(np.savez, points=P, normals=N[:5]), "its array 'normals' has the shape (5, 3)"),
    "cut.npz": (GOOD["a.npz"][0][:900], "is not a"),
    "header.pcd": (b"# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\n", "its PCD header has no line DATA"),
    "fields.pcd": (GOOD["ascii.pcd"][0].replace(b"TYPE F", b"TYPE Q"), "its PCD header is not understood"),
    "cut.pcd": (GOOD["binary.pcd"][0][:900], "the header declares 200 points but"),
    "cut ascii.pcd": (GOOD["ascii.pcd"][0][:5000], "the file is truncated"),
    "cut compressed.pcd": (GOOD["compressed.pcd"][0][:2000], "do not have the size that the header declares"),
    "broken compressed.pcd": (GOOD["compressed.pcd"][0][:-50] + bytes(50), "its compressed data are broken"),
    "kind.pcd": (GOOD["ascii.pcd"][0].replace(b"DATA ascii", b"DATA base64"), "its PCD data are 'base64'"),
    "a.las": (b"LASF" + bytes(400), "is not read as LAS or LAZ"),
    "a.laz": (b"nothing", "is not read as LAS or LAZ"),
    "a.e57": (b"ASTM-E57" + bytes(400), "is not read as E57"),
    "a.docx": (b"0 0 0\n", "is not in a known format; give it the extension of its format (.ply, "),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_broken_is_one_line(tmp_path, name):
    for package, suffixes in (("laspy", (".las", ".laz")), ("pye57", (".e57",))):
        if name.endswith(suffixes):
            pytest.importorskip(package)
    contents, message = BAD[name]
    (tmp_path / name).write_bytes(contents)
    with pytest.raises(CloudError) as caught:
        load_scanned_cloud(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_viewpoint_of_pcd_is_that_of_all_points(tmp_path):
    (tmp_path / "a.pcd").write_bytes(pcd("binary", XYZ, "1 2 3 1 0 0 0"))
    assert np.array_equal(load_scanned_cloud(tmp_path / "a.pcd").viewpoints, np.tile((1.0, 2, 3), (COUNT, 1)))


@pytest.mark.parametrize("kind", ["ascii", "binary", "compressed"])
@pytest.mark.parametrize("suffix", [".pcd", ".ply", ".xyz"])
def test_clouds_of_open3d(tmp_path, kind, suffix):
    o3d = pytest.importorskip("open3d")
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(P))
    cloud.normals = o3d.utility.Vector3dVector(N)
    cloud.colors = o3d.utility.Vector3dVector(RGB / 255)
    path = tmp_path / f"a{suffix}"
    assert o3d.io.write_point_cloud(str(path), cloud, write_ascii=kind == "ascii", compressed=kind == "compressed")
    found = load_scanned_cloud(path)
    assert np.abs(found.points - P).max() < 1e-6
    if suffix != ".xyz":
        assert np.abs(found.normals - N).max() < 1e-6
        assert np.abs(found.colours.astype(int) - RGB).max() <= 1


def test_standard_input_to_standard_output(tmp_path):
    """The bytes of a file, and nothing else; the summary goes to standard error."""
    (tmp_path / "a.xyz").write_bytes(GOOD["a.xyz"][0])
    args = ["auto", "60", "12", "--seed", "0", "--out"]
    assert run("fit.py", tmp_path / "a.xyz", *args, tmp_path / "a.stl").code == 0
    command = [sys.executable, str(ROOT / "fit.py"), "-", *args, "-", "--format", "stl"]
    done = subprocess.run(command, input=GOOD["a.xyz"][0], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tmp_path / "a.stl").read_bytes()
    assert b"mesh:     " in done.stderr
    empty = subprocess.run(command, input=b"", capture_output=True, timeout=120)
    assert (empty.returncode, empty.stdout) == (2, b"")
    assert b"standard input is empty" in empty.stderr


def test_laz_without_a_decompressor_names_what_to_install(tmp_path, monkeypatch):
    """laspy reads LAS by itself, and LAZ by a package that it does not ask for."""
    laspy = pytest.importorskip("laspy")
    cloud = laspy.create(point_format=0)
    cloud.x, cloud.y, cloud.z = np.random.default_rng(0).random((3, 20))
    for name in ("a.las", "a.laz"):
        cloud.write(tmp_path / name)
    monkeypatch.setattr(decode_las, "confine", lambda path: None)  # it is for a process of its own
    monkeypatch.setattr(laspy.LazBackend, "detect_available", lambda: ())
    assert sum(len(piece["x"]) for piece in decode_las.decode(str(tmp_path / "a.las"), ())) == 20
    with pytest.raises(CloudError, match="pip install laspy lazrs"):
        next(decode_las.decode(str(tmp_path / "a.laz"), ()))
