"""Where the results of a run are kept: in memory, or in a folder from which a stopped run goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol


class Store(Protocol):
    """Results by name. A result has tensors, numbers and text by name; `files.work_directory.WorkDirectory` is one."""

    def has(self, name: str) -> bool:
        """Whether there is a result of that name."""

    def save(self, name: str, **values: Any) -> None:
        """Keep a result, or replace it."""

    def load(self, name: str, *only: str) -> dict[str, Any]:
        """The values of a result, or those of them that are asked for."""

    def remove(self, name: str) -> None:
        """Forget a result that is there."""

    def sync(self, names: Iterable[str]) -> None:
        """Wait until these results outlast a power cut, as far as the store can."""

    def hold(self, name: str, value: Any) -> None:
        """Keep an object that later steps would have to make again, where these run in this process."""

    def held(self, name: str) -> Any:
        """Such an object; None where it has to be made again."""


class MemoryStore:
    """Results that end with this process, and stay on the device that made them."""

    def __init__(self) -> None:
        self._results: dict[str, dict[str, Any]] = {}
        self._objects: dict[str, Any] = {}

    def has(self, name: str) -> bool:
        return name in self._results

    def save(self, name: str, **values: Any) -> None:
        self._results[name] = values

    def load(self, name: str, *only: str) -> dict[str, Any]:
        return {key: value for key, value in self._results[name].items() if not only or key in only}

    def remove(self, name: str) -> None:
        del self._results[name]

    def sync(self, names: Iterable[str]) -> None:
        pass

    def hold(self, name: str, value: Any) -> None:
        self._objects[name] = value

    def held(self, name: str) -> Any:
        return self._objects.get(name)

    def part(self, *names: str) -> MemoryStore:
        """Those of the results and objects with these names."""
        part = MemoryStore()
        part._results = {name: self._results[name] for name in names if name in self._results}
        part._objects = {name: self._objects[name] for name in names if name in self._objects}
        return part
