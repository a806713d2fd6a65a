"""What is known of the side that a surface was seen from, from all that a user, a file and the points say.

A user's word is taken. What a file says is compared with the points (views.py): it may be a default, or mean something
else. Where neither says anything, two things are looked for: rays from the origin, as scanners and cameras leave them
in their own frame, and one height for almost every place, as what is seen from the air has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..ranges import UP
from .graph import PointGraph
from .sensors import ray_votes, sensor_votes
from .views import NONE, View, from_above, from_place, hidden, laser_rays, seen_closely

# Measured on the half of benchmarks/scenes.py that is not held out, on plates and on strangers' files.
SEEN = 0.85  # single from a scanner, at least (from .87 for rings of a street); other places have less, or uneven rays
EVEN = 0.75  # evenness of a scanner that no file names, at most (.03 to .6; of other places 1.0 and more)
SHEET = 0.95  # single from above of open ground (.97 to 1; of a plate two spacings thick .58)
FLAT_SHEET, FLAT = 0.8, 0.5  # the same where the height is below so much of both sides (ground with houses .85)
WALL = 4.0  # spacings: the least median of the jumps, where there are more; smaller ones are a plate's other side
LAYERS = 2.0  # kurtosis of two layers, at most (1.5 to 1.9 of plates with noise of a fifth; of terrain 2.2 and more)
MAPPED, FAR = 0.7, 100.0  # the same in coordinates of a map: so many times farther from the origin than they are wide
LASER = 0.5  # the same of a laser whose file tells of several returns or of scan angles (forests .6 to .8)
HIDDEN = 0.1  # of what a viewpoint of a file saw, at most
PLACES = 12  # largest groups of viewpoints that are compared with their points
APART = 0.05  # viewpoints nearer than so much of the distance to their points are of one group


Columns = Callable[
    [np.ndarray | None], Iterable[PointGraph]
]  # narrow, towards a place [3], or upwards; with all points


def no_columns(place: np.ndarray | None) -> Iterable[PointGraph]:
    """The columns of a cloud whose points are all in the graph."""
    return ()


@dataclass(frozen=True)
class Guidance:
    """What a user and a file know of a cloud; world units, rows as its points.

    The user: sensors [s, 3], positions that it was seen from. viewpoints [n, 3], of each point. inside: it is a room
    seen from within. aerial: it was seen from above. up [3]: what is up. flip: turn everything round at the end. The
    file: claims [n, 3], viewpoints. laser: columns [n] returns, angles, strips of a laser. faces [n, 3]: normals of
    the faces around its points.
    """

    sensors: np.ndarray | None = None
    viewpoints: np.ndarray | None = None
    inside: bool = False
    aerial: bool = False
    up: np.ndarray = field(default_factory=lambda: np.array(UP))
    flip: bool = False
    claims: np.ndarray | None = None
    laser: Mapping[str, np.ndarray] = field(default_factory=dict)
    faces: np.ndarray | None = None


# What a side is known by: the source of a `Known`, in words.
SENSOR, SENSORS = "the sensor position", "the sensor positions"
VIEWPOINTS, CLAIMS = "its viewpoints", "the viewpoints of the file"
FACES = "where the faces of the file look to"
ORIGIN = "the origin, where all rays meet"
ABOVE, ONE_HEIGHT = "above", "above, where almost every place has one height"


@dataclass(frozen=True)
class Known:
    """What decides on the sides of a cloud, and what it says of each point.

    source: where it comes from, in words; none where nothing is known. votes [n, 3] of the points of a graph: areas
    times directions to the seen side; None where nothing is known. own: each point was seen along its vote, whatever
    hides it from there. doubts: lines about what was said and not used. above: from where `up` is. at_origin: all from
    there.
    """

    source: str = ""
    votes: np.ndarray | None = None
    own: bool = False
    doubts: tuple[str, ...] = ()
    above: bool = False
    at_origin: bool = False

    @property
    def of_sensors(self) -> bool:
        """Whether the positions decide that a user gave."""
        return self.source in (SENSOR, SENSORS)

    @property
    def one_sided(self) -> bool:
        """What was seen from above or from one place has no surface that looks away from there."""
        return self.above or self.at_origin


def weighed(graph: PointGraph, guidance: Guidance) -> Known:
    """What counts, with its votes."""
    return voted(graph, guidance, decided(graph, guidance))


def decided(graph: PointGraph, guidance: Guidance, columns: Columns = no_columns) -> Known:
    """What counts, without votes: the user's word, then the file's where the points agree, then what the points show.

    It is about a cloud as a whole: a part of it may show something else. columns: where the graph is of a sample.
    """
    if guidance.sensors is not None and len(guidance.sensors):
        return Known(SENSOR if _saw_all(graph, guidance, columns) else SENSORS)
    if guidance.viewpoints is not None:
        return Known(VIEWPOINTS)
    if guidance.aerial:
        return Known(ABOVE, above=True)
    if guidance.inside:
        return Known()
    claimed = _claimed(graph, guidance)
    if claimed.source:
        return claimed
    if guidance.faces is not None:
        return Known(FACES)
    return replace(_found(graph, guidance, columns), doubts=claimed.doubts)


def voted(graph: PointGraph, guidance: Guidance, known: Known) -> Known:
    """What was decided, with the votes of the points of a graph: of the cloud, or of a part of it."""
    source = known.source
    if not source:
        return known
    if source == SENSORS:
        sensors = (np.asarray(guidance.sensors) - graph.center) / graph.spacing
        return replace(known, votes=sensor_votes(graph.points, graph.areas, sensors))
    if source == FACES:
        assert guidance.faces is not None
        return replace(known, votes=ray_votes(graph.areas, guidance.faces[graph.order]), own=True)
    if known.above:
        return replace(known, votes=ray_votes(graph.areas, _laser_rays(graph, guidance)), own=True)
    places = {VIEWPOINTS: guidance.viewpoints, CLAIMS: guidance.claims, ORIGIN: np.zeros(3)}.get(source)
    if source == SENSOR:
        places = np.asarray(guidance.sensors)[0]
    assert places is not None
    return replace(known, votes=ray_votes(graph.areas, _places(graph, places) - graph.points), own=True)


def _places(graph: PointGraph, world: np.ndarray) -> np.ndarray:
    """Positions [n, 3] of the points' rows, or [3], in the graph's order and units."""
    rows = world if world.ndim == 1 else world[graph.order]
    return (rows - graph.center) / graph.spacing


def _saw_all(graph: PointGraph, guidance: Guidance, columns: Columns) -> bool:
    """Whether a single view, or a laser that sees through leaves, saw every point; other sensors what is in front."""
    assert guidance.sensors is not None
    if len(guidance.sensors) > 1:
        return False
    return "returns" in guidance.laser or _from_place(graph, columns, guidance.sensors[0]).single >= SEEN


def _from_place(graph: PointGraph, columns: Columns, world: np.ndarray) -> View:
    return seen_closely(graph, columns(world), lambda part: from_place(part, _places(part, world)))


def _laser_rays(graph: PointGraph, guidance: Guidance) -> np.ndarray:
    """Directions [n, 3] from above, and as far aside as scan angles say."""
    if "angles" not in guidance.laser:
        return np.tile(guidance.up, (len(graph), 1))
    strips = guidance.laser.get("strips")
    strips = None if strips is None else strips[graph.order]
    return laser_rays(graph.points, guidance.laser["angles"][graph.order], strips, guidance.up)


def _claimed(graph: PointGraph, guidance: Guidance) -> Known:
    """The viewpoints of the file where the points can have been seen from there, or a line about those that are not."""
    if guidance.claims is None:
        return Known()
    places = _places(graph, guidance.claims)
    known = np.isfinite(places).all(1)
    if not known.any():
        return Known()
    distance = np.linalg.norm(places - graph.points, axis=1)
    side = max(APART * float(np.median(distance[known])), 1e-9)
    _, group, count = np.unique(np.floor(places[known] / side), axis=0, return_inverse=True, return_counts=True)
    rows, group = np.nonzero(known)[0], group.reshape(-1)
    shares: list[float] = []
    sizes: list[int] = []
    for number in np.argsort(-count, kind="stable")[:PLACES]:
        members = rows[group == number]
        shares.append(hidden(graph, places[members].mean(0), members))
        sizes.append(len(members))
    default = len(count) == 1 and not guidance.claims[np.isfinite(guidance.claims).all(1)].any()
    unset = default and _within(from_place(graph, places[rows[0]]))
    if unset or np.average(shares, weights=sizes) > HIDDEN:
        doubt = (
            "the viewpoints of the file were not used: seen from there, many points are hidden behind others, or the "
            "rays do not look like those of a scanner; if they are right, give them with --sensor-position"
        )
        return Known(doubts=(doubt,))
    return Known(CLAIMS, at_origin=default)


def _within(view: View) -> bool:
    """Whether a place lies within the cloud, and its rays are not as even as a scanner's: it may be that of no one."""
    return view.around and view.evenness > EVEN


def _found(graph: PointGraph, guidance: Guidance, columns: Columns) -> Known:
    """What the points show: the origin, or above, whichever has the evener rays; nothing where neither can be."""
    place = _from_place(graph, columns, np.zeros(3))
    if place.single < SEEN or place.evenness > EVEN:
        place = NONE
    above = seen_closely(graph, columns(None), lambda part: from_above(part, guidance.up))
    plate = above.kurtosis < LAYERS or (above.single < SHEET and above.jump < WALL)
    if above.single < _asked(graph, guidance) or (not guidance.laser and plate):
        above = NONE
    if place is above:
        return Known()
    if place.evenness < above.evenness:
        return Known(ORIGIN, at_origin=True)
    return Known(ONE_HEIGHT, above=True)


def _asked(graph: PointGraph, guidance: Guidance) -> float:
    """The share of single heights from which on a cloud counts as seen from above."""
    if guidance.laser:
        return LASER
    extent = np.ptp(graph.points, axis=0)
    if np.abs(graph.center).max() > FAR * graph.spacing * extent.max():
        return MAPPED
    height = float(np.ptp(graph.points @ guidance.up))
    across = np.sort(extent[np.abs(guidance.up) < 0.5])
    return FLAT_SHEET if height < FLAT * float(across[0]) else SHEET
