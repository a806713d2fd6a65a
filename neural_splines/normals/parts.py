"""Normals of a part of a cloud, with a halo of the points around, in pieces of sure signs.

A part sees an open cut of the surface, whose two sides its winding field may not tell. So its estimate is taken apart
into pieces, groups of patches that continuity joins, and what is said of the sign of each is kept: signs are decided
for the pieces of all parts together (`joining`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..runtime.monitor import Silent
from .confidence import Witnesses
from .dipoles import dipole_couplings
from .estimate import Signed
from .evidence import SENSORS, Guidance, Known, voted
from .graph import PointGraph
from .patches import Pairs, Patches, summed

JOINED = 1.0  # the least signed coupling by which two patches are of one piece: one sure edge
RADIUS, CONTINUITY = 10.0, 3.0  # spacings of dipoles, and the weight of continuity beside them (as candidates.MIXES)


@dataclass(frozen=True)
class Probes:
    """Some of a part's own points, evenly: by them the signs of the whole are judged.

    points [n, 3]: world. piece [n]. areas [n]. rise [n]: of their normals. said: what witnesses say of these.
    """

    points: np.ndarray
    piece: np.ndarray
    areas: np.ndarray
    rise: np.ndarray
    said: Witnesses


@dataclass(frozen=True)
class Part:
    """Unit normals [n, 3], areas [n] in squared spacings and pieces [n] of points, in the order in which they came.

    clear [n]: +1 or -1 where what saw a point says clearly that its normal is right, or is not, else 0. pairs:
    couplings of pieces. field [p]: what the winding field says of a piece. evidence [p]: how much is known of its side,
    with which its sign agrees as far as continuity allowed.
    """

    normals: np.ndarray
    areas: np.ndarray
    piece: np.ndarray
    clear: np.ndarray
    pairs: Pairs
    field: np.ndarray
    evidence: np.ndarray
    probes: Probes
    noise: float


def estimate_part(
    points: np.ndarray, own: int, guidance: Guidance, decided: Known, step: int = 1,
    device: torch.device | str = "cpu",
) -> Part:  # fmt: skip
    """Of distinct points [n, 3] in world units, of which the first `own` are the part's, the others a halo.

    decided: what counts in the whole cloud. step: every k-th own point is a probe. CloudError for fewer than 4.
    """
    signed = Signed.of(points, guidance, device, Silent(), lambda graph: _votes(graph, guidance, decided))
    graph, votes = signed.graph, signed.known.votes
    normals, piece = signed.refined(guidance), _pieces(signed.patches, signed.normals)
    count = int(piece.max()) + 1
    said = Witnesses.of(graph, signed.patches, normals, signed.votes, signed.known.own)
    rows = np.flatnonzero((graph.order < own) & (graph.order % step == 0))
    probes = Probes(
        points[graph.order[rows]], piece[rows], graph.areas[rows], normals[rows] @ guidance.up, said.at(rows)
    )
    clear = np.where(said.decided, np.sign(said.told), 0.0).astype(np.int8)
    evidence = np.zeros(count) if votes is None else np.bincount(piece, np.abs(said.told), count)
    ordered = graph.in_input_order
    return Part(
        ordered(normals), ordered(graph.areas), ordered(piece), ordered(clear), _couplings(signed, piece, count),
        np.bincount(piece, said.opinion, count), evidence, probes, signed.noise,
    )  # fmt: skip


def _votes(graph: PointGraph, guidance: Guidance, decided: Known) -> Known:
    """What is known of the points of a part. What stands before them may lie in another: several sensors are asked for
    the sample of the whole alone.
    """
    return Known(above=decided.above) if decided.source == SENSORS else voted(graph, guidance, decided)


def _pieces(patches: Patches, normals: np.ndarray) -> np.ndarray:
    """The piece [n] of each point: patches are of one where their couplings confirm the signs of the normals [n, 3]."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    p, q, weight = patches.continuity
    signs = patches.signs_of(normals)
    sure = weight * signs[p] * signs[q] >= JOINED
    links = coo_array((np.ones(int(sure.sum()), np.int8), (p[sure], q[sure])), shape=(patches.count, patches.count))
    return connected_components(links, directed=False)[1].astype(np.int64)[patches.of]


def _couplings(signed: Signed, piece: np.ndarray, count: int) -> Pairs:
    """What the pieces [n] of points say of each other: positive where the signs of their normals are right."""
    graph, patches = signed.graph, signed.patches
    p, q, weight = patches.continuity
    signs, of = patches.signs_of(signed.normals), np.zeros(patches.count, np.int64)
    of[patches.of] = piece
    apart = of[p] != of[q]
    p, q, weight = p[apart], q[apart], CONTINUITY * (weight * signs[p] * signs[q])[apart]
    a, b, dipoles = dipole_couplings(graph.tree, graph.x, signed.normals * graph.areas[:, None], piece, RADIUS)
    keys = np.minimum(of[p], of[q]) * count + np.maximum(of[p], of[q])
    return summed(np.concatenate([keys, a * count + b]), np.concatenate([weight, dipoles]), count)
