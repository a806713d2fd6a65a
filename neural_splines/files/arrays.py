"""Arrays, grids and reports in and out: .npz, .npy and .json."""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from .atomic import PathLike, atomic
from .numpy_files import Archive
from .reading import errors_name


def save_arrays(path: PathLike, **arrays: Any) -> None:
    """An .npz file of these arrays, tensors or numbers, which np.load reads without pickle."""
    with atomic(path) as (stream,):
        found: dict[str, Any] = {name: as_array(values) for name, values in arrays.items()}
        np.savez(stream, **found)


def save_arrays_in_parts(path: PathLike, arrays: Mapping[str, tuple[tuple[int, ...], Iterable[np.ndarray]]]) -> None:
    """An .npz file, as `save_arrays` writes it, of float64 arrays: for each its shape, and its rows part by part."""
    with atomic(path) as (stream,), zipfile.ZipFile(stream, "w") as archive:
        for name, (shape, parts) in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                header = {"descr": "<f8", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for part in parts:
                    member.write(np.ascontiguousarray(part, "<f8").data)


def save_grid(path_npy: PathLike, array: Any, path_json: PathLike, metadata: Mapping[str, Any]) -> None:
    """A grid as .npy and what it means as .json: both appear, or neither."""
    with atomic(path_npy, path_json) as (grid, text):
        np.save(grid, as_array(array), allow_pickle=False)
        text.write(_json(metadata))


def save_json(path: PathLike, data: Any) -> None:
    with atomic(path) as (stream,):
        stream.write(_json(data))


def as_json(data: Any) -> Any:
    """What a file of `save_json` says: numbers, text, lists and dictionaries."""
    return json.loads(_json(data))


def as_array(values: Any) -> np.ndarray:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.dtype.hasobject:
        raise TypeError(f"arrays of numbers or text can be written, not {type(values).__name__}")
    return array


def _json(data: Any) -> bytes:
    return (json.dumps(_plain(data), indent=1, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    """What JSON has for a value: lists for arrays, null for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return _plain(as_array(value).tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def load_arrays(path: PathLike, only: Collection[str] = ()) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, or those of them that are asked for; without pickle.

    CloudError names the path where it is none.
    """
    with errors_name(path), open(path, "rb") as stream:
        archive = Archive(stream, os.path.getsize(path))
        return {name: archive[name] for name in archive.names if not only or name in only}
