"""Components of one mesh, dropped as a run drops those of its blocks."""

import torch

from neural_splines.cloud.metric import Metric
from neural_splines.surface import trimming
from neural_splines.surface.mesh import Mesh, keep_faces


def drop_specks(mesh: Mesh, metric: Metric) -> Mesh:
    """A mesh without components that float or that few points support."""
    label = trimming.labels(mesh).unique(return_inverse=True)[1]
    _, votes, points = trimming.component_support(mesh.vertices, label, metric)
    keep = trimming.kept_components(torch.bincount(label[mesh.faces[:, 0]]), votes, points)
    return keep_faces(mesh, keep[label[mesh.faces[:, 0]]])
