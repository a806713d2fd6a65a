"""Work in pieces: as large as a device likes, and dealt out where there are several devices."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import Field, fields, replace
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor

from .threads import Item, Result, as_here, limit, parallel_map

logger = logging.getLogger(__name__)

MANY_THREADS = 4  # of a CPU: fewer do not gain by slabs
AT_ONCE = {"cpu": 1 << 15, "cuda": 1 << 20}  # rows worked on at a time: bounds the temporaries, hides the launches
Part = TypeVar("Part")


class Dataclass(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


Record = TypeVar("Record", bound=Dataclass)


def pieces(rows: Tensor) -> tuple[Tensor, ...]:
    """Runs of the rows, at least one, for work whose temporaries are many times as large."""
    return rows.split(AT_ONCE[rows.device.type])


def slices(count: int, device: torch.device) -> list[slice]:
    """As `pieces`, for work on several tensors of `count` rows."""
    size = AT_ONCE[device.type]
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def map_in_halves(work: Callable[[Tensor], Result], parts: Iterable[Tensor]) -> list[Result]:
    """[work(part)] for tensors: shared out to threads on a CPU, in turn on a GPU, and there, where the work on one does
    not fit into its memory, in halves.
    """
    parts = list(parts)
    if parts and parts[0].device.type == "cpu":
        return [one for found in parallel_map(lambda part: _in_turn(work, [part]), parts) for one in found]
    return _in_turn(work, parts)


def _in_turn(work: Callable[[Tensor], Result], parts: list[Tensor]) -> list[Result]:
    left, results = parts[::-1], []
    while left:
        part = left.pop()
        try:
            results.append(work(part))
            continue
        except torch.cuda.OutOfMemoryError:
            if len(part) <= 1:
                raise
        # Here the exception, which kept the tensors of its frames, is gone.
        torch.cuda.empty_cache()
        logger.info("the GPU's memory is too small for %d at a time: they are halved", len(part))
        left += reversed(part.tensor_split(2))
    return results


def map_on_devices(
    devices: Sequence[torch.device], work: Callable[[torch.device, Item], Result], items: Iterable[Item]
) -> list[Result]:
    """[work(device, item)]: item k on device k modulo their number; on a CPU by several threads.

    What the threads leave to do on a device is done when this returns.
    """
    items = list(items)
    if len({*devices}) == 1 and devices[0].type == "cpu":
        return parallel_map(lambda item: work(devices[0], item), items)
    if len(devices) == 1:
        return [work(devices[0], item) for item in items]

    threads = torch.get_num_threads()

    def run(index: int) -> list[Result]:
        torch.set_num_threads(threads)  # as the caller has: threads begin with what was set last, anywhere
        with current(devices[index]):
            done = [work(devices[index], item) for item in items[index :: len(devices)]]
            synchronize(devices[index])
        return done

    synchronize(devices[0])  # threads share the default streams, but the other devices know nothing of this one's
    with ThreadPoolExecutor(len(devices)) as pool:
        parts = list(pool.map(as_here(run), range(len(devices))))
    return [parts[k % len(devices)][k // len(devices)] for k in range(len(items))]


def slabs(devices: Sequence[torch.device]) -> Sequence[torch.device]:
    """Who samples slabs of the lattice side by side: each device, or each thread of a CPU with many.

    The surface is followed by many small steps, of which threads share each badly. The values are the same.
    """
    threads = limit()
    alone = len(devices) == 1 and devices[0].type == "cpu"
    return [*devices] * threads if alone and threads >= MANY_THREADS else devices


def to_device(record: Record, device: torch.device, **others: object) -> Record:
    """A dataclass with its tensors on that device, and `others` replaced; itself where nothing changes."""
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    if not others and all(value.device == device for value in tensors.values()):
        return record
    changed: dict[str, Any] = {name: value.to(device) for name, value in tensors.items()}
    return replace(record, **changed, **others)


def current(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """A context in which `device` is the one that tensors are made on."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
