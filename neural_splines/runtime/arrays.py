"""numpy in gives numpy out; torch in gives torch out, on its device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingsError
from .devices import slices
from .threads import parallel_map

Array = TypeVar("Array", Tensor, np.ndarray)


def distinct(ids: Tensor) -> Tensor:
    """The distinct integers of a tensor, sorted. On a CPU NumPy sorts in a quarter of the time of torch.unique."""
    if ids.device.type != "cpu":
        return torch.unique(ids)
    ordered = np.sort(ids.numpy(), axis=None)
    fresh = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=fresh[1:])
    return torch.from_numpy(ordered[fresh])


def dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The products [n] of the rows of two arrays [n, 3]: by columns, since sums along rows of three are slow."""
    out = np.empty(len(a))

    def product(rows: slice) -> None:
        (ax, ay, az), (bx, by, bz) = a[rows].T, b[rows].T
        with np.errstate(invalid="ignore", over="ignore"):  # belongs to a thread
            np.add(ax * bx + ay * by, az * bz, out=out[rows])

    parallel_map(product, slices(len(a), torch.device("cpu")))
    return out


def largest_of_rows(values: np.ndarray) -> np.ndarray:
    """The largest absolute value [n] of the rows of values [n, 3]; NaN where one is. By several threads."""
    out = np.empty(len(values), np.float64)

    def look(rows: slice) -> None:
        x, y, z = np.abs(values[rows]).T
        with np.errstate(invalid="ignore"):
            np.maximum(np.maximum(x, y), z, out=out[rows])

    parallel_map(look, slices(len(values), torch.device("cpu")))
    return out


def as_rows(points: Any, name: str = "points") -> tuple[Tensor, Callable[[Tensor], Any]]:
    """An array [n, 3] as a tensor, and the function that gives a result the form in which the array came.

    Raises SettingsError for what is no real array of that shape.
    """
    if isinstance(points, Tensor):
        tensor, device = points.detach(), points.device

        def back(result: Tensor) -> Any:
            return result.to(device)
    else:
        try:
            array = np.asarray(points)
            tensor = torch.from_numpy(np.array(array, dtype=complex if np.iscomplexobj(array) else np.float64))
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{name} must be an array [n, 3] of numbers, got {type(points).__name__}") from error

        def back(result: Tensor) -> Any:
            return result.cpu().numpy()

    if tensor.ndim != 2 or tensor.shape[1] != 3 or tensor.is_complex():
        raise SettingsError(f"{name} must be a real array [n, 3], got {list(tensor.shape)} of {tensor.dtype}")
    return tensor, back
