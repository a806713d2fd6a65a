"""--classes: only the points of some classes, of every format that has them, whole and in pieces."""

import io

import numpy as np
import pytest
from format_bytes import text
from pieces import in_pieces, same
from scripts import captured, run
from shapes import sphere

import neural_splines as ns
from neural_splines.command_line.main import main
from neural_splines.errors import CloudError, SettingsError
from neural_splines.files.point_clouds import load_scanned_cloud
from neural_splines.files.streams import ReadOptions

CLOUD = sphere(300)
P, N = CLOUD.points.numpy(), CLOUD.normals.numpy()
CODES = np.resize([2, 2, 6, 7, 5], 300)  # 120, 60, 60 and 60 points
ARGS = ["auto", 60, 12, "--seed", 0]


def las(path, withheld=()):
    laspy = pytest.importorskip("laspy")
    file = laspy.LasData(laspy.LasHeader(point_format=6, version="1.4"))
    file.header.scales = [1e-6] * 3
    for name in ("NormalX", "NormalY", "NormalZ"):
        file.add_extra_dim(laspy.ExtraBytesParams(name=name, type=np.float32))
    file.x, file.y, file.z = P.T
    file.NormalX, file.NormalY, file.NormalZ = N.T
    file.classification = CODES
    file.withheld[list(withheld)] = 1
    file.write(str(path))


def ply(path):
    kind = [(name, "<f8") for name in ("x", "y", "z", "nx", "ny", "nz")] + [("scalar_Classification", "<f4")]
    rows = np.rec.fromarrays([*P.T, *N.T, CODES], dtype=kind)
    header = "\n".join(f"property {'float' if code == '<f4' else 'double'} {name}" for name, code in kind)
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(P)}\n{header}\nend_header\n"
    path.write_bytes(head.encode() + rows.tobytes())


def csv(path):
    path.write_bytes(text([P, N, CODES], ",", header="X,Y,Z,Nx,Ny,Nz,Class\n"))


def npz(path):
    stream = io.BytesIO()
    np.savez(stream, points=P, normals=N, classification=CODES)
    path.write_bytes(stream.getvalue())


WRITERS = {"a.las": las, "a.laz": las, "a.ply": ply, "a.csv": csv, "a.npz": npz}


@pytest.mark.parametrize("name", WRITERS)
def test_the_points_of_these_classes_whole_and_in_pieces(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    asked = np.isin(CODES, (2, 6))
    found = load_scanned_cloud(path, classes=(2, 6))
    assert np.abs(found.points - P[asked]).max() < 1e-6
    assert np.abs(found.normals - N[asked]).max() < 1e-6
    assert found.classes == {2: 120, 6: 60}
    assert same(in_pieces(path, ReadOptions(classes=(2, 6))), found)


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"a.laz"}))
def test_a_class_that_is_not_there_names_those_that_are(tmp_path, name):
    WRITERS[name](tmp_path / name)
    there = r"no points of class 9 \(classes: 2: 120 points, 5: 60 points, 6: 60 points, 7: 60 points\)"
    for read in (load_scanned_cloud, lambda path, classes: in_pieces(path, ReadOptions(classes=classes))):
        with pytest.raises(CloudError, match=there):
            read(tmp_path / name, classes=(2, 9))


def test_noise_is_read_where_its_class_is_asked_for_and_withheld_points_never(tmp_path):
    las(tmp_path / "a.las", withheld=[0, 3])  # of classes 2 and 7
    with pytest.warns(ns.ReconstructionWarning, match="1 of 300 points are marked"):
        found = load_scanned_cloud(tmp_path / "a.las", classes=(7,))
    assert found.classes == {7: 59}
    assert np.abs(found.points - P[CODES == 7][1:]).max() < 1e-6


@pytest.mark.parametrize("name", ["a.xyz", "a.npy"])
def test_files_without_classes_say_so(tmp_path, name):
    table = np.hstack([P, N])
    np.save(tmp_path / name, table) if name == "a.npy" else np.savetxt(tmp_path / name, table)
    for read in (load_scanned_cloud, lambda path, classes: in_pieces(path, ReadOptions(classes=classes))):
        with pytest.raises(CloudError, match=f"{name}: has no classes of points"):
            read(tmp_path / name, classes=(2,))


def test_the_summary_counts_them_and_the_repeat_line_asks_for_them(tmp_path):
    csv(tmp_path / "a.csv")
    outcome = run("fit.py", tmp_path / "a.csv", *ARGS, "--classes", "2, 6,2", "--verbose", "--out", tmp_path / "m.ply")
    assert outcome.code == 0, outcome.err
    assert "\nclasses:  120 of class 2, 60 of class 6\n" in outcome.out
    assert " --classes 2,6 " in outcome.out.splitlines()[-1]
    oriented = tmp_path / "n.ply"
    outcome = captured(main, "normals", tmp_path / "a.csv", oriented, "--normals", "file", "--classes", "6")
    assert "\nclasses:  60 of class 6\n" in outcome.out
    assert len(load_scanned_cloud(oriented).points) == 60
    outcome = run("fit.py", tmp_path / "a.csv", *ARGS, "--classes", "9", "--out", tmp_path / "x.ply")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "x.ply").exists()


@pytest.mark.parametrize("text", ["", "ground", "2;6", "-1", "300", "2,", "\N{SUPERSCRIPT TWO}"])
def test_what_are_no_classes_is_refused(text):
    outcome = run("fit.py", "a.csv", *ARGS, f"--classes={text}")
    assert outcome.code == 2
    assert "argument --classes: " in outcome.err


def test_classes_in_python(tmp_path):
    csv(tmp_path / "a.csv")
    points, normals = ns.load_point_cloud(tmp_path / "a.csv", classes=(5,))
    assert len(points) == len(normals) == 60
    for wrong in ("2,6", 2, [2.5]):
        with pytest.raises(SettingsError, match="classes must be"):
            ns.load_point_cloud(tmp_path / "a.csv", classes=wrong)
