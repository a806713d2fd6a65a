"""Make a survey tile to try things on: hills with houses from the air, in two overlapping flights, as LAZ.

    python examples/make_tile.py tile.laz [--points 40000] [--noise 0.02] [--seed 0]

The tile is 100 m long and wide, in metres of EPSG:25833. The ground, in metres from its corner, is

    z = 60 + 4 sin(x / 16) + 3 cos(y / 13) + x / 20.

Five houses have gable roofs. An aircraft flies twice along x, 350 m above, so that the flights overlap in the middle.
Each pulse hits what it meets first: ground (class 2), or a roof or wall (class 6). Points have colours, scan angles,
times, the number of their flight and Gaussian noise along z of --noise metres.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

CRS = "EPSG:25833"
CORNER = np.array([391_200.0, 5_819_400.0])  # easting, northing
SIDE, FLOWN = 100.0, 350.0  # of the tile; height of the aircraft
FLIGHTS = ((15.0, (0.0, 62.0)), (85.0, (38.0, 100.0)))  # y of each flight, and of the strip that it sees
HOUSES = ((22, 24, 14, 9), (55, 18, 10, 10), (78, 40, 18, 8), (30, 70, 12, 10), (66, 76, 16, 12))  # x, y, sides
EAVES, RIDGE = 4.0, 7.0  # metres above the ground in the middle of a house
STEPS = 160  # places along the lowest part of a pulse


def ground(x, y):
    """Heights of the ground."""
    return 60 + 4 * np.sin(x / 16) + 3 * np.cos(y / 13) + x / 20


def roofs(x, y):
    """Heights of the roofs, and minus infinity beside the houses."""
    top = np.full(np.shape(x), -np.inf)
    for middle_x, middle_y, length, width in HOUSES:
        across = abs(y - middle_y) / (width / 2)
        inside = (abs(x - middle_x) <= length / 2) & (across <= 1)
        height = ground(middle_x, middle_y) + RIDGE + (EAVES - RIDGE) * across
        top = np.where(inside, height, top)
    return top


def flown(count: int, line: float, strip: tuple[float, float], rng):
    """What so many pulses of one flight meet: places [n, 3], whether it is a house [n], scan angles in degrees [n]."""
    x, y = rng.random(count) * SIDE, rng.uniform(*strip, count)
    aircraft = ground(SIDE / 2, SIDE / 2) + FLOWN
    low = ground(x, y)
    # Along the pulse from above all roofs down to the ground; 0 is the ground.
    up = np.linspace(18.0, 0.0, STEPS)[:, None]
    along = y + (line - y) * up / (aircraft - low)
    z = low + up
    met = z <= np.maximum(roofs(x + 0 * up, along), ground(x, along))
    met[-1] = True
    first = met.argmax(0), np.arange(count)
    y, z = along[first], z[first]
    house = roofs(x, y) > ground(x, y) + 0.05
    z = np.where(house, z, ground(x, y))
    return np.stack([x, y, z], 1), house, np.degrees(np.arctan2(y - line, aircraft - z))


def colours(places, house):
    """Colours [n, 3] of uint8: green to brown ground by its height, red roofs, light walls."""
    share = np.clip((places[:, 2] - 55) / 15, 0, 1)[:, None]
    soil = (1 - share) * np.array([70, 130, 60]) + share * np.array([150, 120, 80])
    wall = places[:, 2] < roofs(*places[:, :2].T) - 0.3
    built = np.where(wall[:, None], np.array([215, 210, 200]), np.array([170, 60, 50]))
    return np.where(house[:, None], built, soil).astype(np.uint8)


def tile(count: int, noise: float, seed: int):
    """Places, colours, classes, scan angles and flights of both flights, about so many points in all."""
    rng, found = np.random.default_rng(seed), []
    for number, (line, strip) in enumerate(FLIGHTS, 1):
        places, house, angle = flown(count // 2, line, strip, rng)
        rgb = colours(places, house)
        places[:, 2] += noise * rng.standard_normal(len(places))
        found.append((places, rgb, np.where(house, 6, 2), angle, np.full(len(places), number)))
    return tuple(map(np.concatenate, zip(*found, strict=True)))


def main(argv=None) -> None:
    import laspy
    from pyproj import CRS as System

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="FILE.laz")
    parser.add_argument("--points", type=int, default=40_000)
    parser.add_argument("--noise", type=float, default=0.02, help="metres")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    places, rgb, classes, angle, flight = tile(args.points, args.noise, args.seed)
    las = laspy.LasData(laspy.LasHeader(point_format=7, version="1.4"))
    las.header.offsets, las.header.scales = [*CORNER, 0.0], [1e-3] * 3
    las.header.add_crs(System.from_user_input(CRS))
    las.x, las.y, las.z = places[:, 0] + CORNER[0], places[:, 1] + CORNER[1], places[:, 2]
    las.red, las.green, las.blue = 257 * rgb.T.astype(np.uint16)
    las.classification, las.point_source_id = classes, flight
    las.scan_angle = np.round(angle / 0.006).astype(np.int16)
    las.gps_time = np.arange(len(places)) * 1e-5
    las.return_number = las.number_of_returns = np.ones(len(places), np.uint8)
    las.write(str(args.out))
    houses = int((classes == 6).sum())
    print(f"{len(places)} points of {len(FLIGHTS)} flights, {houses} of them on houses -> {args.out}")


if __name__ == "__main__":
    main()
