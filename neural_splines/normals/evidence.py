"""What is known of the side that a surface was seen from, from all that a user, a file and the points say.

A user's word is taken. What a file says is compared with the points (views.py): it may be a default, or mean something
else. Where neither says anything, two things are looked for: rays from the origin, as scanners and cameras leave them
in their own frame, and one height for almost every place, as what is seen from the air has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..ranges import UP
from .graph import PointGraph
from .sensors import ray_votes, sensor_votes
from .views import NONE, View, from_above, from_place, hidden, laser_rays

# Measured on the half of benchmarks/scenes.py that is not held out, on plates and on strangers' files.
SEEN = 0.85  # single from a scanner, at least (from .87 for rings of a street); other places have less, or uneven rays
EVEN = 0.75  # evenness of a scanner that no file names, at most (.03 to .6; of other places 1.0 and more)
SHEET = 0.95  # single from above of open ground (.97 to 1; of a plate two spacings thick .58)
FLAT_SHEET, FLAT = 0.8, 0.5  # the same where the height is below so much of both sides (ground with houses .85)
WALL = 4.0  # spacings: the least median of the jumps, where there are more; smaller ones are a plate's other side
MAPPED, FAR = 0.7, 100.0  # the same in coordinates of a map: so many times farther from the origin than they are wide
LASER = 0.5  # the same of a laser whose file tells of several returns or of scan angles (forests .6 to .8)
HIDDEN = 0.1  # of what a viewpoint of a file saw, at most
PLACES = 12  # largest groups of viewpoints that are compared with their points
APART = 0.05  # viewpoints nearer than so much of the distance to their points are of one group


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


@dataclass(frozen=True)
class Known:
    """votes [n, 3] of the points of a graph: areas times directions to the seen side; None where nothing is known.

    own: each point was seen along its vote, whatever hides it from there. source: where it comes from, in words.
    doubts: lines about what was said and not used. above: from where `up` is. at_origin: all from there.
    """

    votes: np.ndarray | None = None
    own: bool = False
    source: str = ""
    doubts: tuple[str, ...] = ()
    above: bool = False
    at_origin: bool = False


def weighed(graph: PointGraph, guidance: Guidance) -> Known:
    """What counts: the user's word, then the file's where the points agree, then what the points show by themselves."""
    if guidance.sensors is not None and len(guidance.sensors):
        return _from_sensors(graph, guidance)
    if guidance.viewpoints is not None:
        return _seen(graph, _places(graph, guidance.viewpoints), "its viewpoints")
    if guidance.aerial:
        return _from_laser(graph, guidance, "above")
    if guidance.inside:
        return Known()
    claimed, doubts = _claimed(graph, guidance)
    if claimed is not None:
        return claimed
    if guidance.faces is not None:
        return Known(ray_votes(graph.areas, guidance.faces[graph.order]), True, "where the faces of the file look to")
    found = _found(graph, guidance)
    return replace(found, doubts=doubts)


def _seen(graph: PointGraph, places: np.ndarray, source: str) -> Known:
    return Known(ray_votes(graph.areas, places - graph.points), True, source)


def _places(graph: PointGraph, world: np.ndarray) -> np.ndarray:
    """Positions [n, 3] of the points' rows, or [3], in the graph's order and units."""
    rows = world if world.ndim == 1 else world[graph.order]
    return (rows - graph.center) / graph.spacing


def _from_sensors(graph: PointGraph, guidance: Guidance) -> Known:
    """A single view, and a laser that sees through leaves, saw every point; other sensors what is in front."""
    sensors = (np.asarray(guidance.sensors) - graph.center) / graph.spacing
    through = "returns" in guidance.laser
    if len(sensors) == 1 and (through or from_place(graph, sensors[0]).single >= SEEN):
        return _seen(graph, sensors[0], "the sensor position")
    return Known(sensor_votes(graph.points, graph.areas, sensors), False, "the sensor positions")


def _from_laser(graph: PointGraph, guidance: Guidance, source: str) -> Known:
    """From above, and as far aside as scan angles say."""
    rays = np.tile(guidance.up, (len(graph), 1))
    if "angles" in guidance.laser:
        strips = guidance.laser.get("strips")
        strips = None if strips is None else strips[graph.order]
        rays = laser_rays(graph.points, guidance.laser["angles"][graph.order], strips, guidance.up)
    return Known(ray_votes(graph.areas, rays), True, source, above=True)


def _claimed(graph: PointGraph, guidance: Guidance) -> tuple[Known | None, tuple[str, ...]]:
    """The viewpoints of the file where the points can have been seen from there, or a line about those that are not."""
    if guidance.claims is None:
        return None, ()
    places = _places(graph, guidance.claims)
    known = np.isfinite(places).all(1)
    if not known.any():
        return None, ()
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
            "the viewpoints of the file were not used: from there many of its points hide behind others, or their rays "
            "are as of no scanner; if they are right, give them with --sensor-position"
        )
        return None, (doubt,)
    return replace(_seen(graph, places, "the viewpoints of the file"), at_origin=default), ()


def _within(view: View) -> bool:
    """Whether a place lies within the cloud, and its rays are not as even as a scanner's: it may be that of no one."""
    return view.around and view.evenness > EVEN


def _found(graph: PointGraph, guidance: Guidance) -> Known:
    """What the points show: the origin, or above, whichever has the evener rays; nothing where neither can be."""
    origin = _places(graph, np.zeros(3))
    place = from_place(graph, origin)
    if place.single < SEEN or place.evenness > EVEN:
        place = NONE
    above = from_above(graph, guidance.up)
    if above.single < _asked(graph, guidance) or (not guidance.laser and above.single < SHEET and above.jump < WALL):
        above = NONE
    if place is above:
        return Known()
    if place.evenness < above.evenness:
        return replace(_seen(graph, origin, "the origin, where all rays meet"), at_origin=True)
    return _from_laser(graph, guidance, "above, where almost every place has one height")


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
