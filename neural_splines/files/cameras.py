"""Camera centres of a NeRF-style JSON file, as transforms.json of Blender's synthetic scenes, instant-ngp, Nerfstudio.

Each of its `frames` has a `transform_matrix` [4, 4] from the camera to the world, so the camera stands at the fourth
column: M (0, 0, 0, 1)'. Which way the axes of the camera point, on which writers disagree, makes no difference to it.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..errors import CloudError
from .atomic import PathLike
from .reading import errors_name, printable, read_bytes

EXPECTED = "expected a NeRF-style transforms.json, with frames and their transform_matrix"
LAST_ROW = (0.0, 0.0, 0.0, 1.0)
EXACT = 1e-6  # of the last row
LONGEST_NAME = 60  # characters of a picture's name in a message


def load_cameras(path: PathLike) -> np.ndarray:
    """Centres [c, 3] of the cameras of a file, float64, one of each frame in the order of the file; world units.

    They must be in the frame of the cloud. Raises CloudError, which names the path: no such JSON, no frames, a matrix
    that is not 4 x 4, not finite, or whose last row is not 0 0 0 1.
    """
    with errors_name(path):
        frames = _frames(read_bytes(path))
        return np.stack([_centre(frame, number) for number, frame in enumerate(frames, 1)])


def _frames(data: bytes) -> list[Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):  # bytes that are no text are a ValueError, too
        raise CloudError(f"is no JSON; {EXPECTED}") from None
    frames = found.get("frames") if isinstance(found, dict) else None
    if not isinstance(frames, list):
        raise CloudError(f"has no list of frames; {EXPECTED}")
    if not frames:
        raise CloudError("has no frames; export it again, with its cameras")
    return frames


def _centre(frame: Any, number: int) -> np.ndarray:
    """The fourth column of a frame's matrix [3]."""
    given = frame.get("transform_matrix") if isinstance(frame, dict) else None
    name = frame.get("file_path") if isinstance(frame, dict) else None
    what = f"frame {number}"
    if isinstance(name, str):
        what += f" ({printable(name)[-LONGEST_NAME:]})"
    if given is None:
        raise CloudError(f"{what} has no transform_matrix; {EXPECTED}")
    if not _is_square(given):
        raise CloudError(f"{what}: its transform_matrix is no 4 x 4 matrix of numbers; export it again")
    matrix = _array(given)
    if not np.isfinite(matrix).all():
        raise CloudError(f"{what}: its transform_matrix is not finite; export it again, or leave this frame out")
    if not (np.abs(matrix[3] - LAST_ROW) <= EXACT).all():
        raise CloudError(
            f"{what}: the last row of its transform_matrix is not 0 0 0 1; write it row by row, from the camera to the "
            "world"
        )
    return matrix[:3, 3].copy()


def _is_square(given: Any) -> bool:
    """Whether it is 4 rows of 4 numbers."""
    return (
        isinstance(given, list)
        and len(given) == 4
        and all(isinstance(row, list) and len(row) == 4 for row in given)
        and all(isinstance(value, (int, float)) and not isinstance(value, bool) for row in given for value in row)
    )


def _array(rows: list[list[float]]) -> np.ndarray:
    try:
        return np.array(rows, np.float64)
    except OverflowError:  # of a whole number that is larger than all floats
        return np.full((4, 4), np.inf)
