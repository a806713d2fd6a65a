"""What a number, a word or a switch may be: one line where it is not, else the plain Python value that it stands for.

So settings may come from NumPy or be fractions, and what is kept can be compared, hashed, pickled and written as JSON.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, Literal

from .errors import SettingsError

Auto = Literal["auto"]
AUTO: Auto = "auto"  # the word that stands for what the program chooses
Axis = tuple[float, float, float]
UP: Axis = (0.0, 0.0, 1.0)  # where nothing else is said
UPS: dict[str, Axis] = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": UP}  # the axes that may be up
UPS |= {"-x": (-1.0, 0.0, 0.0), "-y": (0.0, -1.0, 0.0), "-z": (0.0, 0.0, -1.0)}
MAX_COUNT = 2**31 - 1  # of points, centres and iterations


def check_number(
    name: str, value: Any, low: float, high: float = math.inf, *, strict: bool = False, words: tuple[str, ...] = ()
) -> Any:
    """The float of a real number in [low, high], or in (low, high] where `strict`; or one of the words."""
    if isinstance(value, str) and value in words:
        return str(value)
    number = _float(value)
    if math.isfinite(number) and (low < number if strict else low <= number) and number <= high:
        return number
    span = f"{'greater than' if strict else 'at least'} {low:g}"
    span += f", at most {high:g}" if high < math.inf else ""
    span += f", or {' or '.join(words)}" if words else ""
    raise SettingsError(f"{name} must be {span}, got {shown(value)}")


def _float(value: Any) -> float:
    """The nearest float of a real number; NaN for anything else, and where it is larger than all floats."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return math.nan


def check_count(name: str, value: Any, low: int, high: int = MAX_COUNT, *, auto: bool = False) -> Any:
    """The int of a whole number in [low, high], or the word auto where that is allowed."""
    if auto and isinstance(value, str) and value == AUTO:
        return AUTO
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= int(value) <= high:
        raise SettingsError(
            f"{name} must be a whole number of at least {low}, at most {high}{', or auto' if auto else ''}, "
            f"got {shown(value)}"
        )
    return int(value)


def check_choice(name: str, value: Any, choices: tuple[str, ...] | None) -> str:
    if not isinstance(value, str) or (choices and value not in choices):
        raise SettingsError(
            f"{name} must be {'one of ' + ', '.join(choices) if choices else 'text'}, got {shown(value)}"
        )
    return str(value)


def check_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool) and (str(getattr(value, "dtype", "")), getattr(value, "shape", None)) != (
        "bool",
        (),
    ):
        raise SettingsError(f"{name} must be true or false, got {shown(value)}")
    return bool(value)


def check_classes(name: str, value: Any) -> tuple[int, ...]:
    """Different classes of points, as 2 and 6."""
    try:
        codes = [check_count(name, code, 0, 255) for code in value]
    except TypeError:
        raise SettingsError(f"{name} must be whole numbers, as 2,6, got {shown(value)}") from None
    return tuple(dict.fromkeys(codes))


def check_bounds(name: str, value: Any) -> tuple[float, ...]:
    """The corners of a box, as (x0, y0, x1, y1) or (x0, y0, z0, x1, y1, z1); () for none."""
    try:
        numbers = [_float(number) for number in value]
    except TypeError:
        numbers = [math.nan]
    half = len(numbers) // 2
    if len(numbers) not in (0, 4, 6) or not all(map(math.isfinite, numbers)):
        raise SettingsError(
            f"{name} must be four or six finite numbers, X0 Y0 X1 Y1 or X0 Y0 Z0 X1 Y1 Z1, got {shown(value)}"
        )
    for axis, low, high in zip("XYZ", numbers[:half], numbers[half:], strict=False):
        if low > high:
            raise SettingsError(f"{name}: {axis}0 is {low:.10g} and {axis}1 {high:.10g}; give the lower one first")
    return tuple(numbers)


def check_places(name: str, value: Any) -> tuple[tuple[float, ...], ...]:
    """Places [n, 3] in space."""
    try:
        places = [[*place] for place in value]
    except TypeError:
        places = [[value]]
    for place in places:
        if len(place) != 3 or not all(math.isfinite(_float(number)) for number in place):
            raise SettingsError(f"{name} must be three finite numbers, got {shown(place)}")
    return tuple(tuple(map(_float, place)) for place in places)


def shown(value: Any) -> str:
    """A value in a message: one short line, whatever it is."""
    if isinstance(value, float):
        return f"{value:g}"
    try:
        return " ".join(repr(value).split())[:40]
    except Exception:  # of a number with more digits than Python writes, or of an object with a fault of its own
        return f"one of type {type(value).__name__}"
