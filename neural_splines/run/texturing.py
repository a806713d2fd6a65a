"""Pictures on the mesh of a result: the colours of all points, the normals of its field."""

from __future__ import annotations

import numpy as np

from ..files.mesh_content import TextureMap
from ..pictures import png
from ..surface.attributes import carrier
from ..surface.texture import Texture, textured
from .whole import Reconstruction


def texture_of(
    result: Reconstruction, points: np.ndarray, colours: np.ndarray | None, size: int, normal_map: bool
) -> Texture:
    """size x size texels of the colours [n, 3], in 0..255, of points [n, 3], where there are any, and of normals."""
    carried = None if colours is None else carrier(points, np.asarray(colours, float))
    return textured(result.mesh, result.field.gradient, carried, size, result.lattice.voxel_size, normal_map)


def as_map(found: Texture) -> TextureMap:
    """A texture as files have it."""
    colours, normals = (None if image is None else png.encode(image) for image in (found.image, found.normals))
    charts = found.charts
    return TextureMap(charts.parents, charts.corners, charts.uv, colours, normals=normals, tangents=found.tangents)
