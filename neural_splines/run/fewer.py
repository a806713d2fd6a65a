"""A mesh with as few faces as the settings ask for."""

from __future__ import annotations

from ..runtime.monitor import Monitor
from ..settings import Settings
from ..spline.contract import Field
from ..surface.mesh import Mesh
from ..surface.simplification import SurfaceError, measured, simplified, within


def with_fewer_faces(
    mesh: Mesh, field: Field, settings: Settings, monitor: Monitor
) -> tuple[Mesh, SurfaceError | None, list[str]]:
    """The mesh of a field as `settings.faces` or `settings.max_error` ask, how far it is off, and what a user should
    read of it; as it is, and not measured, where neither does.
    """
    if settings.faces is None and settings.max_error is None:
        return mesh, None, []
    monitor.phase("simplify")
    if settings.max_error is not None:
        return *within(mesh, field.gradient, settings.max_error, settings.seed), []
    asked = settings.faces
    assert asked is not None
    mesh = simplified(mesh, field.gradient, asked)
    lines = []
    if len(mesh.faces) > asked:
        lines = [
            f"--faces {asked}: {len(mesh.faces)} are left, with fewer the mesh would tear, or its faces would meet"
        ]
    return mesh, measured(mesh, field.gradient, settings.seed), lines
