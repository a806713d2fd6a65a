"""A picture on a mesh, as those that draw it have it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import png
from .packing import STEPS, pack


@dataclass(frozen=True)
class Mapped:
    """A picture [size, size, 3] of uint8 on a mesh. parents [w]: the vertex that a corner is of; corners [f, 3]: the
    faces, in their order, by corners; uv [w, 2]: where corners lie in it, in 0..1 from the upper left.
    """

    parents: np.ndarray
    corners: np.ndarray
    uv: np.ndarray
    image: np.ndarray

    def at_most(self, size: int) -> Mapped:
        """The same in a coarser picture, of means of four texels, where it can be halved."""
        image = self.image
        while len(image) > size and len(image) % 2 == 0:
            half = len(image) // 2
            image = image.reshape(half, 2, half, 2, 3).mean((1, 3)).round().astype(np.uint8)
        return replace(self, image=image)

    def at(self, uv: np.ndarray) -> np.ndarray:
        """Colours [n, 3] in [0, 1] of places [n, 2] of the picture: means of four texels."""
        last = len(self.image) - 1
        place = np.clip(uv * len(self.image) - 0.5, 0.0, last)
        low = np.minimum(place.astype(np.int64), max(last - 1, 0))
        (x, y), (u, v), step = low.T, (place - low).T[..., None], min(last, 1)
        upper = (1.0 - u) * self.image[y, x] + u * self.image[y, x + step]
        lower = (1.0 - u) * self.image[y + step, x] + u * self.image[y + step, x + step]
        return np.asarray(((1.0 - v) * upper + v * lower) / 255.0)

    def packed(self) -> dict[str, Any]:
        """What a page has of it."""
        return {
            "corners": len(self.parents),
            "parent": pack(self.parents[:, None], 4),
            "corner": pack(self.corners.reshape(-1, 1), 4),
            "place": pack(np.round(STEPS * np.clip(self.uv, 0.0, 1.0)).astype(np.int64), 2),
            "image": f"data:image/png;base64,{base64.b64encode(png.encode(self.image)).decode()}",
        }
