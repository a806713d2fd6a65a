"""Reconstruct a triangle mesh from a point cloud; the program chooses all sizes that are not given."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence

from ..settings import AUTO
from . import arguments, fit_grid, parsing

REPEAT = "neural-splines fit-grid"  # whose explicit command writes the same mesh


def parse_arguments(argv: Sequence[str] | None, prog: str) -> Namespace:
    p = parsing.parser(prog, __doc__)
    arguments.add_cloud_arguments(p)
    arguments.add_sizes(p.add_argument_group("sizes"), fit_grid.CENTERS, cells=True, named=True)
    fit_grid.add_options(p)
    p.set_defaults(repeat=REPEAT, how_to_look=True)
    args = parsing.parse(p, argv)
    for word in args.input_point_cloud[1:]:
        if _size(word) and not os.path.exists(word):
            p.error(f"there is no file {word!r}; sizes are options here, as --grid-size 192, and arguments of {REPEAT}")
    return args


def _size(word: str) -> bool:
    """Whether a word is what fit-grid takes behind the cloud."""
    try:
        return word == AUTO or float(word) is not None
    except ValueError:
        return False


def main(argv: Sequence[str] | None = None, prog: str = "neural-splines reconstruct") -> None:
    fit_grid.run(parse_arguments(argv, prog), prog)
