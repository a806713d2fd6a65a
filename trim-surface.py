#!/usr/bin/env python
"""Drop the faces of a mesh that lie far from the point cloud it was made from."""

from neural_splines import interrupts

if __name__ == "__main__":
    interrupts.install("trim-surface.py")  # before what takes time to import

from neural_splines import cli, commands, console


def parse_arguments(argv=None):
    p = cli.parser("trim-surface.py", __doc__)
    p.add_argument("input_point_cloud", metavar="INPUT_POINT_CLOUD", help="PLY file of points with normals")
    p.add_argument("mesh", metavar="MESH", help="PLY file of the mesh to trim")
    p.add_argument("grid_size", metavar="GRID_SIZE", type=int, help="the one that the mesh was made with")
    p.add_argument(
        "distance", metavar="DISTANCE", type=float, help="drop faces farther from the input, in voxel diagonals"
    )
    p.add_argument("--out", default="trimmed.ply", metavar="FILE", help="mesh to write (default: %(default)s)")
    p.add_argument(
        "--scale",
        type=float,
        default=cli.Settings.scale,
        help="the one that the mesh was made with (default: %(default)s)",
    )
    p.add_argument("--use-abs-units", action="store_true", help="DISTANCE is in the units of the cloud")
    return p.parse_args(argv)


def main(argv=None) -> None:
    args = parse_arguments(argv)
    with console.exit_policy("trim-surface.py", verbose=False):
        print(commands.trim(args))


if __name__ == "__main__":
    main()
