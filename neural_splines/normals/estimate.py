"""Normals of a cloud that has none: directions by plane fits, signs by winding numbers and continuity.

1. Neighbours, spacing, noise. 2. Normals N that agree with the winding number that they make. 3. Directions by plane
fits on one side of N. 4. Patches. 5. Signs of patches, several proposals, the best by its own field. 6. Directions
again, on the side that won.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..errors import CloudError
from ..runtime.arrays import dots
from ..runtime.monitor import Monitor, Silent
from .candidates import Votes, choose_signs
from .confidence import Confidence, judge
from .evidence import Guidance, Known, weighed
from .graph import PointGraph
from .patches import Patches
from .planes import fit_planes, noise_of
from .sensors import turned_away
from .treecode import Treecode
from .winding import consistent_normals, units

FEWEST = 4
ROUNDS = 16  # of the winding field
NOISY = 0.09  # spacings
CLEAN_COUNT, NOISY_COUNT = 14, 44  # neighbours of a plane fit
NOISY_FITS = 0.08  # spacings: the noise from which on the most are taken
SCATTERED = 0.5  # spacings: the spread along a plane fit from which on points from the air are leaves
STEEP = 0.4  # |cos| between a plane fit and the field below which the field is right


@dataclass(frozen=True)
class Estimate:
    """Unit normals [n, 3] in the order of the points, how sure their signs are, also in it, and the noise in spacings.

    known: what was known of the side that they look to.
    """

    normals: np.ndarray
    confidence: Confidence
    noise: float
    spacing: float
    known: Known


@dataclass(frozen=True)
class Signed:
    """A cloud, or a part of one, whose signs are decided: patches with normals [n, 3], and what they were decided by.

    count: neighbours of a plane fit. Arrays are in the order of the graph.
    """

    graph: PointGraph
    sums: Treecode
    patches: Patches
    votes: Votes
    known: Known
    normals: np.ndarray
    noise: float
    count: int

    @classmethod
    def of(
        cls, points: np.ndarray, guidance: Guidance, device: torch.device | str, monitor: Monitor,
        known_of: Callable[[PointGraph], Known] | None = None,
    ) -> Signed:  # fmt: skip
        """known_of: what is known of the sides of the points of a graph; all that the guidance and they say."""
        if len(points) < FEWEST:
            raise CloudError(
                f"{len(points)} points are too few to estimate normals; give at least {FEWEST}, or normals"
            )
        monitor.phase("neighbours")
        graph = PointGraph.of(points, device)
        noise = noise_of(graph)
        monitor.phase("winding field")
        sums = Treecode(graph.tree, graph.x)
        first, last = 3.0 + min(noise / NOISY, 1.0), 0.4 + 0.6 * min(noise / NOISY, 1.0)
        field = consistent_normals(sums, graph.a, np.linspace(first, last, ROUNDS).tolist())
        monitor.phase("directions")
        count = round(CLEAN_COUNT + (NOISY_COUNT - CLEAN_COUNT) * min(noise / NOISY_FITS, 1.0))
        directions, _ = fit_planes(graph, count, field)
        monitor.phase("patches")
        patches = Patches.grown(graph, directions, field, noise > NOISY)
        monitor.phase("signs")
        known = known_of(graph) if known_of else weighed(graph, guidance)
        votes = Votes((field * graph.a).cpu().numpy(), known.votes)
        normals = choose_signs(graph, sums, patches, votes)
        return cls(graph, sums, patches, votes, known, normals * _side(graph, normals, votes, guidance), noise, count)

    def judged(self, normals: np.ndarray, guidance: Guidance) -> Confidence:
        """How sure the signs of normals [n, 3] are."""
        unknown = self.known.votes is None and not guidance.inside
        own, up = self.known.own, guidance.up if unknown else None
        return judge(self.graph, self.patches, normals, self.votes, own, up)

    def refined(self, guidance: Guidance) -> np.ndarray:
        """Normals [n, 3] by plane fits on the side that won."""
        normals, spread = _refined(self.graph, self.sums, self.normals, self.count, self.noise)
        votes = self.known.votes
        if self.known.above and votes is not None and "returns" in guidance.laser:  # leaves are no surface
            rays = votes / np.maximum(np.linalg.norm(votes, axis=1, keepdims=True), 1e-300)
            normals = np.where((spread > SCATTERED)[:, None], rays, normals)
        return normals


def estimate(
    points: np.ndarray,
    guidance: Guidance | None = None,
    device: torch.device | str = "cpu",
    monitor: Monitor | None = None,
) -> Estimate:
    """Of distinct finite points [n, 3], float64, in world units. Raises CloudError for fewer than 4."""
    guidance, monitor = guidance or Guidance(), monitor or Silent()
    signed = Signed.of(points, guidance, device, monitor)
    confidence = signed.judged(signed.normals, guidance)
    monitor.phase("directions")
    normals, known = signed.refined(guidance), signed.known
    if known.own and known.votes is not None:
        normals = np.where(turned_away(normals, known.votes)[:, None], -normals, normals)
    monitor.phase("")
    normals = signed.graph.in_input_order(normals)
    confidence = replace(confidence, doubted=signed.graph.in_input_order(confidence.doubted))
    return Estimate(-normals if guidance.flip else normals, confidence, signed.noise, signed.graph.spacing, known)


def _side(graph: PointGraph, normals: np.ndarray, votes: Votes, guidance: Guidance) -> float:
    """The sign of the whole: what sensors see, else towards the centre of a room, else outwards by the field."""
    if votes.sensors is not None:
        total = dots(normals, votes.sensors).sum()
    elif guidance.inside:
        total = -(graph.areas[:, None] * normals * graph.points).sum()
    else:
        total = dots(normals, votes.field).sum()
    return -1.0 if total < 0.0 else 1.0


def _refined(
    graph: PointGraph, sums: Treecode, normals: np.ndarray, count: int, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Plane fits on one side of the field that the normals make, with its sign; the field itself where they differ.

    And the standard deviations [n] of the points along them, in spacings.
    """
    field = torch.from_numpy(normals).to(graph.x.device)
    for _ in range(2):
        field = units(sums.gradient(graph.a * field, 1.0 if noise < NOISY else 1.5))
    planes, spread = fit_planes(graph, count, field)
    cosine = (planes * field).sum(1, keepdim=True)
    chosen = torch.where(cosine.abs() < STEEP, field, torch.where(cosine < 0.0, -planes, planes))
    return units(chosen).cpu().numpy(), spread.cpu().numpy()
