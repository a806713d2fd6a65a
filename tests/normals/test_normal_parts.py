"""Normals of parts of a cloud: with their signs joined they are those of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shapes import knot, sphere, torus

from neural_splines.normals.estimate import estimate
from neural_splines.normals.evidence import ABOVE, Guidance, Known
from neural_splines.normals.joining import oriented, shared, signs_of_pieces, whole_confidence
from neural_splines.normals.parts import estimate_part
from neural_splines.normals.patches import chained

NOTHING = Known()


def halves(points, axis=0, halo=0.2):
    """Rows of the points on either side of the middle, each with a halo behind, and how many are its own."""
    low = points[:, axis] < np.median(points[:, axis])
    middle = points[low, axis].max()
    for own in (low, ~low):
        near = ~own & (np.abs(points[:, axis] - middle) < halo * np.ptp(points[:, axis]))
        yield np.concatenate([np.flatnonzero(own), np.flatnonzero(near)]), int(own.sum())


def in_parts(points, guidance, decided, axis=0):
    """Normals [n, 3] of both halves, with joined signs, and the confidence."""
    parts = [(rows, own, estimate_part(points[rows], own, guidance, decided)) for rows, own in halves(points, axis)]
    first = np.cumsum([0, *(len(part.field) for *_, part in parts)])
    normals, piece, clear = np.empty_like(points), *np.empty((2, len(points)), np.int64)
    for start, (rows, own, part) in zip(first, parts, strict=False):
        normals[rows[:own]], piece[rows[:own]] = part.normals[:own], start + part.piece[:own]
        clear[rows[:own]] = part.clear[:own]
    within, between, probes = [], [], []
    for start, (rows, own, part) in zip(first, parts, strict=False):
        within.append((start + part.pairs[0], start + part.pairs[1], part.pairs[2]))
        there, products = rows[own:], part.areas[own:] * (part.normals[own:] * normals[rows[own:]]).sum(1)
        between.append(shared(start + part.piece[own:], piece[there], products))
        probes.append(replace(part.probes, piece=start + part.probes.piece))
    field, evidence = (np.concatenate([getattr(part, name) for *_, part in parts]) for name in ("field", "evidence"))
    signs = signs_of_pieces(first[-1], chained([*within, *between]), np.zeros(first[-1]), field, evidence)
    return oriented(normals, signs[piece], clear), whole_confidence(
        probes, signs, chained(between), bool(decided.source), True
    )


@pytest.mark.parametrize("shape", [sphere(1500), knot(3000)], ids=["sphere", "knot"])
def test_parts_of_a_closed_surface_are_the_whole(shape):
    points = shape.points.numpy()
    whole = estimate(points)
    found, confidence = in_parts(points, Guidance(), NOTHING)
    cosine = (found * whole.normals).sum(1)
    assert (cosine > 0).mean() > 0.999
    assert np.degrees(np.arccos(np.clip(np.median(cosine), -1, 1))) < 1.0
    assert confidence.value > 0.95


def test_what_is_decided_of_the_whole_holds_in_every_part():
    """A torus from above is no sheet; told that it was seen from above, each part looks up."""
    points = torus(2000).points.numpy()
    guidance = Guidance(aerial=True)
    found, confidence = in_parts(points, guidance, Known(ABOVE, above=True), axis=2)
    assert (found[:, 2] > -0.3).all()
    assert confidence.down == 0.0


def test_a_part_that_is_turned_round_is_turned_back_by_what_both_have_seen():
    """Two chains of pieces: couplings decide within each, the sample between them, a field only where both are mute."""
    pairs = tuple(map(np.array, zip((0, 1, -5.0), (2, 3, 4.0), strict=True)))
    sample, field = np.array([9.0, 0.0, -1.0, 0.0, 0.0]), np.array([-1.0, -1.0, -1.0, -1.0, -2.0])
    signs = signs_of_pieces(5, pairs, sample, field, np.zeros(5))
    assert signs.tolist() == [1, -1, -1, -1, -1]


def test_parts_that_contradict_each_other_are_doubted():
    points = sphere(1500).points.numpy()
    rows, own = next(iter(halves(points)))
    part = estimate_part(points[rows], own, Guidance(), NOTHING)
    two = [part.probes, replace(part.probes, piece=part.probes.piece + 1)]
    pairs = tuple(map(np.array, zip((0, 1, 10.0), strict=True)))
    sure, torn = (whole_confidence(two, np.array(signs), pairs, False, True) for signs in ([1.0, 1.0], [1.0, -1.0]))
    assert sure.value > 0.95
    assert torn.value < 0.05
    assert torn.share == 0.5
