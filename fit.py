#!/usr/bin/env python
"""Reconstruct a triangle mesh from an oriented point cloud with one neural spline."""

from neural_splines import interrupts

if __name__ == "__main__":
    interrupts.install("fit.py")  # before what takes time to import

from neural_splines import cli, commands, console


def parse_arguments(argv=None):
    p = cli.parser("fit.py", __doc__)
    cli.add_cloud_arguments(
        p,
        centers="number of Nystrom centres, taken from the tripled cloud; negative: every tripled point; "
        "auto: about 30 sqrt(constraints)",
    )
    p.add_argument(
        "--regularization",
        type=float,
        default=cli.Settings.regularization,
        metavar="LAMBDA",
        help="weight of the ridge penalty (default: %(default)s)",
    )
    cli.add_shared_options(p)
    return p.parse_args(argv)


def main(argv=None) -> None:
    args = parse_arguments(argv)
    with console.exit_policy("fit.py", args.verbose, args.strict):
        print(commands.reconstruct(args, cli.settings_from(args)))


if __name__ == "__main__":
    main()
