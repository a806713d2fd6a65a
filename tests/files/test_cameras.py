"""Camera centres of NeRF-style JSON files: where they stand, what they decide, and what is refused in one line."""

import json
import shlex

import numpy as np
import pytest
from scripts import captured, run, write_cloud
from shapes import sphere, torus

import neural_splines as ns
from neural_splines.command_line import normals as normals_command
from neural_splines.files.meshes import load_mesh
from neural_splines.files.point_clouds import load_point_cloud

GRID = ["auto", "50", "12", "auto", "--regularization", "1e-6", "--seed", "0", "--device", "cpu"]
PLACES = np.array([[0.0, 0.0, -9.0], [0.0, 0.0, 9.0], [9.0, 0.0, 0.0], [-9.0, 0.0, 0.0], [0, 9.0, 0], [0, -9.0, 0]])


def poses(places, seed=0):
    """Camera-to-world matrices [c, 4, 4] of cameras that are turned anyhow."""
    rng = np.random.default_rng(seed)
    found = np.tile(np.eye(4), (len(places), 1, 1))
    for matrix, place in zip(found, places, strict=True):
        matrix[:3, :3] = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        matrix[:3, 3] = place
    return found


def written(path, matrices):
    """A transforms.json of these matrices, with what writers put beside them."""
    frames = [
        {"file_path": f"./images/{k:04}.png", "transform_matrix": matrix.tolist(), "sharpness": 9.0}
        for k, matrix in enumerate(np.asarray(matrices))
    ]
    path.write_text(json.dumps({"camera_angle_x": 0.7, "aabb_scale": 4, "frames": frames}))
    return path


def test_a_camera_stands_where_its_own_coordinates_are_zero(tmp_path):
    """Whichever way its axes point: those of OpenGL and of OpenCV are turned about the same place."""
    places = np.random.default_rng(1).normal(size=(40, 3)) * [1.0, 1e3, 1e-3]
    matrices = poses(places)
    found = ns.load_cameras(written(tmp_path / "transforms.json", matrices))
    local = np.einsum("cij,cj->ci", np.linalg.inv(matrices), np.c_[found, np.ones(40)])
    assert np.abs(local[:, :3]).max() < 1e-9
    assert (found == places).all()
    other = matrices @ np.diag([1.0, -1.0, -1.0, 1.0])
    assert (ns.load_cameras(written(tmp_path / "other.json", other)) == places).all()


def changed(matrix=None, **more):
    frame = {"file_path": "b.png", "transform_matrix": np.eye(4).tolist() if matrix is None else matrix}
    return json.dumps({"frames": [{"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}, frame | more]})


def with_value(value):
    matrix = np.eye(4).tolist()
    matrix[1][3] = value
    return changed(matrix)


NO_MATRIX = "frame 2 (b.png): its transform_matrix is no 4 x 4 matrix of numbers"
BROKEN = {
    "no JSON": ("frames: 3", "is no JSON; expected a NeRF-style transforms.json"),
    "cut off": (changed()[:-9], "is no JSON"),
    "no text": (b"\xff\xfe{}\x80", "is no JSON"),
    "nested too deep": ("[" * 100_000, "is no JSON"),
    "empty": ("", "the file is empty"),
    "a list": ("[1, 2]", "has no list of frames"),
    "no frames": ("{}", "has no list of frames"),
    "frames of another kind": ('{"frames": {"a": 1}}', "has no list of frames"),
    "none of them": ('{"frames": []}', "has no frames; export it again"),
    "a frame of another kind": ('{"frames": [3]}', "frame 1 has no transform_matrix"),
    "no matrix": ('{"frames": [{"file_path": "a.png"}]}', "frame 1 (a.png) has no transform_matrix"),
    "three rows": (changed(np.eye(4)[:3].tolist()), NO_MATRIX),
    "three columns": (changed(np.eye(4)[:, :3].tolist()), NO_MATRIX),
    "one list": (changed(np.eye(4).ravel().tolist()), NO_MATRIX),
    "words": (with_value("far"), NO_MATRIX),
    "true": (with_value(True), NO_MATRIX),
    "null": (with_value(None), NO_MATRIX),
    "a text": (changed("1 0 0 0"), NO_MATRIX),
    "not a number": (with_value(float("nan")), "frame 2 (b.png): its transform_matrix is not finite"),
    "infinite": (with_value(float("inf")), "its transform_matrix is not finite"),
    "too large": (with_value(10**400), "its transform_matrix is not finite"),
    "by columns": (changed(poses([[1.0, 2.0, 3.0]])[0].T.tolist()), "the last row of its transform_matrix is not 0 0"),
    "a name for a terminal": (changed(3, file_path="\x1b[2J"), "frame 2 (\\x1b[2J): its transform_matrix"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_one_line(case, tmp_path):
    content, words = BROKEN[case]
    path = tmp_path / "transforms.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(60))
    found = run("fit-grid.py", cloud, *GRID, "--cameras", path, "--out", tmp_path / "mesh.ply")
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1), found.err
    assert f"{path}: " in found.err
    assert words in found.err
    assert not (tmp_path / "mesh.ply").exists()
    with pytest.raises(ns.CloudError) as raised:
        ns.load_cameras(path)
    assert words in str(raised.value)


def test_a_missing_file_is_one_line(tmp_path):
    cloud = write_cloud(tmp_path / "cloud.ply", sphere(60))
    found = run("fit-grid.py", cloud, *GRID, "--cameras", tmp_path / "none.json", "--out", tmp_path / "mesh.ply")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "none.json: cannot be read (No such file or directory)" in found.err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--sensor-position", 0, 0, 9], "--cameras and --sensor-position both say where it was seen from"),
        (["--inside"], "--inside and --cameras both say which side was seen"),
        (["--normals", "file"], "--cameras is for estimated normals"),
    ],
)
def test_what_contradicts_cameras_is_refused(more, words, tmp_path):
    cloud, path = write_cloud(tmp_path / "cloud.ply", sphere(60)), written(tmp_path / "c.json", poses(PLACES))
    found = run("fit-grid.py", cloud, *GRID, "--cameras", path, *more, "--out", tmp_path / "mesh.ply")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert words in found.err


def test_cameras_are_an_input_that_no_output_replaces(tmp_path):
    cloud, path = write_cloud(tmp_path / "cloud.ply", sphere(60)), written(tmp_path / "c.ply", poses(PLACES))
    before = path.read_bytes()
    for found in (
        run("fit-grid.py", cloud, *GRID, "--cameras", path, "--out", path),
        captured(normals_command.main, cloud, path, "--cameras", path),
    ):
        assert (found.code, found.err.count("\n")) == (2, 1), found.err
        assert "c.ply: is the input, which" in found.err
    assert path.read_bytes() == before


def test_they_decide_as_the_same_positions_do(tmp_path):
    """The same bytes; the summary names the file and how many there are; its repeat line takes a name with a blank."""
    points = torus(1500).points.numpy()
    np.savetxt(tmp_path / "ring.xyz", points)
    path = written(tmp_path / "my cameras.json", poses(np.tile(PLACES, (20, 1))))
    words = ["fit-grid.py", tmp_path / "ring.xyz", "auto", "auto", "16", "auto", *GRID[6:]]
    given = [word for place in np.tile(PLACES, (20, 1)) for word in ("--sensor-position", *place)]
    found = run(*words, "--cameras", path, "--verbose", "--out", tmp_path / "a.ply")
    assert found.code == 0, found.err
    assert run(*words, *given, "--out", tmp_path / "b.ply").code == 0
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()
    lines = {line.split(":")[0]: line for line in found.out.splitlines()}
    assert f"estimated, seen from 120 cameras of {path}, confidence" in lines["normals"]
    assert f"--normals estimate --cameras '{path}'" in lines["choice"]
    assert "--sensor-position" not in found.out
    repeated = shlex.split(lines["repeat"].removeprefix("repeat:").strip())
    repeated[repeated.index("--out") + 1] = str(tmp_path / "c.ply")
    assert run(*repeated).code == 0
    assert (tmp_path / "c.ply").read_bytes() == (tmp_path / "a.ply").read_bytes()


def test_one_camera_is_said_as_one(tmp_path):
    half = sphere(900).points.numpy()
    np.savetxt(tmp_path / "half.xyz", half[half[:, 2] > 0.2])
    path = written(tmp_path / "one.json", poses([[0.0, 0.0, -0.5]]))
    found = captured(normals_command.main, tmp_path / "half.xyz", tmp_path / "out.ply", "--cameras", path)
    assert f"seen from 1 camera of {path}," in found.out, found.err
    cloud = load_point_cloud(tmp_path / "out.ply")[0]
    assert ((cloud.points * cloud.normals).sum(1) < 0.0).all()  # seen from within


def test_as_many_cameras_as_merged_files_are_not_one_of_each(tmp_path):
    """Half of a ball and the other: each with the camera on its far side, if they were taken in order."""
    points = sphere(1600).points.numpy()
    for name, side in (("up", points[:, 2] > 0.0), ("down", points[:, 2] <= 0.0)):
        np.savetxt(tmp_path / f"{name}.xyz", points[side])
    path = written(tmp_path / "c.json", poses(PLACES[:2]))
    for number, parts in enumerate(([], ["--max-memory", "2GB"])):
        out = tmp_path / f"{number}.ply"
        inputs = [tmp_path / "up.xyz", tmp_path / "down.xyz", *GRID[:2], "24", *GRID[3:]]
        found = run("fit-grid.py", *inputs, "--merge", "--cameras", path, *parts, "--out", out)
        assert found.code == 0, found.err
        v, f = (part.numpy() for part in load_mesh(out))
        a, b, c = (v[f[:, k]] for k in range(3))
        assert abs((a * np.cross(b, c)).sum() / 6.0 / (4.0 / 3.0 * np.pi) - 1.0) < 0.1


def test_python_takes_them_as_the_command_does(tmp_path):
    points = torus(1200).points.numpy()
    path = written(tmp_path / "c.json", poses(PLACES))
    np.savetxt(tmp_path / "ring.xyz", points, fmt="%.17g")
    given = ["auto", "auto", "16", "auto", "--regularization", "1e-6", "--points-per-cell", "100", "--seed", "0"]
    more = ["--device", "cpu", "--cameras", path, "--free-space", "--out", tmp_path / "mesh.ply"]
    found = run("fit-grid.py", tmp_path / "ring.xyz", *given, *more)
    assert found.code == 0, found.err
    cameras = ns.load_cameras(path)
    options = {"grid_size": 16, "regularization": 1e-6, "points_per_cell": 100, "device": "cpu"}
    mesh = ns.reconstruct(points, sensor_positions=cameras, free_space=True, **options).mesh
    vertices, faces = (part.numpy() for part in load_mesh(tmp_path / "mesh.ply"))
    assert (mesh.faces == faces).all()
    assert np.abs(mesh.vertices - vertices).max() < 1e-6
    normals = ns.estimate_normals(points, sensor_positions=cameras)
    assert ((normals * torus(1200).normals.numpy()).sum(1) > 0.0).mean() > 0.99
    with pytest.raises(ns.SettingsError, match="free_space=True needs sensor_positions"):
        ns.reconstruct(points, free_space=True, **options)
    with pytest.warns(ns.ReconstructionWarning, match="sensor_positions was not used: the cloud has normals; leave"):
        ns.reconstruct(points, normals, sensor_positions=cameras, **options)
