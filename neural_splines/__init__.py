"""Neural Splines: oriented point clouds to triangle meshes.

    import neural_splines as ns

    result = ns.reconstruct(points, normals, ns.Settings(grid_size=256))
    ns.save_mesh("mesh.ply", result)

Names are imported when they are used, so that the scripts answer --help at once. docs/api.md shows all of them at work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "1.0.0"

if TYPE_CHECKING:
    from .api.clouds import carry, estimate_normals, load_attributes, load_point_cloud
    from .api.maps import heights, save_heights, save_tiles
    from .api.meshes import save_mesh
    from .api.reconstruction import extract_mesh, fit, fit_cells, load, reconstruct
    from .errors import (
        BackendError,
        CloudError,
        EmptySurfaceError,
        NeuralSplinesError,
        NotPositiveDefiniteError,
        OutOfMemoryBudgetError,
        OutputError,
        PrintError,
        ReconstructionWarning,
        SettingsError,
    )
    from .files.cameras import load_cameras
    from .run.views import views
    from .run.whole import Reconstruction
    from .runtime.monitor import Monitor
    from .runtime.progress import Progress
    from .settings import CellSettings, Settings
    from .spline.contract import Field
    from .surface.mesh import Mesh

_HOMES = {
    "api.clouds": ("carry", "estimate_normals", "load_attributes", "load_point_cloud"),
    "api.maps": ("heights", "save_heights", "save_tiles"),
    "api.meshes": ("save_mesh",),
    "api.reconstruction": ("extract_mesh", "fit", "fit_cells", "load", "reconstruct"),
    "errors": (
        "BackendError",
        "CloudError",
        "EmptySurfaceError",
        "NeuralSplinesError",
        "NotPositiveDefiniteError",
        "OutOfMemoryBudgetError",
        "OutputError",
        "PrintError",
        "ReconstructionWarning",
        "SettingsError",
    ),
    "files.cameras": ("load_cameras",),
    "spline.contract": ("Field",),
    "run.views": ("views",),
    "run.whole": ("Reconstruction",),
    "runtime.monitor": ("Monitor",),
    "runtime.progress": ("Progress",),
    "settings": ("CellSettings", "Settings"),
    "surface.mesh": ("Mesh",),
}
__all__ = [
    "BackendError",
    "CellSettings",
    "CloudError",
    "EmptySurfaceError",
    "Field",
    "Mesh",
    "Monitor",
    "NeuralSplinesError",
    "NotPositiveDefiniteError",
    "OutOfMemoryBudgetError",
    "OutputError",
    "PrintError",
    "Progress",
    "Reconstruction",
    "ReconstructionWarning",
    "Settings",
    "SettingsError",
    "carry",
    "estimate_normals",
    "extract_mesh",
    "fit",
    "fit_cells",
    "heights",
    "load",
    "load_attributes",
    "load_cameras",
    "load_point_cloud",
    "reconstruct",
    "save_heights",
    "save_mesh",
    "save_tiles",
    "views",
]


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
