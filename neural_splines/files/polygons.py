"""Polygons as triangles."""

from __future__ import annotations

import numpy as np

from ..errors import CloudError
from .record_columns import Lists


def triangles(faces: Lists) -> np.ndarray:
    """Polygons as fans of triangles [f, 3], int64, in the order of the records."""
    parts, places = [np.zeros((0, 3), np.int64)], [np.zeros(0, np.int64)]
    for rows, items in faces.groups:
        count = items.shape[1] - 2
        if count < 1:
            continue
        with np.errstate(invalid="ignore"):  # signalling NaNs
            whole = (items == np.floor(items)) & (np.abs(items) < 2.0**53)
        if not whole.all():
            raise CloudError("faces have vertex indices that are not integers; export the mesh again")
        fan = np.empty((len(rows), count, 3), np.int64)
        fan[..., 0], fan[..., 1], fan[..., 2] = items[:, :1], items[:, 1:-1], items[:, 2:]
        parts.append(fan.reshape(-1, 3))
        places.append(np.repeat(rows, count))
    if len(parts) == 2:
        return parts[1]
    return np.concatenate(parts)[np.argsort(np.concatenate(places), kind="stable")]
