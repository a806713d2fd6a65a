"""Meshes cut along a level of a function of their vertices: triangles are clipped, not dropped."""

from __future__ import annotations

import torch
from torch import Tensor

from .mesh import Mesh, keep_faces


def clip(mesh: Mesh, drop: Tensor, level: Tensor) -> Mesh:
    """The mesh without the vertices `drop` [v]; faces that lose one or two are cut where `level` [v] is 0.

    On the edge between a vertex that stays, with level <= 0, and one that goes, with level > 0, the level is taken to
    be linear. Faces that share the edge share the new vertex, so no crack opens.
    """
    gone = drop[mesh.faces]
    count = gone.sum(1)
    if not bool(count.any()):
        return mesh
    cut = (count == 1) | (count == 2)
    if not bool(cut.any()):
        return keep_faces(mesh, count == 0)
    faces, lost = mesh.faces[cut], gone[cut]
    # Turn each face so that its odd corner, the only one that goes or the only one that stays, comes first.
    odd = torch.where(lost.sum(1, keepdim=True) == 1, lost, ~lost).long().argmax(1)
    turn = (odd[:, None] + torch.arange(3, device=odd.device)) % 3
    faces, single = faces.gather(1, turn), lost.sum(1) == 1
    a, b, c = faces.unbind(1)
    v = len(mesh.vertices)
    keys, place = torch.unique(torch.cat([_key(a, b, v), _key(a, c, v)]), return_inverse=True)
    ab, ac = v + place[: len(faces)], v + place[len(faces) :]
    one, other = keys // v, keys % v
    t = (level[one] / (level[one] - level[other])).nan_to_num(nan=0.5).clamp(0.0, 1.0)[:, None]
    vertices = mesh.vertices[one] + t * (mesh.vertices[other] - mesh.vertices[one])
    normals = mesh.normals[one] + t * (mesh.normals[other] - mesh.normals[one])
    normals = normals / normals.norm(dim=1, keepdim=True).clamp_min(1e-300)
    tips = torch.stack([a, ab, ac], 1)[~single]  # a stays alone
    quads = [torch.stack(corners, 1)[single] for corners in ((ab, b, c), (ab, c, ac))]  # a goes
    parts = [mesh.faces[count == 0], tips, *quads]
    whole = Mesh(torch.cat([mesh.vertices, vertices]), torch.cat([mesh.normals, normals]), torch.cat(parts))
    used = torch.zeros(len(whole.vertices), dtype=torch.bool, device=odd.device)
    used[whole.faces.reshape(-1)] = True
    index = used.cumsum(0) - 1
    ends = None
    if mesh.ends is not None:
        between = torch.stack([mesh.ends[one, 0], mesh.ends[other, 0]], 1).sort(1).values
        ends = torch.cat([mesh.ends, between])[used]
    return Mesh(whole.vertices[used], whole.normals[used], index[whole.faces], ends)


def _key(one: Tensor, other: Tensor, count: int) -> Tensor:
    """One number for an edge, from either side."""
    return one.minimum(other) * count + one.maximum(other)
