"""Where a mesh lies in its file, and in which unit of length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .errors import SettingsError
from .ranges import AUTO, check_choice, check_flag, check_number, check_places

UNITS = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "in": 0.0254}  # in metres
CLOUD_UNITS = "m"  # of scanners, surveys and phones
DOUBLE = (".ply",)  # whose readers keep the digits of doubles; those of other formats take numbers for float32
FAR = 4.0  # longest sides from 0, from which on --shift auto moves an axis: float32 has two digits less there
OF_FORMATS = {".glb": "m", ".stl": "mm"}  # what programs take the numbers of a file for that names no unit


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What becomes of the coordinates x of a mesh in its file: factor (x - shift).

    units: mm, cm, m or in, of the file; the factor converts to it. cloud_units: those of the cloud, metres if not
    given. size: the longest side of the mesh in the file, in its unit, in the place of a conversion. to_origin: the
    shift moves the lower corner of the mesh's box to 0. shift: three numbers instead, or auto: round ones where
    readers of the format take float32; a file beside the mesh keeps them, None: no such file. single: numbers are
    rounded to float32 in every format. Without any of them the numbers stay as they are.
    """

    units: str | None = None
    cloud_units: str | None = None
    size: float | None = None
    to_origin: bool = False
    shift: str | Sequence[float] | None = None
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
        if self.shift is not None:
            word = isinstance(self.shift, str)
            self._keep("shift", check_choice("--shift", self.shift, (AUTO,)) if word else _three(self.shift))
        if self.shift is not None and self.to_origin:
            raise SettingsError("--shift moves the mesh, and --to-origin and --printable do too; drop one of them")

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
        found = self._in_units(own)
        if found.shift is not None and (found.size is not None or found.factor(1.0) != 1.0):
            raise SettingsError(
                "--shift: the numbers of its file are added to those of the mesh, which another unit or --size would "
                "scale; drop one of them"
            )
        return replace(found, shift=(0.0, 0.0, 0.0)) if found.shift == AUTO and suffix in DOUBLE else found

    def _in_units(self, own: str | None) -> Placement:
        """With the unit `own` of a format, where something is converted."""
        if self.units is None and self.size is not None:
            return replace(self, units=own or "mm")
        return replace(self, units=own) if self.units is None and self.cloud_units is not None else self

    def moved(self, lower: Sequence[float], upper: Sequence[float]) -> tuple[float, float, float]:
        """The shift of a mesh with this box, in units of the cloud."""
        if self.to_origin:
            return _three(lower)
        if self.shift is None:
            return 0.0, 0.0, 0.0
        return round_shift(lower, upper) if self.shift == AUTO else _three(self.shift)

    @property
    def unit(self) -> str:
        """Of the numbers in the file."""
        return self.units or self.cloud_units or CLOUD_UNITS

    def factor(self, longest: float) -> float:
        """For a mesh whose longest side is so long in the cloud."""
        if self.size is not None:
            return self.size / longest if longest > 0.0 else 1.0
        return 1.0 if self.units is None else UNITS[self.cloud_units or CLOUD_UNITS] / UNITS[self.units]


def round_shift(lower: Sequence[float], upper: Sequence[float]) -> tuple[float, float, float]:
    """The shift of --shift auto: of each axis that lies far from 0 the lower end of the box, rounded down to a multiple
    of a power of ten, the largest one within the longest side; so that numbers are at most twice that side.
    """
    longest = max(high - low for low, high in zip(lower, upper, strict=True))
    if not longest > 0.0:
        return 0.0, 0.0, 0.0
    power = math.floor(math.log10(longest))
    far = [max(abs(low), abs(high)) > FAR * longest for low, high in zip(lower, upper, strict=True)]
    steps = [math.floor(low / 10.0**power) for low in lower]
    return _three([float(f"{step}e{power}") if apart else 0.0 for step, apart in zip(steps, far, strict=True)])


def _three(values: Any) -> tuple[float, float, float]:
    ((x, y, z),) = check_places("--shift", [values])
    return x, y, z


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
