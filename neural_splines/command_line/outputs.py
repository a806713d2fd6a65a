"""Arguments that say what is written, and what is told while it is made."""

from __future__ import annotations

import argparse
from typing import Any

from ..placement import CLOUD_UNITS, UNITS, Placement, Printing
from ..ranges import AUTO
from ..settings import MESH_FORMATS, QUALITIES

DEFAULT_OUT = "recon.ply"


def path(text: str) -> str:
    """An argument type: the name of a file or a folder."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected a name, got {text!r}")
    return text


class Shift(argparse.Action):
    """Of --shift: auto, three numbers, or None for the word none."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        setattr(namespace, self.dest, self._meant(values))

    def _meant(self, values: list[str]) -> str | tuple[float, ...] | None:
        if values in ([AUTO], ["none"]):
            return None if values == ["none"] else AUTO
        try:
            numbers = tuple(map(float, values))
        except ValueError:
            numbers = ()
        if len(numbers) != 3:
            raise argparse.ArgumentError(self, f"expected auto, none or three numbers X Y Z, got {' '.join(values)!r}")
        return numbers


def qualities(text: str) -> tuple[str, ...]:
    """An argument type: names of numbers of vertices, by commas."""
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in QUALITIES:
            raise argparse.ArgumentTypeError(f"expected some of {', '.join(QUALITIES)}, by commas, got {name!r}")
    return tuple(dict.fromkeys(names))


def add_output_options(p: argparse.ArgumentParser) -> None:
    output = p.add_argument_group("output")
    output.add_argument(
        "--out",
        type=path,
        default=None,
        metavar="FILE",
        help=f"mesh to write, {', '.join(MESH_FORMATS)} by its extension; -: standard output (default: {DEFAULT_OUT})",
    )
    output.add_argument(
        "--out-dir",
        type=path,
        default=None,
        metavar="DIR",
        help="write one mesh for each input into this folder, named after the input; it is made where it is missing",
    )
    output.add_argument(
        "--format",
        choices=[f[1:] for f in MESH_FORMATS],
        default=None,
        help="format of the meshes in --out-dir, or of --out - (default: ply)",
    )
    output.add_argument(
        "--units",
        choices=UNITS,
        default=None,
        help="unit of the numbers in the mesh file; numbers are converted from the unit of the cloud (default: "
        "m for GLB; else the unit of the cloud, so that no number changes)",
    )
    output.add_argument(
        "--cloud-units",
        choices=UNITS,
        default=None,
        help=f"unit of the cloud; STL is then in mm (default: {CLOUD_UNITS})",
    )
    output.add_argument(
        "--size",
        type=float,
        default=None,
        metavar="LENGTH",
        help="scale the mesh in the file so that its longest side has this length, in --units, else in mm (GLB: m)",
    )
    output.add_argument(
        "--to-origin", action="store_true", help="move the lower corner of the box of the mesh to 0 in the file"
    )
    output.add_argument(
        "--shift",
        nargs="+",
        action=Shift,
        default=None,
        metavar=("auto|none|X", "Y Z"),
        help="subtract X Y Z from the coordinates in the file, and write them to {out}.offset.xyz; auto: round "
        "numbers, in all formats but PLY, because programs that read those formats lose digits of large "
        "coordinates (default: none)",
    )
    output.add_argument(
        "--printable",
        action="store_true",
        help="write a mesh for 3D printers: close the surface, flat rims by planes, move it to the origin, and "
        "check that in float32 it is manifold and no faces intersect; one line says why where that is "
        "impossible; needs manifold3d",
    )
    output.add_argument(
        "--flat-bottom",
        action="store_true",
        help="--printable, and cut flat across --up at the lowest point of the cloud",
    )
    output.add_argument(
        "--cut-plane",
        type=float,
        nargs=4,
        default=None,
        metavar=("A", "B", "C", "D"),
        help="--printable, and keep only the part with A x + B y + C z >= D",
    )
    output.add_argument(
        "--attributes",
        default=None,
        metavar="NAMES",
        help="copy these numbers of the points to the vertices of the mesh, as a,b or all; colours are always copied",
    )
    output.add_argument(
        "--texture",
        type=int,
        default=None,
        metavar="SIZE",
        help="store the colours of all points as an image of SIZE x SIZE pixels on the mesh, such as 4096, "
        "instead of colours of vertices; GLB, or OBJ with MTL and PNG; needs xatlas",
    )
    output.add_argument(
        "--normal-map",
        action="store_true",
        help="with --texture: store an image of the surface normals too, for a mesh of few --faces; works "
        "without colours",
    )
    output.add_argument(
        "--quality",
        type=qualities,
        default=None,
        metavar="NAMES",
        help=f"numbers of each vertex, as a,b: {', '.join(QUALITIES)} (docs/trust.md)",
    )
    output.add_argument(
        "--preview",
        type=path,
        default=None,
        metavar="FILE.png",
        help="write a picture of the mesh beside the points; {} in the name stands for the name of the mesh "
        "without its extension",
    )
    output.add_argument(
        "--html",
        type=path,
        default=None,
        metavar="FILE.html",
        help="write a web page that shows the mesh to turn it, with distances, settings, warnings and times; "
        "{} as above",
    )
    output.add_argument(
        "--report",
        type=path,
        default=None,
        metavar="FILE.json",
        help="write a JSON file of what was done, chosen and found (docs/report.md)",
    )
    output.add_argument(
        "--save-grid", action="store_true", help="evaluate the dense grid and write {out}.grid.npy, {out}.grid.json"
    )
    output.add_argument(
        "--save-points",
        action="store_true",
        help="write {out}.pts.npz: constraints, their values, the Nyström centres, eps",
    )
    add_verbosity(output, "; the last line is a command that repeats this run")
    output.add_argument("--quiet", action="store_true", help="print only warnings and errors")


def add_verbosity(p: argparse._ActionsContainer, more: str = "") -> None:
    p.add_argument("--verbose", action="store_true", help=f"print each phase and all numerical details{more}")
    p.add_argument(
        "--strict",
        action="store_true",
        help="exit with code 3, after writing, if there was any warning, such as a cell without a model",
    )


def printing_from(args: argparse.Namespace) -> Printing:
    return Printing(printable=args.printable, flat_bottom=args.flat_bottom, cut_plane=args.cut_plane)


def placement_from(args: argparse.Namespace) -> Placement:
    """A mesh for a printer moves to the origin, where float32 has most digits."""
    printed = printing_from(args).asked
    return Placement(
        units=args.units,
        cloud_units=args.cloud_units,
        size=args.size,
        to_origin=args.to_origin or printed,
        shift=args.shift,
        single=printed,
    )


def placement_options(args: argparse.Namespace) -> list[str]:
    """The words that ask for the same again."""
    words = []
    for name, option in (("units", "--units"), ("cloud_units", "--cloud-units"), ("size", "--size")):
        if (value := getattr(args, name)) is not None:
            words += [option, str(value)]
    for name in ("to_origin", "printable", "flat_bottom"):
        words += ["--" + name.replace("_", "-")] * getattr(args, name)
    if args.shift is not None:
        words += ["--shift", *([args.shift] if args.shift == AUTO else map(repr, args.shift))]
    return [*words, *(["--cut-plane", *map(repr, args.cut_plane)] if args.cut_plane else [])]
