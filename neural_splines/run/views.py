"""Where to scan next, of a mesh whose vertices say how far they are to be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import SettingsError
from ..ranges import check_choice, check_count, check_number
from ..runtime.arrays import as_rows
from ..settings import CANDIDATES, GRAZING, VIEWS, VIEWS_BY
from ..surface.mesh import Mesh
from ..surface.support import MEASURED
from ..surface.views import Scanner, Views, around, ranked
from .whole import Reconstruction

TIMES = 2.0  # the median uncertainty, above which a place counts as uncertain
MOST_CANDIDATES = 100_000


def views(
    mesh: Mesh | Reconstruction,
    by: str = VIEWS_BY[0],
    *,
    numbers: Any = None,
    candidates: int = CANDIDATES,
    distance: float | None = None,
    positions: Any = None,
    directions: Any = None,
    count: int = VIEWS,
    worse_than: float | None = None,
    grazing: float = GRAZING,
    field_of_view: float | None = None,
) -> Views:
    """Places to look from, ranked by the uncertain area that each sees and none before it sees.

    Parameters
    ----------
    mesh : what `reconstruct` returned; or a mesh of numpy or torch with outward faces, and its numbers.
    by : support, of which small numbers are uncertain; or uncertainty, of which large ones are.
    numbers : [v], of each vertex; those of what `reconstruct` returned if None.
    candidates, distance : so many places evenly on a sphere about the middle of the mesh's box, so far from it; the
        diagonal of the box if None. They look at the middle.
    positions, directions : instead, places [p, 3], and where each looks [p, 3]; to the middle of the box if None.
    count : at most so many views.
    worse_than : support below it, uncertainty above it counts: 2/3, or twice the median, if None.
    grazing : degrees between the surface and a ray, below which nothing is seen.
    field_of_view : degrees across the cone that is seen, up to 360; all around if None.

    Returns
    -------
    Views : a sequence of `position`, `direction`, `new_area`, `share`, best first; `area`, `uncertain` of the mesh. It
        ends where no place sees more.

    Raises
    ------
    SettingsError : numbers outside their ranges, or arrays that do not fit together.
    BackendError : point-cloud-utils, which casts the rays, is not installed.
    """
    check_choice("--by", by, VIEWS_BY)
    check_number("--grazing", grazing, 0.0, 90.0)
    if field_of_view is not None:
        check_number("--field-of-view", field_of_view, 0.0, 360.0, strict=True)
    most = check_count("--count", count, 1)
    if numbers is None:
        if not isinstance(mesh, Reconstruction):
            raise SettingsError("a mesh alone does not know its support; give the numbers of its vertices, too")
        numbers = mesh.qualities(by)[by]
    shape = mesh.mesh.numpy() if isinstance(mesh, Reconstruction) else mesh.numpy()
    number = np.asarray(numbers.cpu() if hasattr(numbers, "cpu") else numbers, np.float64)
    if number.shape != (len(shape.vertices),):
        raise SettingsError(f"numbers must be one of each of {len(shape.vertices)} vertices, got {list(number.shape)}")
    places, look = _places(shape.vertices, candidates, distance, positions, directions)
    mask = uncertain(shape.faces, number, by, worse_than)
    return ranked(shape.vertices, shape.faces, mask, places, look, Scanner(grazing, field_of_view), most)


def uncertain(faces: np.ndarray, number: np.ndarray, by: str, worse_than: float | None) -> np.ndarray:
    """Mask [f] of the faces that are uncertain by the mean of their corners; where a number is not finite, they are."""
    limit = threshold(number, by) if worse_than is None else check_number("--worse-than", worse_than, 0.0)
    mean = number[faces].mean(1)
    return ~(mean >= limit) if by == "support" else ~(mean <= limit)


def threshold(number: np.ndarray, by: str) -> float:
    """What is uncertain where nothing else is said."""
    finite = number[np.isfinite(number)]
    return MEASURED if by == "support" or not len(finite) else float(TIMES * np.median(finite))


def _places(
    vertices: np.ndarray, candidates: int, distance: float | None, positions: Any, directions: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Places [p, 3] to look from, and unit directions [p, 3]."""
    if positions is None:
        if directions is not None:
            raise SettingsError("directions need positions; give both")
        most = check_count("--candidates", candidates, 1, MOST_CANDIDATES)
        if distance is not None:
            check_number("--distance", distance, 0.0, strict=True)
        return around(vertices, most, distance)
    places = as_rows(positions, "positions")[0].double().cpu().numpy()
    middle = (vertices.min(0) + vertices.max(0)) / 2.0
    look = middle - places if directions is None else as_rows(directions, "directions")[0].double().cpu().numpy()
    if look.shape != places.shape:
        raise SettingsError(f"{len(places)} positions but {len(look)} directions; give one direction for each position")
    if not len(places) or not np.isfinite(places).all():
        raise SettingsError("positions must be finite numbers, one place at least")
    length = np.linalg.norm(look, axis=1, keepdims=True)
    if directions is not None and not (np.isfinite(length) & (length > 0.0)).all():
        raise SettingsError("directions must be finite and not zero")
    return places, look / np.maximum(length, 1e-300)
