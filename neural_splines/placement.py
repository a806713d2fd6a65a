"""Where a mesh lies in its file, and in which unit of length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .errors import SettingsError
from .ranges import check_choice, check_flag, check_number

UNITS = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "in": 0.0254}  # in metres
CLOUD_UNITS = "m"  # of scanners, surveys and phones
OF_FORMATS = {".glb": "m", ".stl": "mm"}  # what programs take the numbers of a file for that names no unit


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What becomes of the coordinates x of a mesh in its file: factor (x - shift).

    units: mm, cm, m or in, of the file; the factor converts to it. cloud_units: those of the cloud, metres if not
    given. size: the longest side of the mesh in the file, in its unit, in the place of a conversion. to_origin: the
    shift moves the lower corner of the mesh's box to 0. single: numbers are rounded to float32 in every format. Without
    any of them the numbers stay as they are.
    """

    units: str | None = None
    cloud_units: str | None = None
    size: float | None = None
    to_origin: bool = False
    single: bool = False

    def __post_init__(self) -> None:
        for name, option in (("units", "--units"), ("cloud_units", "--cloud-units")):
            if getattr(self, name) is not None:
                self._keep(name, check_choice(option, getattr(self, name), tuple(UNITS)))
        if self.size is not None:
            self._keep("size", check_number("--size", self.size, 0.0, strict=True))
        self._keep("to_origin", check_flag("--to-origin", self.to_origin))
        if self.size is not None and self.cloud_units is not None:
            raise SettingsError("--size says how large the mesh is, and --cloud-units too; drop one of them")

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def asked(self) -> bool:
        return self != Placement()

    def of_format(self, suffix: str) -> Placement:
        """With the unit of a format, where it has one of its own and something is converted."""
        own = OF_FORMATS.get(suffix)
        if suffix == ".glb" and self.units not in (None, own):
            raise SettingsError(f"--units {self.units}: GLB is in metres; use --units m, or another format")
        if self.units is None and self.size is not None:
            return replace(self, units=own or "mm")
        return replace(self, units=own) if self.units is None and self.cloud_units is not None else self

    @property
    def unit(self) -> str:
        """Of the numbers in the file."""
        return self.units or self.cloud_units or CLOUD_UNITS

    def factor(self, longest: float) -> float:
        """For a mesh whose longest side is so long in the cloud."""
        if self.size is not None:
            return self.size / longest if longest > 0.0 else 1.0
        return 1.0 if self.units is None else UNITS[self.cloud_units or CLOUD_UNITS] / UNITS[self.units]


AS_IT_IS = Placement()


@dataclass(frozen=True, kw_only=True)
class Printing:
    """How a mesh is made one that printers take.

    printable: at all; flat rims are closed by their planes. flat_bottom: cut across up at the lowest point instead.
    cut_plane: a b c d, or cut so that places x with a x + b y + c z >= d are kept.
    """

    printable: bool = False
    flat_bottom: bool = False
    cut_plane: Sequence[float] | None = None

    def __post_init__(self) -> None:
        for name, option in (("printable", "--printable"), ("flat_bottom", "--flat-bottom")):
            object.__setattr__(self, name, check_flag(option, getattr(self, name)))
        if self.cut_plane is not None:
            numbers = tuple(check_number("--cut-plane", number, -math.inf) for number in self.cut_plane)
            if len(numbers) != 4 or not any(numbers[:3]):
                raise SettingsError("--cut-plane needs four numbers a b c d, of which the first three are not all 0")
            object.__setattr__(self, "cut_plane", numbers)

    @property
    def asked(self) -> bool:
        return self.printable or self.flat_bottom or self.cut_plane is not None


@dataclass(frozen=True)
class Placed:
    """A mesh in its file: factor (x - shift) of the cloud's coordinates x; the sides of its box there."""

    factor: float
    shift: tuple[float, float, float]
    sides: tuple[float, float, float]
    unit: str
