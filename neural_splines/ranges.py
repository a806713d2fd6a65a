"""What a number, a word or a switch may be: one line where it is not."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, Literal

from .errors import SettingsError

Auto = Literal["auto"]
AUTO: Auto = "auto"  # the word that stands for what the program chooses
MAX_COUNT = 2**31 - 1  # of points, centres and iterations


def check_number(
    name: str,
    value: Any,
    low: float,
    high: float = math.inf,
    *,
    strict: bool = False,
    auto: bool = False,
    words: str = "",
) -> None:
    """A real number in [low, high], or in (low, high] where `strict`; or the word auto where that is allowed."""
    if auto and isinstance(value, str) and value == AUTO:
        return
    number = isinstance(value, Real) and not isinstance(value, bool)
    good = number and (low < value if strict else low <= value) and value <= high and math.isfinite(value)
    if not good:
        span = f"{'greater than' if strict else 'at least'} {low:g}"
        span += f", at most {high:g}" if high < math.inf else ""
        span += f", or auto{words}" if auto else ""
        raise SettingsError(f"{name} must be {span}, got {shown(value)}")


def check_count(name: str, value: Any, low: int, high: int = MAX_COUNT, *, auto: bool = False) -> None:
    """A whole number in [low, high], or the word auto where that is allowed."""
    if auto and isinstance(value, str) and value == AUTO:
        return
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= int(value) <= high:
        raise SettingsError(
            f"{name} must be a whole number of at least {low}, at most {high}{', or auto' if auto else ''}, "
            f"got {shown(value)}"
        )


def check_choice(name: str, value: Any, choices: tuple[str, ...] | None) -> None:
    if not isinstance(value, str) or (choices and value not in choices):
        raise SettingsError(f"{name} must be {'one of ' + ', '.join(choices) if choices else 'text'}, got {value!r}")


def check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise SettingsError(f"{name} must be true or false, got {value!r}")


def shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)[:40]
