"""The signs of the pieces of all parts of a cloud, and how far they can be trusted.

Pieces are the nodes of a graph. Within a part they are coupled by continuity and dipoles, as patches are; where two
parts have points in common, by the sum of area n . n' over these. A sample of the whole cloud, estimated as one, is one
more node: what it says of the points that it has in common with a piece is an edge, as is what is known of the seen
side and, with less weight, the part's own winding field. `best_signs` solves it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .confidence import Confidence, looking_down, middle
from .parts import Probes
from .patches import Pairs, summed
from .signs import best_signs

SAMPLE = 0.1  # weight of the sample, whose points are farther apart
FIELD = 0.03  # of a part's own field: of a ball within a ball the sample may be wrong, of an open cut the field


def shared(piece: np.ndarray, other: np.ndarray, products: np.ndarray) -> Pairs:
    """Couplings of the pieces [m] and others [m] that points in common are of, by area n . n' [m] of these."""
    most = int(other.max(initial=0)) + 1
    return summed(piece * most + other, products, most)


def signs_of_pieces(
    count: int, pairs: Pairs, sample: np.ndarray, field: np.ndarray, evidence: np.ndarray
) -> np.ndarray:
    """Signs [count] of all pieces, by their pairs and by what the sample, their fields and what is known say [count].

    All of these are edges to one more node, whose side is that of the whole. What is known of each point has its full
    weight: the part has weighed it against continuity, patch by patch.
    """
    rows, end = np.arange(count), np.full(count, count)
    votes = SAMPLE * sample + FIELD * field + evidence
    p, q, weight = (np.concatenate(arrays) for arrays in zip(pairs, (rows, end, votes), strict=True))
    signs = best_signs(count + 1, p, q, weight)
    return signs[:count] * signs[count]


def oriented(normals: np.ndarray, sign: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Normals [n, 3] of a part with the signs [n] of their pieces; turned where what saw a point clearly says so."""
    return np.where(clear * sign < 0.0, -sign, sign)[:, None] * normals


def whole_confidence(
    probes: Sequence[Probes], signs: np.ndarray, between: Pairs, own: bool, unknown: bool
) -> Confidence:
    """Of the signs [p] of all pieces; probes have pieces among these, and each is of one part.

    The agreement is that of the parts' own fields, or of what saw each point, weighed by area: the witness of a whole
    run, which in a part knows less of the surface, so that it doubts rather too much. A sample of the whole would miss
    what is thinner than its spacing. A worst part would be one of few points. Continuity: within the parts, times the
    share of the couplings between parts that the signs keep. unknown: no side is known.
    """
    areas, right, doubted, rise = [], [], [], []
    broken = total = 1e-300
    for part in probes:
        sign = signs[part.piece]
        said = part.said.turned(sign)
        agree = said.agree(1.0 if said.opinion.sum() >= 0.0 else -1.0, own)
        right.append(agree)
        doubted.append(~agree | (said.torn & ~said.decided))
        areas.append(part.areas)
        rise.append(sign * part.rise)
        broken, total = broken + said.broken, total + said.total
    area, mask = np.concatenate(areas), np.concatenate(doubted)
    points = np.concatenate([part.points for part in probes])
    p, q, weight = between
    torn = np.maximum(-weight * signs[p] * signs[q], 0.0).sum() / max(np.abs(weight).sum(), 1e-300)
    return Confidence(
        float(area @ np.concatenate(right) / area.sum()),
        float((1.0 - broken / total) * (1.0 - torn)),
        mask,
        middle(points[mask]) if mask.any() else None,
        looking_down(area, np.concatenate(rise)) if unknown else 0.0,
    )
