"""How a point and what a file tells of its sides lie in a row of doubles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..cloud.clouds import usable
from ..files.scans import ScannedCloud, rows_of
from ..normals.repair import has_normal

VECTORS = ("normals", "viewpoints", "faces", "stations")  # of a `ScannedCloud`, [n, 3] each


@dataclass(frozen=True)
class Layout:
    """Coordinates, then three columns for each of `vectors`, one for each of `laser`, as `ScannedCloud` names them.

    oriented: a point without a normal is not kept.
    """

    vectors: tuple[str, ...]
    laser: tuple[str, ...]
    oriented: bool

    @classmethod
    def of(cls, form: ScannedCloud, oriented: bool) -> Layout:
        """For the points of a file with such columns; of those that have normals no more is needed."""
        if oriented:
            return cls(("normals",), (), True)
        there = tuple(name for name in VECTORS if getattr(form, name) is not None)
        return cls(there, tuple(form.laser), False)

    @property
    def type(self) -> np.dtype:
        """Of a row."""
        return np.dtype((np.float64, (3 + 3 * len(self.vectors) + len(self.laser),)))

    def kept(self, piece: ScannedCloud) -> tuple[ScannedCloud, tuple[int, int, int]]:
        """The points that are kept of a piece; how many there were, are not finite, and are finite without a normal."""
        if self.oriented:
            assert piece.normals is not None
            masks = usable(torch.from_numpy(piece.points), torch.from_numpy(piece.normals))[2:]
            finite, there = (mask.numpy() for mask in masks)
            keep = finite & there
        else:
            keep = finite = np.isfinite(piece.points).all(1)
            there = np.ones_like(finite) if piece.normals is None else has_normal(piece.normals)
        counts = len(finite), int((~finite).sum()), int((finite & ~there).sum())
        return piece if keep.all() else rows_of(piece, keep), counts

    def rows(self, piece: ScannedCloud) -> np.ndarray:
        """[n, width] of the points of a piece."""
        columns = [piece.points, *(getattr(piece, name) for name in self.vectors)]
        columns += [piece.laser[kind][:, None] for kind in self.laser]
        return np.concatenate(columns, 1, dtype=np.float64)

    def scan(self, rows: np.ndarray) -> ScannedCloud:
        """The points that have such rows [n, width]."""
        triples = [rows[:, k : k + 3].copy() for k in range(0, 3 + 3 * len(self.vectors), 3)]
        vectors = dict(zip(self.vectors, triples[1:], strict=True))
        laser = {kind: rows[:, 3 * len(triples) + k].copy() for k, kind in enumerate(self.laser)}
        normals, viewpoints, faces, stations = (vectors.get(name) for name in VECTORS)
        return ScannedCloud(triples[0], normals, viewpoints, laser=laser, faces=faces, stations=stations)
