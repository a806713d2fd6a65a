"""Which coordinate system the numbers of a file are in: by pyproj, an extra, without which nothing else stops."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import CloudError, SettingsError, first_line, said, warn
from .atomic import PathLike, shown
from .isolation import decoded
from .reading import first_bytes, printable

MARK = b"LASF_Projection"  # of the records of a LAS file that say it
START, END = 1 << 20, 1 << 20  # bytes at both ends of a file in which these are looked for
NEEDS = "needs pyproj: pip install pyproj"
SURE = 70  # percent, that a definition is that of a code


@dataclass(frozen=True)
class CoordinateSystem:
    """name: as its authority has it. wkt: its definition, empty where pyproj is missing. epsg: the code of what it says
    of x and y, where there is one. degrees: whether these are angles.
    """

    name: str
    wkt: str
    epsg: int | None = None
    degrees: bool = False

    def summary(self) -> str:
        return f"{self.name} (EPSG:{self.epsg})" if self.epsg else self.name


def described(crs: Any) -> CoordinateSystem:
    """What is carried of a pyproj.CRS."""
    ground = crs.sub_crs_list[0] if crs.is_compound else crs
    return CoordinateSystem(printable(crs.name), crs.to_wkt(), ground.to_epsg(SURE), bool(crs.is_geographic))


def given(text: str) -> CoordinateSystem:
    """That of `--crs`: EPSG:25833, a name, or WKT. SettingsError where it is none."""
    try:
        from pyproj import CRS
        from pyproj.exceptions import CRSError
    except ImportError as error:
        raise SettingsError(f"--crs {NEEDS} ({first_line(error)})") from None
    try:
        found = described(CRS.from_user_input(text))
    except CRSError:
        raise SettingsError(f"--crs {text!r} is no coordinate system; give its code, as EPSG:25833") from None
    if found.degrees:
        raise SettingsError(f"--crs {text}: is in degrees, which are no lengths; project the points to metres first")
    return found


def read_crs(path: PathLike) -> CoordinateSystem | None:
    """That of a LAS or LAZ file, None where it names none; a warning says where one is named that is not understood.

    In a process of its own, as all that decodes such files.
    """
    if not _names_one(path):
        return None
    if importlib.util.find_spec("pyproj") is None:
        return CoordinateSystem(f"is named by the file and not read, which {NEEDS}", "")
    try:
        found = [columns["told"].tobytes() for columns in decoded("decode_crs", path)]
        if not found:
            raise CloudError("it has neither a code nor a definition")
        system = CoordinateSystem(**json.loads(found[0]))
    except CloudError as error:
        warn(f"{shown(path)}: its coordinate system is not understood ({printable(said(error))}); name it with --crs")
        return None
    if system.degrees:
        warn(
            f"{shown(path)}: its coordinate system, {system.summary()}, is in degrees, which are no lengths; project "
            "the points to metres first (UTM)"
        )
    return system


def common(
    systems: Sequence[CoordinateSystem | None], names: Sequence[str]
) -> tuple[CoordinateSystem | None, list[str]]:
    """That of several files, and a line where they are not in one."""
    known = {system.summary(): name for system, name in zip(systems, names, strict=True) if system is not None}
    first = next((system for system in systems if system is not None), None)
    if len(known) < 2:
        return first, []
    listed = ", ".join(f"{name} {summary}" for summary, name in known.items())
    return None, [f"the files are in several coordinate systems ({listed}); project them to one, or name it with --crs"]


def _names_one(path: PathLike) -> bool:
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - END))
        return MARK in first_bytes(path, START) or MARK in file.read()
