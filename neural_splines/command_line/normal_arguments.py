"""Arguments that say where normals come from, and the settings that they mean."""

from __future__ import annotations

import argparse

from ..errors import SettingsError
from ..ranges import AUTO, UPS
from ..settings import NORMALS, NormalSettings
from .outputs import path


def add_normal_options(p: argparse.ArgumentParser, source: str = NormalSettings.source) -> None:
    """Where normals come from, and what is known of the sides of the surface."""
    normals = p.add_argument_group("normals")
    normals.add_argument(
        "--normals",
        choices=NORMALS,
        default=source,
        help="file: use the normals of the file; estimate: estimate them from the points; auto: use those of "
        "the file where there are some, else estimate (default: %(default)s)",
    )
    normals.add_argument(
        "--sensor-position",
        type=float,
        nargs=3,
        action="append",
        default=None,
        metavar=("X", "Y", "Z"),
        help="position that the surface was seen from, in the units of the cloud; estimated normals point "
        "towards it; may be given several times; with --free-space a column sensor_id, from 0, says which "
        "position saw a point",
    )
    normals.add_argument(
        "--cameras",
        type=path,
        default=None,
        metavar="FILE",
        help="JSON file of camera positions in the frame of the cloud, as NeRF programs write it "
        "(transforms.json: frames with a transform_matrix, camera to world); they are used as "
        "--sensor-position",
    )
    normals.add_argument(
        "--inside",
        action="store_true",
        help="the cloud is a room seen from within: estimated normals point into the room",
    )
    normals.add_argument(
        "--aerial",
        action="store_true",
        help="the cloud was seen from above, as from an aircraft, also through leaves: estimated normals point upwards",
    )
    normals.add_argument(
        "--up",
        choices=(AUTO, *UPS),
        default=NormalSettings.up,
        help="upward direction, for clouds seen from above, for pictures and for GLB, which stores y as up; "
        "auto: z, but y in pictures and GLB of models (default: %(default)s)",
    )
    normals.add_argument("--flip-normals", action="store_true", help="reverse all normals, those of the file too")


def normal_settings_from(args: argparse.Namespace) -> NormalSettings:
    places = tuple(tuple(place) for place in args.sensor_position or ())
    if args.cameras:
        if places:
            raise SettingsError("--cameras and --sensor-position both say where it was seen from; drop one of them")
        from ..files.cameras import load_cameras

        places = tuple(map(tuple, load_cameras(args.cameras).tolist()))
    return NormalSettings(
        source=args.normals,
        sensor_positions=places,
        cameras=args.cameras or "",
        inside=args.inside,
        aerial=args.aerial,
        up=args.up,
        flip=args.flip_normals,
        device=args.device,
        free_space=getattr(args, "free_space", False),
    )
