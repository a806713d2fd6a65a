"""COLMAP's sparse models that are broken or mutated: one line that names the file."""

import random
import struct
import warnings

import fuzz_files
import pytest
from test_colmap import quietly

from neural_splines.errors import CloudError, ReconstructionWarning
from neural_splines.files.point_clouds import load_scanned_cloud

POINT = b"1 0 0 0 9 9 9 .5 7 0\n"
POSE = b"7 1 0 0 0 0 0 0 1 a.jpg\n\n"
ONE = struct.pack("<Q3d3BdQ", 1, 0, 0, 0, 9, 9, 9, 0.5, 1) + struct.pack("<2I", 7, 0)
IMAGE = struct.pack("<I7dI", 7, 1, 0, 0, 0, 0, 0, 0, 1) + b"a\0" + struct.pack("<Q", 0)
BROKEN = {
    "more points than bytes": (".bin", struct.pack("<Q", 2**60) + ONE, None, "declares 1152921504606846976 points"),
    "no count": (".bin", b"\1\0", None, "2 bytes cannot hold"),
    "a track longer than the file": (
        ".bin", struct.pack("<Q", 1) + ONE[:43] + struct.pack("<Q", 2**61), None, "ends within point 1"
    ),
    "a track over the next": (
        ".bin", struct.pack("<Q", 2) + ONE[:43] + struct.pack("<Q", 6) + ONE[51:] + ONE, None, "within point 2"
    ),
    "bytes behind": (".bin", struct.pack("<Q", 1) + ONE + b"more", None, "has 4 bytes behind its points"),
    "no points": (".bin", struct.pack("<Q", 0), None, "contains no points"),
    "more images than bytes": (".bin", struct.pack("<Q", 1) + ONE, struct.pack("<Q", 9) + IMAGE, "declares 9 images"),
    "an endless name": (
        ".bin", struct.pack("<Q", 1) + ONE, struct.pack("<Q", 1) + IMAGE[:64] + b"a" * 30, "ends within image 1"
    ),
    "seen more than there is": (
        ".bin", struct.pack("<Q", 1) + ONE, struct.pack("<Q", 1) + IMAGE[:-8] + b"\xff" * 8, "ends within image 1"
    ),
    "no rotation": (
        ".bin", struct.pack("<Q", 1) + ONE, struct.pack("<Q", 1) + IMAGE[:4] + bytes(56) + IMAGE[60:], "no finite pose"
    ),
    "three columns": (".txt", b"1 2 3\n", POSE, "line 1: a point is its number, x y z"),
    "half a pair": (".txt", POINT + POINT[:-3] + b"\n", POSE, "line 2: a point is"),
    "colours of 16 bits": (".txt", POINT.replace(b"9 9 9", b"9 999 9"), POSE, "no whole numbers from 0 to 255"),
    "huge number": (".txt", POINT.replace(b" 7 ", b" 99999999999999999999 "), POSE, "number is too large"),
    "a short pose": (".txt", POINT, b"# c\n7 1 0 0 0 0 0 0 1\n", "line 2: an image is its number"),
    "no empty lines": (".txt", POINT, POSE[:-1] + POSE[:-1], "line 2: below each image is a line"),
    "an image twice": (".txt", POINT, POSE + POSE, "image 7 is there twice"),
}  # fmt: skip


def names(path, error):
    """Whether an error is one line with the file and a remedy."""
    return str(error).isprintable() and str(error).startswith(f"{path}: ") and "; " in str(error)


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_models_are_one_line(tmp_path, kind):
    suffix, points, images, line = BROKEN[kind]
    path = tmp_path / f"points3D{suffix}"
    path.write_bytes(points)
    if images is not None:
        (tmp_path / f"images{suffix}").write_bytes(images)
    with pytest.raises(CloudError, match=line) as error:
        quietly(path)
    assert names(path, error.value)


@pytest.mark.parametrize("suffix", [".txt", ".bin"])
def test_mutated_models_end_in_a_cloud_or_one_line(tmp_path, suffix):
    """By the fuzzer's mutations of either file: nothing but a result or a line that names the file, and no warning but
    ours."""
    rng = random.Random(f"colmap{suffix}")
    points = 4 * POINT + b"# c\n" if suffix == ".txt" else struct.pack("<Q", 4) + 4 * ONE
    images = POSE + POSE.replace(b"7", b"8") if suffix == ".txt" else struct.pack("<Q", 1) + IMAGE
    path, beside = tmp_path / f"points3D{suffix}", tmp_path / f"images{suffix}"
    refused = []
    for turn in range(80):
        path.write_bytes(fuzz_files.mutated(points, images, rng) if turn % 2 else points)
        beside.write_bytes(images if turn % 2 else fuzz_files.mutated(images, points, rng))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                load_scanned_cloud(path, ("all",))
            except CloudError as error:
                refused.append(error)
        assert all(one.category is ReconstructionWarning for one in said), (path.read_bytes(), beside.read_bytes())
    assert 0 < len(refused) < 80
    assert all(names(path, error) for error in refused)
