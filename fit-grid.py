#!/usr/bin/env python
"""Reconstruct a triangle mesh from an oriented point cloud with a smooth blend of many local neural splines."""

from neural_splines import interrupts

if __name__ == "__main__":
    interrupts.install("fit-grid.py")  # before what takes time to import

from neural_splines import cli, commands, console


def parse_arguments(argv=None):
    p = cli.parser("fit-grid.py", __doc__)
    cli.add_cloud_arguments(p, centers="the most Nystrom centres of a cell; negative: every tripled point; auto: 300")
    cli.add_cell_options(p)
    cli.add_shared_options(p)
    return p.parse_args(argv)


def main(argv=None) -> None:
    args = parse_arguments(argv)
    with console.exit_policy("fit-grid.py", args.verbose, args.strict):
        print(commands.reconstruct(args, cli.settings_from(args, cells=cli.cell_settings_from(args))))


if __name__ == "__main__":
    main()
