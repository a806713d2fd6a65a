"""Colours and further numbers in a run in parts, kept beside the points of each node."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..files.scans import ScannedCloud
from ..files.work_directory import WorkDirectory
from ..surface.attributes import Attributes
from .nodes import Nodes

ATTRIBUTES_FILE = "attributes.bin"
COLOURS = "colours"


@dataclass(frozen=True)
class Records:
    """How the attributes of a point are kept: colours where there are some, and numbers of these names and types.

    checksums [k]: CRC-32 of each node's.
    """

    colours: bool
    names: tuple[str, ...]
    types: tuple[str, ...]
    checksums: Tensor

    @classmethod
    def of(cls, form: ScannedCloud) -> Records | None:
        """For the points of a file; None where they have no attributes."""
        if form.colours is None and not form.scalars:
            return None
        types = tuple(values.dtype.str for values in form.scalars.values())
        return cls(form.colours is not None, tuple(form.scalars), types, torch.empty(0, dtype=torch.int64))

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Records | None:
        """From what `state` gave."""
        if "attributes" not in found:
            return None
        colours, names, types = json.loads(found["attributes"])
        return cls(colours, tuple(names), tuple(types), found["attribute_checksums"])

    def state(self) -> dict[str, Any]:
        """As a text and a tensor."""
        return {
            "attributes": json.dumps([self.colours, self.names, self.types]), "attribute_checksums": self.checksums,
        }  # fmt: skip

    @cached_property
    def type(self) -> np.dtype:
        """Of a record; numbers are called by their places, names of files may be anything."""
        numbers = [(str(k), type_) for k, type_ in enumerate(self.types)]
        return np.dtype([(COLOURS, "u1", (3,)), *numbers] if self.colours else numbers)

    def pack(self, attributes: Attributes | ScannedCloud) -> np.ndarray:
        """As records [n]."""
        values = {str(k): attributes.scalars[name] for k, name in enumerate(self.names)}
        values |= {COLOURS: attributes.colours} if attributes.colours is not None else {}
        packed = np.empty(len(next(iter(values.values()))), self.type)
        for name, column in values.items():
            packed[name] = column
        return packed

    def unpack(self, packed: np.ndarray) -> Attributes:
        colours = packed[COLOURS] if self.colours else None
        return Attributes(colours, {name: packed[str(k)] for k, name in enumerate(self.names)})

    def of_node(self, store: WorkDirectory, nodes: Nodes, node: int) -> np.ndarray | None:
        """Those of a node's points, as the partition left these; None where they are damaged."""
        place = int(nodes.starts[node]), int(nodes.counts[node])
        return store.rows(ATTRIBUTES_FILE, self.type, *place, int(self.checksums[node]))
