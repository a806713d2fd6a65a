"""The treecode's walks on a GPU: one program walks the tree for up to 32 points of a leaf.

All programs read the same few megabytes of nodes, which stay in the second-level cache; thousands of walks at once hide
its latency, so that no list of interactions has to be made, stored or read.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from .octree import LEAF, Octree
from .treecode_numba import GRADIENT, PUSH, WINDING

LANES = LEAF
_GRADIENT, _WINDING, _PUSH = tl.constexpr(GRADIENT), tl.constexpr(WINDING), tl.constexpr(PUSH)


class Walker:
    """Walks from every leaf of a tree over points [n, 3] of a GPU."""

    def __init__(self, tree: Octree, points: Tensor, opening: float):
        device = points.device
        spheres = torch.from_numpy(tree.spheres()).float()  # [m, 4]: centre, radius
        links = torch.stack([torch.from_numpy(part) for part in (tree.first, tree.last, tree.skip)], 1)
        self._tree = (spheres.to(device).contiguous(), links.to(device).contiguous())
        self._points, self._centers, self._opening = points, torch.from_numpy(tree.centers).to(device), opening
        self._x = points.float().contiguous()
        starts = torch.from_numpy(tree.first[tree.leaves])
        sizes = torch.from_numpy(tree.last[tree.leaves]) - starts
        self._sizes = sizes.long().to(device)
        # the leaves of node k: from the first of these numbers to the second
        self._leaves = torch.searchsorted(starts, links[:, :2].T.contiguous()).to(device)
        runs = (sizes + LANES - 1) // LANES  # of LANES points: one, but for leaves at the last level
        leaf = torch.repeat_interleave(torch.from_numpy(tree.leaves), runs)
        rank = torch.arange(len(leaf)) - torch.repeat_interleave(runs.cumsum(0) - runs, runs)
        self._runs = torch.stack([leaf, rank], 1).int().to(device).contiguous()

    def __call__(self, kind: int, sources: Tensor, square: float) -> Tensor:
        """The sums [n, 3] of a kind of sources [n, 3], of charges their first column; square: of the width."""
        moments = (self._charge_moments(sources[:, :1]) if kind == PUSH else self._dipole_moments(sources)).float()
        out = torch.empty_like(self._x)
        arrays = (self._runs, *self._tree, self._x, sources.float().contiguous(), moments.contiguous(), out)
        sizes = (len(self._centers), square, self._opening)
        with torch.cuda.device(out.device) if out.is_cuda else torch.no_grad():  # CPU: Triton's interpreter, in tests
            _walks[(len(self._runs),)](*arrays, *sizes, kind, LANES=LANES, num_warps=1)
        return out

    def _sums(self, values: Tensor) -> Tensor:
        """Sums [c, m] over the points of each node of values [n, c].

        From sums up to each leaf, along rows: down the columns of a few, PyTorch's have one thread each.
        """
        of_leaves = torch.segment_reduce(values, "sum", lengths=self._sizes, axis=0, unsafe=True)
        upto = torch.nn.functional.pad(of_leaves.T.contiguous().cumsum(1), (1, 0))
        return upto[:, self._leaves[1]] - upto[:, self._leaves[0]]

    def _charge_moments(self, q: Tensor) -> Tensor:
        """[m, 9]: the sum of q [n, 1], that of q (x - c) about the nodes' centres c, and zeros."""
        total, *first = self._sums(torch.cat([q, q * self._points], 1))
        about = [value - total * c for value, c in zip(first, self._centers.unbind(1), strict=True)]
        return torch.nn.functional.pad(torch.stack([total, *about], 1), (0, 5))

    def _dipole_moments(self, p: Tensor) -> Tensor:
        """[m, 9]: the sum of p; xx, yy, zz, xy, xz, yz of that of p (x) (x - c) + (x - c) (x) p."""
        s = self._sums(torch.stack([*p.unbind(1), *_symmetric(p.unbind(1), self._points.unbind(1))], 1))
        shift = _symmetric(s[:3], self._centers.unbind(1))
        return torch.stack([*s[:3], *(value - moved for value, moved in zip(s[3:], shift, strict=True))], 1)


def _symmetric(a: Sequence[Tensor], b: Sequence[Tensor]) -> list[Tensor]:
    """xx, yy, zz, xy, xz, yz of a (x) b + b (x) a."""
    return [a[i] * b[j] + a[j] * b[i] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]


@triton.jit
def _walks(runs, spheres, links, x, p, moments, out, count, square, opening, KIND: tl.constexpr, LANES: tl.constexpr):
    program = tl.program_id(0).to(tl.int64)
    leaf = tl.load(runs + 2 * program)
    begin = tl.load(links + 3 * leaf) + LANES * tl.load(runs + 2 * program + 1)
    end = tl.load(links + 3 * leaf + 1)
    cx, cy, cz = tl.load(spheres + 4 * leaf), tl.load(spheres + 4 * leaf + 1), tl.load(spheres + 4 * leaf + 2)
    reach = opening * tl.load(spheres + 4 * leaf + 3)
    lane = begin + tl.arange(0, LANES)
    inside = lane < end
    xi = tl.load(x + 3 * lane, inside, other=0.0)
    yi = tl.load(x + 3 * lane + 1, inside, other=0.0)
    zi = tl.load(x + 3 * lane + 2, inside, other=0.0)
    gx, gy, gz = tl.zeros([LANES], tl.float32), tl.zeros([LANES], tl.float32), tl.zeros([LANES], tl.float32)
    node = leaf * 0  # a tensor: a loop carries it
    while node < count:
        sx, sy, sz = tl.load(spheres + 4 * node), tl.load(spheres + 4 * node + 1), tl.load(spheres + 4 * node + 2)
        following = tl.load(links + 3 * node + 2)
        distance = tl.sqrt((sx - cx) * (sx - cx) + (sy - cy) * (sy - cy) + (sz - cz) * (sz - cz))
        if tl.load(spheres + 4 * node + 3) < opening * distance - reach:
            dx, dy, dz = sx - xi, sy - yi, sz - zi
            inverse = 1.0 / (dx * dx + dy * dy + dz * dz + square)
            cube = inverse * tl.sqrt(inverse)
            m = moments + 9 * node
            px, py, pz = tl.load(m), tl.load(m + 1), tl.load(m + 2)
            qxx, qyy, qzz = tl.load(m + 3), tl.load(m + 4), tl.load(m + 5)
            if KIND == _PUSH:  # the charge is px; its first moment py, pz, qxx
                along = px - 3.0 * inverse * (py * dx + pz * dy + qxx * dz)
                gx -= cube * (along * dx + py)
                gy -= cube * (along * dy + pz)
                gz -= cube * (along * dz + qxx)
            else:
                qxy, qxz, qyz = tl.load(m + 6), tl.load(m + 7), tl.load(m + 8)
                ux = qxx * dx + qxy * dy + qxz * dz
                uy = qxy * dx + qyy * dy + qyz * dz
                uz = qxz * dx + qyz * dy + qzz * dz
                along = px * dx + py * dy + pz * dz + 0.5 * (qxx + qyy + qzz)
                bent = inverse * (ux * dx + uy * dy + uz * dz)
                if KIND == _WINDING:
                    gx += cube * (along - 1.5 * bent)
                else:
                    along -= 2.5 * bent
                    gx += cube * (px - 3.0 * inverse * (along * dx + ux))
                    gy += cube * (py - 3.0 * inverse * (along * dy + uy))
                    gz += cube * (pz - 3.0 * inverse * (along * dz + uz))
            node = following
        elif following == node + 1:
            for j in range(tl.load(links + 3 * node), tl.load(links + 3 * node + 1)):
                dx, dy, dz = tl.load(x + 3 * j) - xi, tl.load(x + 3 * j + 1) - yi, tl.load(x + 3 * j + 2) - zi
                px, py, pz = tl.load(p + 3 * j), tl.load(p + 3 * j + 1), tl.load(p + 3 * j + 2)
                inverse = 1.0 / (dx * dx + dy * dy + dz * dz + square)
                cube = inverse * tl.sqrt(inverse)
                if KIND == _PUSH:
                    gx -= cube * px * dx
                    gy -= cube * px * dy
                    gz -= cube * px * dz
                elif KIND == _WINDING:
                    gx += cube * (px * dx + py * dy + pz * dz)
                else:
                    cube = tl.where(lane == j, 0.0, cube)  # of the others alone
                    along = 3.0 * inverse * (px * dx + py * dy + pz * dz)
                    gx += cube * (px - along * dx)
                    gy += cube * (py - along * dy)
                    gz += cube * (pz - along * dz)
            node = following
        else:
            node += 1
    tl.store(out + 3 * lane, gx, inside)
    tl.store(out + 3 * lane + 1, gy, inside)
    tl.store(out + 3 * lane + 2, gz, inside)
