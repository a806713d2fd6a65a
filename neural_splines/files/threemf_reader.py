"""Triangle meshes from 3MF: the objects that its build places, each as it is placed."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from xml.parsers import expat

import numpy as np

from ..errors import CloudError, first_line
from .ply import TRUNCATED

AT_ONCE = 1 << 20  # bytes of XML
UNPACKED = 4_000  # times the bytes of the archive at most: XML of meshes shrinks to a tenth or so


@dataclass
class _Model:
    """What the elements of a model say, as they come."""

    vertices: dict[str, list[float]] = field(default_factory=dict)
    faces: dict[str, list[int]] = field(default_factory=dict)
    items: list[tuple[str, np.ndarray]] = field(default_factory=list)
    current: str = ""

    def start(self, name: str, values: dict[str, str]) -> None:
        match name.rpartition(":")[2]:
            case "object":
                self.current = values["id"]
                self.vertices[self.current], self.faces[self.current] = [], []
            case "vertex":
                self.vertices[self.current] += map(float, (values["x"], values["y"], values["z"]))
            case "triangle":
                self.faces[self.current] += map(int, (values["v1"], values["v2"], values["v3"]))
            case "component":
                raise CloudError("has objects of components; export each as one mesh")
            case "item":
                words = values.get("transform", "1 0 0 0 1 0 0 0 1 0 0 0").split()
                self.items.append((values["objectid"], np.array(words, np.float64).reshape(4, 3)))


def read_3mf(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [v, 3], in the unit of the file, and faces [f, 3] of all items of the build."""
    model = _Model()
    parser = expat.ParserCreate()
    parser.StartElementHandler = model.start
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".model")]
            if len(names) != 1:
                raise CloudError(f"{len(names)} models in the archive where one belongs; export it as one mesh")
            if archive.getinfo(names[0]).file_size > UNPACKED * len(data):
                raise CloudError("unpacks to far more than a mesh has; export it again")
            with archive.open(names[0]) as stream:
                while piece := stream.read(AT_ONCE):
                    parser.Parse(piece)
            parser.Parse(b"", True)
        parts = [_placed(model, *item) for item in model.items]
    except (zipfile.BadZipFile, expat.ExpatError, KeyError, ValueError) as error:
        raise CloudError(f"is no whole 3MF file ({first_line(error)}); {TRUNCATED}") from None
    first = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    faces = [faces + start for (_, faces), start in zip(parts, first, strict=False)]
    none = np.empty((0, 3))
    return np.concatenate([none, *(v for v, _ in parts)]), np.concatenate([none.astype(np.int64), *faces])


def _placed(model: _Model, name: str, transform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh of an object where an item puts it."""
    vertices = np.array(model.vertices[name], np.float64).reshape(-1, 3)
    faces = np.array(model.faces[name], np.int64).reshape(-1, 3)
    if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise CloudError(f"faces refer to vertices that are not there; {TRUNCATED}")
    if np.linalg.det(transform[:3]) < 0.0:
        faces = faces[:, ::-1]
    return vertices @ transform[:3] + transform[3], faces
