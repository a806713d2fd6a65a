"""OpenMVS scenes: points, and the sides that their images saw."""

import random
import struct
import warnings

import fuzz_files
import numpy as np
import pytest
from openmvs_bytes import scene
from pieces import in_pieces, same
from scripts import run
from test_colmap import COUNT, Model

from neural_splines.errors import CloudError, ReconstructionWarning
from neural_splines.files.point_clouds import clouds_in, load_scanned_cloud
from neural_splines.normals.orient import orient
from neural_splines.settings import NormalSettings

# Of two cameras on a platform: turned by a quarter about z, and away from its middle.
MOUNTS = [(np.eye(3), np.zeros(3)), (np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([0.5, -0.25, 1.0]))]
LITTLE = {"points": np.eye(4, 3), "poses": [(np.eye(3), np.array([0.0, 0, 5]))] * 3}


def of_model(model, **more):
    tracks = [np.nonzero(row)[0] for row in model.seen]
    poses = list(zip(model.rotations, model.centres, strict=True))
    return scene(model.points, tracks, poses, mounts=MOUNTS, **more)


@pytest.fixture(scope="module")
def model():
    return Model("torus")


def quietly(path, attributes=("all",)):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReconstructionWarning)
        return load_scanned_cloud(path, attributes)


@pytest.mark.parametrize("version", range(1, 8))
def test_every_version_is_the_same_cloud(tmp_path, model, version):
    """Points, colours, numbers; viewpoints are places of cameras that saw the points, also on a turned platform."""
    path = tmp_path / "a.mvs"
    path.write_bytes(of_model(model, version=version, colours=model.colours))
    found = quietly(path)
    assert np.array_equal(found.points, model.points.astype(np.float32))
    assert found.single
    assert np.array_equal(found.colours, model.colours)
    assert np.array_equal(found.scalars["views"], model.seen.sum(1))
    known = model.seen.any(1)
    mean = (model.seen * (0.5 + np.arange(len(model.centres)))).sum(1)[known] / model.seen.sum(1)[known]
    assert np.allclose(found.scalars["confidence"][known], mean)
    gap = np.linalg.norm(found.viewpoints[:, None] - model.centres, axis=2)
    assert np.isnan(found.viewpoints[~known]).all()
    assert gap[known].min(1).max() < 1e-12 * 6.0
    assert model.seen[known, gap[known].argmin(1)].all()
    assert found.normals is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReconstructionWarning)
        assert same(in_pieces(path, rows=400), found)


def test_normals_of_the_scene_are_read(tmp_path, model):
    (tmp_path / "a.mvs").write_bytes(of_model(model, normals=model.normals))
    found = quietly(tmp_path / "a.mvs")
    assert np.array_equal(found.normals, model.normals.astype(np.float32))
    assert found.colours is None


@pytest.mark.parametrize("shape", ["torus", "sphere", "room"])
def test_signs_are_right_from_the_images_alone(tmp_path, shape):
    model, path = Model(shape, 1), tmp_path / "a.mvs"
    path.write_bytes(of_model(model))
    found = orient(quietly(path), NormalSettings(), str(path))
    assert "the viewpoints of the file" in found.summary()
    normals = found.cloud.normals.cpu().numpy()
    agree = (normals * model.normals).sum(1)
    smooth = np.abs(agree) > 0.5  # but the edges of a room, between two walls
    assert smooth.mean() > 0.9
    assert (agree > 0.0)[smooth].mean() >= 0.999


def test_images_without_a_pose_are_named(tmp_path, model):
    (tmp_path / "a.mvs").write_bytes(of_model(model, lost=(3, 5)))
    kept = np.delete(model.seen, (3, 5), axis=1).any(1)
    line = r"a\.mvs: 2 images that saw points have no pose \(photo 3\.jpg, photo 5\.jpg\): "
    line += f"{(~kept).sum()} of {COUNT:,} points"
    with pytest.warns(ReconstructionWarning, match=line) as said:
        found = load_scanned_cloud(tmp_path / "a.mvs")
    assert len(said) == 1
    assert np.array_equal(np.isfinite(found.viewpoints).all(1), kept)


def test_points_that_no_image_saw_are_counted(tmp_path):
    (tmp_path / "a.mvs").write_bytes(scene(tracks=[[], [0], [], [1]], **LITTLE))
    with pytest.warns(ReconstructionWarning, match="2 of 4 points have no viewpoint: no image saw them; export"):
        load_scanned_cloud(tmp_path / "a.mvs")


def test_a_mesh_and_a_folder(tmp_path, model):
    """The command makes a mesh of it, whole and in parts; and a folder's scene is found."""
    path = tmp_path / "a.mvs"
    path.write_bytes(of_model(Model("sphere"), colours=model.colours))
    assert clouds_in(tmp_path) == [str(path)]
    for share in ((), ("--max-memory", "2GB")):
        done = run("fit-grid.py", path, "auto", 60, 24, "auto", "--seed", 0, *share, "--out", tmp_path / "m.ply")
        assert done.code == 0, done.err
        assert "OpenMVS scene of 40 images" in done.out


GOOD = scene(tracks=[[0], [0, 1], [2], []], **LITTLE, colours=np.ones((4, 3)))
AT = GOOD.index(np.float32(1.0).tobytes() + bytes(8) + struct.pack("<Q", 1))  # the first point
BROKEN = {
    "another format": (b"PLY " + GOOD[4:], "has MVSI"),
    "only a magic": (GOOD[:9], "has MVSI"),
    "what OpenMVS keeps for itself": (b"MVS\0" + GOOD[4:], "is a project that only OpenMVS reads"),
    "a later version": (GOOD[:4] + struct.pack("<I", 8) + GOOD[8:], "is of version 8, and 1 to 7 are read"),
    "no version": (GOOD[:4] + struct.pack("<I", 0) + GOOD[8:], "is of version 0"),
    "more platforms than bytes": (GOOD[:12] + struct.pack("<Q", 2**60) + GOOD[20:], "declares 1152921504606846976"),
    "no points": (scene([], [], LITTLE["poses"]), "contains no points"),
    "more points than bytes": (GOOD[: AT - 8] + struct.pack("<Q", 2**40) + GOOD[AT:], "declares 1099511627776 points"),
    "a long track": (GOOD[: AT + 12] + struct.pack("<Q", 2**61) + GOOD[AT + 20 :], "ends within number 2"),
    "an image that is not there": (scene(tracks=[[0], [7], [], []], **LITTLE), "seen by image 7, and there are 3"),
    "half of the colours": (scene(tracks=[[0]] * 4, **LITTLE, colours=np.ones((2, 3))), "2 colours of 4 points"),
    "no rotation": (
        scene(np.eye(4, 3), [[0]] * 4, [(np.full((3, 3), np.nan), np.zeros(3))]), "image 0 has no finite pose"
    ),
    "a camera that is not there": (
        GOOD.replace(struct.pack("<4I", 0, 0, 0, 90), struct.pack("<4I", 0, 9, 0, 90)), "image 0 refers to a platform"
    ),
}  # fmt: skip


def assert_one_line(path, data, line=""):
    path.write_bytes(data)
    with pytest.raises(CloudError, match=line) as error:
        quietly(path)
    text = str(error.value)
    assert text.isprintable()
    assert text.startswith(f"{path}: ")
    assert "; " in text


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_scenes_are_one_line(tmp_path, kind):
    assert_one_line(tmp_path / "a.mvs", *BROKEN[kind])


def test_a_scene_that_ends_early_is_one_line_wherever_it_ends(tmp_path):
    for end in range(13, len(GOOD)):
        assert_one_line(tmp_path / "a.mvs", GOOD[:end], "truncated")


def test_mutated_scenes_end_in_a_cloud_or_one_line(tmp_path):
    rng, path, refused = random.Random("openmvs"), tmp_path / "a.mvs", []
    for _ in range(300):
        path.write_bytes(fuzz_files.mutated(GOOD, GOOD, rng))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                load_scanned_cloud(path, ("all",))
            except CloudError as error:
                refused.append(str(error))
        assert all(one.category is ReconstructionWarning for one in said), path.read_bytes()
    assert 0 < len(refused) < 300
    assert all(line.isprintable() and line.startswith(f"{path}: ") for line in refused)
