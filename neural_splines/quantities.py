"""Numbers as a person writes them: 12,345 points, 1 node, 3.2 mm, 2 min 21 s, and shares that add up to 100 %."""

from __future__ import annotations

import math
from collections.abc import Sequence

SMALLEST, LARGEST = -4, 6  # powers of ten of what is written without them
METRES = (("km", 1e3), ("m", 1.0), ("mm", 1e-3), ("\N{MICRO SIGN}m", 1e-6))
TIMES = " \N{MULTIPLICATION SIGN} "
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def counted(count: int, noun: str, several: str = "") -> str:
    """`1 node`, `12,345 nodes`; several: the plural, where it is not noun + s."""
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"


def number(value: float, digits: int = 3) -> str:
    """With so many digits that mean something, and no `e`: `0.0032`, `12,300`, `5.7 × 10⁻⁵`."""
    if not math.isfinite(value):
        return "none" if math.isnan(value) else "infinite"
    if value == 0.0:
        return "0"
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if not SMALLEST <= power <= LARGEST:
        return f"{_bare(mantissa)}{TIMES}10{str(power).translate(RAISED)}"
    return plain(value, digits)


def plain(value: float, digits: int = 3) -> str:
    """The same in ASCII, as a decimal however small: `0.000057`."""
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g}"
    power = int(f"{value:.{digits - 1}e}".partition("e")[2])
    rounded = round(value, digits - 1 - power)
    return _bare(f"{rounded:,.{max(digits - 1 - power, 0)}f}")


def quantity(value: float, unit: str = "", digits: int = 3) -> str:
    """A length with its unit; metres as km, m, mm or µm. Without a unit it is in units of the cloud: `0.032`."""
    if unit != "m" or value == 0.0 or not math.isfinite(value):
        return f"{number(value, digits)} {unit}".rstrip()
    name, size = next((found for found in METRES if abs(value) >= 0.9995 * found[1]), METRES[-1])
    return f"{number(value / size, digits)} {name}"


def duration(seconds: float, whole: bool = False) -> str:
    """`0.04 s`, `3.2 s`, `21 s`, `2 min 21 s`, `1 h 5 min`; whole: no parts of a second."""
    if seconds < 9.95 and not whole:
        return f"{seconds:.1f} s" if seconds >= 0.095 or seconds == 0.0 else f"{plain(seconds, 1)} s"
    rounded = round(seconds)
    if rounded < 120:
        return f"{rounded} s"
    minutes, rest = divmod(rounded, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def percentages(values: Sequence[float]) -> list[int]:
    """Whole percentages of the sum of values >= 0, that add up to 100: the largest remainders are rounded up."""
    total = sum(values)
    if not total > 0.0:
        return [0] * len(values)
    exact = [100.0 * value / total for value in values]
    found = [int(share) for share in exact]
    order = sorted(range(len(values)), key=lambda k: found[k] - exact[k])
    for k in order[: 100 - sum(found)]:
        found[k] += 1
    return found


def _bare(text: str) -> str:
    """Without zeros at the end of decimals."""
    return text.rstrip("0").rstrip(".") if "." in text else text
