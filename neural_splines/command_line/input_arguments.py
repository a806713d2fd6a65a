"""Arguments that say how the files of points are read."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import SettingsError, said
from ..ranges import check_bounds, check_classes


def add_input_options(p: argparse.ArgumentParser, merge: bool = False) -> None:
    """How files are read; and, with `merge`, several as one."""
    group = p.add_argument_group("input")
    group.add_argument(
        "--columns",
        default="",
        metavar="NAMES",
        help='names of the columns of a table without a header, such as "x y z i r g b": x y z, nx ny nz, r g '
        "b, i for intensity, any other name for a number, - to skip a column (default: found from the "
        "values)",
    )
    group.add_argument(
        "--classes",
        type=classes,
        default=(),
        metavar="NUMBERS",
        help="read only the points of these classes, such as 2,6 for ground and buildings in LAS (default: all "
        "but noise)",
    )
    group.add_argument(
        "--bounds",
        nargs="+",
        action=Bounds,
        default=(),
        metavar=("X0", "Y0 [Z0] X1 Y1 [Z1]"),
        help="read only the points in this box, in the units of the file; of COPC files, only nodes that "
        "overlap it (default: all)",
    )
    if merge:
        group.add_argument(
            "--merge",
            action="store_true",
            help="make one mesh of all inputs, which share one coordinate frame; --sensor-position may be given "
            "once for each input, in their order",
        )


class Bounds(argparse.Action):
    """Of --bounds: four or six numbers."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        try:
            setattr(namespace, self.dest, check_bounds("--bounds", [float(value) for value in values]))
        except SettingsError as error:
            raise argparse.ArgumentError(self, said(error).removeprefix("--bounds").removeprefix(":").strip()) from None
        except ValueError:
            given = " ".join(values)
            raise argparse.ArgumentError(self, f"expected four or six numbers, got {given[:80]!r}") from None


def classes(text: str) -> tuple[int, ...]:
    """An argument type: numbers of classes, as 2,6."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) < 4 for word in words):
        raise argparse.ArgumentTypeError(f"expected numbers of classes, as 2,6, got {text!r}")
    try:
        return check_classes("--classes", map(int, words))
    except SettingsError as error:
        raise argparse.ArgumentTypeError(said(error).removeprefix("--classes ")) from None


def read_options(args: argparse.Namespace) -> list[str]:
    """The words that ask for the same again."""
    columns = ["--columns", args.columns] if args.columns else []
    merge = ["--merge"] if getattr(args, "merge", False) else []
    chosen = ["--classes", ",".join(map(str, args.classes))] if args.classes else []
    box = ["--bounds", *map(repr, args.bounds)] if args.bounds else []
    return [*columns, *chosen, *box, *merge]
