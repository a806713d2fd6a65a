"""Which scenes benchmarks/scenes.py has: a name, a maker, and what it is asked for."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
import scene_makers as makers
import scene_shapes as shapes
import truths
from scene_makers import Scene

Maker = Callable[[np.random.Generator], Scene]

TILTED = ((-18.0, 14.0), (18.0, -14.0))  # two strips that see walls from both sides
UTM = (431_200.0, 5_412_300.0, 240.0)
ROOM_EYES = ((1.4, 1.2, 1.5), (5.0, 3.2, 1.4))
EYE = (0.75, -1.05, 0.75)


def _place(make, *args, **kwargs):
    """A maker of a place from a random generator, for one that wants it first or not at all."""
    return lambda rng: make(rng, *args, **kwargs)


def _fixed(make, *args, **kwargs):
    return lambda rng: make(*args, **kwargs)


def _thing(make, **kwargs):
    return lambda rng: shapes.on_floor(make(**kwargs))


def _pit(rng):
    return shapes.quarry(60.0, rng)


def _ground(height=2.0, side=60.0, steep=0.0):
    return lambda rng: shapes.relief(side, rng, height, steep=steep)[0]


def _piece(side=1.0, height=0.08):
    return lambda rng: shapes.relief(side, rng, height, waves=4)[0]


def _corridor(rng):
    return shapes.turned(_angle())


def _angle():
    """An L seen from above, 2.6 m high, as a solid: seen from within it is a corridor."""
    outline = [(0, 0), (9, 0), (9, 2), (2.2, 2), (2.2, 8), (0, 8)]
    walls = [
        shapes.patch((*a, 0), (*b, 0), (*b, 2.6), (*a, 2.6), 0.12)
        for a, b in zip(outline, [*outline[1:], outline[0]], strict=True)
    ]
    floor = [((0, 0), (9, 0), (9, 2), (0, 2)), ((0, 2), (2.2, 2), (2.2, 8), (0, 8))]
    top = [shapes.patch(*((*p, 2.6) for p in f), 0.12) for f in floor]
    low = [shapes.patch(*((*p, 0.0) for p in f[::-1]), 0.12) for f in floor]
    return shapes.merged(*walls, *top, *low)


def _desk(rng):
    parts = [shapes.patch((-0.8, -0.8, 0), (0.8, -0.8, 0), (0.8, 0.8, 0), (-0.8, 0.8, 0), 0.02)]
    parts += [
        shapes.block((-0.5, -0.2, 0), (-0.2, 0.1, 0.35), 0.02),
        shapes.block((0.1, 0.0, 0), (0.5, 0.3, 0.2), 0.02),
    ]
    return shapes.merged(*parts, shapes.moved(truths.sphere(5), (0.1, -0.35, 0.15), 0.15))


_image, _line, _cut = makers.depth_image, makers.line_scanner, makers.contours
_town = _place(shapes.town, 60.0, 7, 5)
_woods = _place(shapes.forest, 60.0, 45)
SCENES: dict[str, Maker] = {
    "terrain": partial(makers.airborne, make=_ground(), kind="text"),
    "terrain-utm": partial(makers.airborne, make=_ground(4.0), kind="text", offset=UTM),
    "terrain-steep": partial(makers.airborne, make=_ground(3.0, steep=0.7), kind="text"),
    "quarry": partial(makers.airborne, make=_pit, kind="text"),
    "town": partial(makers.airborne, make=_town),
    "town-text": partial(makers.airborne, make=_town, kind="text"),
    "town-strips": partial(makers.airborne, make=_town, strips=TILTED, spacing=0.6),
    "town-utm": partial(makers.airborne, make=_place(shapes.town, 60.0, 10, 2), offset=UTM),
    "town-densities": partial(makers.airborne, make=_town, strips=TILTED, spacing=1.0, ratio=0.4),
    "town-thinned": partial(makers.thinned, side=0.5, make=_town, strips=TILTED, spacing=0.4),
    "forest": partial(makers.airborne, make=_woods, spacing=0.5),
    "forest-slope": partial(makers.airborne, make=_place(shapes.forest, 60.0, 35, steep=0.4), spacing=0.5, offset=UTM),
    "forest-text": partial(makers.airborne, make=_woods, kind="text", told=True, spacing=0.5),
    "terrain-y-up": partial(makers.leaning, make=_ground()),
    "room": partial(makers.stations, make=_place(shapes.furnished), eyes=ROOM_EYES[:1]),
    "room-stations": partial(makers.stations, make=_place(shapes.furnished), eyes=ROOM_EYES, step=2.2),
    "room-own-frame": partial(
        makers.stations, make=_place(shapes.furnished), eyes=ROOM_EYES[:1], own_frame=True, known=False
    ),
    "room-text": partial(
        makers.stations, make=_place(shapes.furnished), eyes=ROOM_EYES[1:], own_frame=True, known=False, kind="text"
    ),
    "room-empty": partial(
        makers.stations, make=_fixed(shapes.room, 5.0, 4.0, 2.6), eyes=((2.0, 1.5, 1.4),), own_frame=True, known=False
    ),
    "corridor": partial(
        makers.stations, make=_corridor, eyes=((1.1, 6.0, 1.4), (1.2, 1.1, 1.5), (6.5, 1.0, 1.4)), step=2.8
    ),
    "depth-desk": partial(_image, make=_desk, eye=EYE, organised=True),
    "depth-desk-text": partial(_image, make=_desk, eye=EYE, opengl=True),
    "depth-knot": partial(_image, make=_thing(truths.example_knot), eye=EYE, organised=True),
    "depth-knot-text": partial(_image, make=_thing(truths.example_knot), eye=EYE),
    "depth-bracket": partial(_image, make=_thing(truths.bracket), eye=EYE),
    "depth-gear": partial(_image, make=_thing(truths.gear), eye=(0.2, -0.9, 1.0), organised=True, opengl=True),
    "depth-scales": partial(_image, make=_fixed(truths.scales), eye=(2.5, -3.0, 1.5), target=(0, 0, 0)),
    "depth-gyroid": partial(_image, make=_thing(truths.gyroid), eye=EYE, opengl=True),
    "depth-spring": partial(_image, make=_thing(truths.spring), eye=EYE, organised=True),
    "depth-torus": partial(_image, make=_thing(truths.torus), eye=EYE, opengl=True, noise=2e-3),
    "depth-wall": partial(_image, make=_piece(), eye=(0.1, -0.1, 1.4), target=(0, 0, 0)),
    "depth-lattice": partial(_image, make=_thing(truths.lattice), eye=EYE, world=True, told=True),
    "depth-ball": partial(_image, make=_fixed(truths.sphere, 6), eye=(0, -4.0, 1.0), target=(0, 0, 0), organised=True),
    "depth-shells": partial(_image, make=_thing(truths.thin_shell), eye=EYE),
    "rings-street": partial(makers.spinning, make=_place(shapes.street), path=((0, 0, 1.9),), beams=64, step=0.7),
    "rings-room": partial(
        makers.spinning, make=_place(shapes.furnished), path=((2.2, 1.3, 1.3),), low=-40, high=50, step=0.7
    ),
    "rings-drive": partial(
        makers.spinning, make=_place(shapes.street), path=[(x, 0.6, 1.9) for x in range(-14, 15, 4)], step=2.4
    ),
    "rings-drive-text": partial(
        makers.spinning,
        make=_place(shapes.street),
        path=[(x, -0.6, 1.9) for x in range(-14, 15, 4)],
        step=2.4,
        known=False,
    ),
    "street": partial(
        makers.stations,
        make=_place(shapes.street),
        eyes=((-9, 0.5, 1.7), (0, -0.5, 1.7), (9, 0.5, 1.7)),
        step=1.9,
        lowest=-50.0,
    ),
    "lines-5": partial(_line, make=_piece(), ratio=5.0),
    "lines-10": partial(_line, make=_piece(), ratio=10.0),
    "lines-20": partial(_line, make=_piece(height=0.05), ratio=20.0),
    "lines-10-desk": partial(_line, make=_desk, ratio=10.0),
    "cuts-4-knot": partial(_cut, make=_fixed(truths.example_knot), ratio=4.0),
    "cuts-6-scales": partial(_cut, make=_fixed(truths.scales), ratio=6.0),
    "cuts-8-torus": partial(_cut, make=_fixed(truths.torus), ratio=8.0),
    "cuts-8-vase": partial(_cut, make=_fixed(truths.vase), ratio=8.0),
    "splats-knot": partial(makers.splats, make=_fixed(truths.example_knot)),
    "splats-bracket": partial(makers.splats, make=_fixed(truths.bracket), noise=0.001),
    "bush": makers.bush,
    "bush-dense": partial(makers.bush, radius=2.0, leaf=0.03, count=14_000),
    "whole-knot": partial(makers.whole, make=_fixed(truths.example_knot)),
    "whole-gear": partial(makers.whole, make=_fixed(truths.gear)),
    "whole-scales": partial(makers.whole, make=_fixed(truths.scales), noise=0.002),
    "whole-ball": partial(makers.whole, make=_fixed(truths.sphere, 6), count=3_000),
    "whole-nested": partial(makers.whole, make=_fixed(truths.nested)),
    "whole-lattice": partial(makers.whole, make=_fixed(truths.lattice), count=25_000, shift=(3, 4, 5)),
    "whole-thin": partial(makers.whole, make=_fixed(truths.thin_shell), count=30_000),
    "half-ball": partial(makers.whole, make=_fixed(truths.hemisphere), count=8_000),
    "tube": partial(makers.whole, make=_fixed(truths.vase), count=10_000),
}


def built(name: str) -> Scene:
    """The same at every call: its random numbers come from its name, so that adding one scene changes no other."""
    return SCENES[name](np.random.default_rng(zlib.crc32(name.encode())))
