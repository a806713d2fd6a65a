"""COLMAP's sparse models: points whose sides their images tell."""

import struct
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from pieces import in_pieces, same
from scripts import run

from neural_splines.command_line.known import empty_space
from neural_splines.errors import ReconstructionWarning
from neural_splines.files.point_clouds import clouds_in, load_scanned_cloud
from neural_splines.normals.orient import orient
from neural_splines.settings import NormalSettings

COUNT, CAMERAS = 1500, 40
FIRST = 7  # image ids neither begin at 0 nor have no gaps


def quaternion(r):
    """Of a rotation [3, 3], by the eigenvector of Bar-Itzhack's matrix: independent of the reader's formula."""
    k = np.empty((4, 4))
    k[:3, :3] = r + r.T - np.trace(r) * np.eye(3)
    k[:3, 3] = k[3, :3] = (r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1])
    k[3, 3] = np.trace(r)
    x, y, z, w = np.linalg.eigh(k)[1][:, -1]
    return np.array([w, x, y, z])


def torus(rng):
    u, v = rng.uniform(0, 2 * np.pi, (2, COUNT))
    ring = np.stack([np.cos(u), np.sin(u), 0 * u], 1)
    n = np.cos(v)[:, None] * ring + np.sin(v)[:, None] * [0, 0, 1]
    return 2.0 * ring + 0.8 * n, n


def sphere(rng):
    n = rng.standard_normal((COUNT, 3))
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    return n, n


def room(rng):
    """A box seen from within: normals look into it, which nothing but the cameras says."""
    p = rng.uniform(-1, 1, (COUNT, 3))
    axis, side = rng.integers(0, 3, COUNT), rng.choice([-1.0, 1.0], COUNT)
    n = np.zeros((COUNT, 3))
    p[np.arange(COUNT), axis], n[np.arange(COUNT), axis] = side, -side
    return p, n


def meets(start, end, shape):
    """Whether segments from cameras [3] to points [n, 3] pass through the shape before their end."""
    t = np.linspace(0.02, 0.97, 60)[:, None, None]
    x = start + t * (end - start)
    if shape == "sphere":
        return (np.linalg.norm(x, axis=2) < 1.0).any(0)
    if shape == "room":
        return np.zeros(len(end), bool)
    return (np.hypot(np.hypot(x[..., 0], x[..., 1]) - 2.0, x[..., 2]) < 0.8).any(0)


class Model:
    """Points, colours, tracks (of image ids) and poses."""

    def __init__(self, shape, seed=0):
        rng = np.random.default_rng(seed)
        self.points, self.normals = {"torus": torus, "sphere": sphere, "room": room}[shape](rng)
        self.colours = rng.integers(0, 256, (COUNT, 3))
        around = rng.standard_normal((CAMERAS, 3))
        around /= np.linalg.norm(around, axis=1, keepdims=True)
        self.centres = around * (0.4 if shape == "room" else 6.0)
        self.ids = FIRST + 3 * rng.permutation(CAMERAS)
        self.rotations = [np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(CAMERAS)]
        self.rotations = [r * np.linalg.det(r) for r in self.rotations]
        seen = np.stack([self.sees(c, shape) for c in self.centres], 1)
        seen &= rng.random(seen.shape) < 0.5  # a feature is matched in some of them
        self.tracks = [self.ids[row] for row in seen]
        self.seen = seen

    def sees(self, centre, shape):
        facing = ((centre - self.points) * self.normals).sum(1) > 0.05 * np.linalg.norm(centre - self.points, axis=1)
        return facing & ~meets(centre, self.points, shape)

    def poses(self, scale=1.0):
        """Image id, quaternion, translation; a quaternion of any length is a rotation."""
        for image, c, r in zip(self.ids, self.centres, self.rotations, strict=True):
            yield image, scale * quaternion(r), -r @ c

    def text(self, folder, without=()):
        lines = ["# Image list with two lines of data per image:"]
        for image, q, t in self.poses():
            if image not in without:
                lines.append(" ".join([str(image), *map(repr, map(float, [*q, *t])), "1", f"a photo {image}.jpg"]))
                lines.append("12.5 3.25 -1 7 8 3" if image % 2 else "")
        (folder / "images.txt").write_text("\n".join(lines) + "\n")
        lines = ["# 3D point list with one line of data per point:"]
        for k, (p, c, track) in enumerate(zip(self.points, self.colours, self.tracks, strict=True)):
            pairs = [str(v) for image in track for v in (image, 5)]
            lines.append(" ".join([str(k + 1), *map(repr, map(float, p)), *map(str, c), "0.5", *pairs]))
        (folder / "points3D.txt").write_text("\n".join(lines) + "\n")
        return folder / "points3D.txt"

    def binary(self, folder, without=()):
        kept = [pose for pose in self.poses() if pose[0] not in without]
        parts = [struct.pack("<Q", len(kept))]
        for image, q, t in kept:
            seen = image % 3
            parts += [struct.pack("<I7dI", image, *q, *t, 1), b"photo.jpg\0", struct.pack("<Q", seen)]
            parts += [struct.pack("<2dq", 1.0, 2.0, -1)] * seen
        (folder / "images.bin").write_bytes(b"".join(parts))
        parts = [struct.pack("<Q", COUNT)]
        for k, (p, c, track) in enumerate(zip(self.points, self.colours, self.tracks, strict=True)):
            parts += [struct.pack("<Q3d3BdQ", k + 1, *p, *map(int, c), 0.5, len(track))]
            parts += [struct.pack("<2I", image, 5) for image in track]
        (folder / "points3D.bin").write_bytes(b"".join(parts))
        return folder / "points3D.bin"


@pytest.fixture(scope="module")
def model():
    return Model("torus")


@pytest.fixture(scope="module")
def folders(tmp_path_factory, model):
    text, binary = tmp_path_factory.mktemp("text"), tmp_path_factory.mktemp("binary")
    return model.text(text), model.binary(binary)


def quietly(path, attributes=()):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReconstructionWarning)
        return load_scanned_cloud(path, attributes)


def test_text_and_binary_are_the_same_cloud(folders, model):
    """Whole and in pieces; points, colours, numbers; every viewpoint is a camera that saw its point."""
    one, other = (quietly(path, ("all",)) for path in folders)
    assert same(one, other)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReconstructionWarning)
        assert same(in_pieces(folders[1], rows=400), other)
    assert np.array_equal(one.points, model.points)
    assert np.array_equal(one.colours, model.colours)
    assert list(one.scalars) == ["error", "views"]
    assert np.array_equal(one.scalars["views"], model.seen.sum(1))
    gap = np.linalg.norm(one.viewpoints[:, None] - model.centres, axis=2)
    known = model.seen.any(1)
    assert np.isnan(one.viewpoints[~known]).all()
    assert gap[known].min(1).max() < 1e-12 * 6.0
    assert model.seen[known, gap[known].argmin(1)].all()


def test_the_viewpoint_is_the_most_frontal_that_is_known(folders, model):
    """Of the cameras of a track the one nearest in direction to their mean, by a loop over the points."""
    found = quietly(folders[0]).viewpoints
    for k in range(0, COUNT, 7):
        ray = model.centres[model.seen[k]] - model.points[k]
        ray /= np.linalg.norm(ray, axis=1, keepdims=True)
        if len(ray):
            chosen = found[k] - model.points[k]
            best = (ray @ ray.sum(0)).max()
            assert chosen / np.linalg.norm(chosen) @ ray.sum(0) >= best - 1e-12


@pytest.mark.parametrize("shape", ["torus", "sphere", "room"])
def test_signs_are_right_from_the_images_alone(tmp_path, shape):
    model = Model(shape, 1)
    path = model.binary(tmp_path)
    found = orient(quietly(path), NormalSettings(), str(path))
    assert "the viewpoints of the file" in found.summary()
    normals = found.cloud.normals.cpu().numpy()
    assert np.array_equal(found.cloud.points.cpu().numpy(), model.points)
    smooth = np.abs((normals * model.normals).sum(1)) > 0.5  # but the edges of a room, between two walls
    assert smooth.mean() > 0.9
    assert ((normals * model.normals).sum(1) > 0.0)[smooth].mean() >= 0.999


def test_rays_of_free_space_come_from_the_cameras(folders, model):
    """One for each point that an image saw."""
    scanned, sides = quietly(folders[1]), NormalSettings(free_space=True)
    job = SimpleNamespace(args=SimpleNamespace(envelope=None))
    rays = empty_space(scanned, orient(scanned, sides, "a"), sides, job).rays
    known = model.seen.any(1)
    assert np.array_equal(rays.points.numpy(), model.points[known])
    assert np.array_equal(rays.sensors.numpy(), scanned.viewpoints[known])


@pytest.mark.parametrize("write", [Model.text, Model.binary])
def test_missing_images_are_named(tmp_path, model, write):
    lost = sorted(model.ids)[:2]
    path = write(model, tmp_path, lost)
    kept = model.seen[:, ~np.isin(model.ids, lost)].any(1)
    line = rf"2 images of its tracks are not in images\.\w+ \({lost[0]}, {lost[1]}\): "
    line += f"{(~kept).sum()} of {COUNT:,} points"
    with pytest.warns(ReconstructionWarning, match=line) as said:
        found = load_scanned_cloud(path)
    assert len(said) == 1
    assert np.array_equal(np.isfinite(found.viewpoints).all(1), kept)


def test_without_images_sides_are_guessed(tmp_path, model):
    path = model.text(tmp_path)
    (tmp_path / "images.txt").unlink()
    with pytest.warns(ReconstructionWarning, match="sides are guessed; put it there, or give"):
        found = load_scanned_cloud(path)
    assert found.viewpoints is None
    assert np.array_equal(found.points, model.points)


def test_images_of_the_other_kind_are_read(tmp_path, model):
    path = model.text(tmp_path)
    (tmp_path / "images.txt").unlink()
    model.binary(tmp_path)
    assert np.array_equal(quietly(path).viewpoints, quietly(tmp_path / "points3D.bin").viewpoints, equal_nan=True)


def test_quaternions_of_any_length_are_rotations(model):
    from neural_splines.files.colmap import _cameras

    for scale in (1.0, -1.0, 3.5):
        ids, poses = zip(*((image, [*q, *t]) for image, q, t in model.poses(scale)), strict=True)
        found = _cameras(ids, poses)
        order = np.argsort(ids)
        assert np.array_equal(found.ids, np.array(ids)[order])
        assert np.abs(found.centres - model.centres[order]).max() < 1e-13 * 6.0


def test_a_folder_of_a_model_is_one_cloud(folders, model, tmp_path):
    (tmp_path / "cameras.txt").write_text("1 PINHOLE 1 1 1 1 1 1\n")
    model.text(tmp_path)
    assert clouds_in(tmp_path) == [str(tmp_path / "points3D.txt")]
    model.binary(tmp_path)
    (tmp_path / "a.xyz").write_text("1 2 3\n")
    assert clouds_in(tmp_path) == [str(tmp_path / "a.xyz"), str(tmp_path / "points3D.bin")]


def test_no_output_replaces_the_images(tmp_path, model):
    """They are read, though they are not named."""
    path, before = model.binary(tmp_path), (tmp_path / "images.bin").read_bytes()
    (tmp_path / "mesh.ply").symlink_to(tmp_path / "images.bin")
    done = run("fit-grid.py", path, "auto", "auto", "64", "auto", "--out", tmp_path / "mesh.ply")
    assert done.code == 2
    assert "--out would overwrite" in done.err
    assert (tmp_path / "images.bin").read_bytes() == before
