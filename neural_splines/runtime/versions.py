"""Versions of packages and the name of the processor, as reports have them."""

from __future__ import annotations

import importlib.util
import os
import platform
from importlib import metadata

PACKAGES = {
    "neural-splines": "neural_splines",
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "numba": "numba",
    "scikit-image": "skimage",
    "point-cloud-utils": "point_cloud_utils",
    "triton": "triton",
    "pykeops": "pykeops",
    "falkon": "falkon",
}


def version(name: str, module: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "run from its folder" if _found(module) else "not installed"


def _found(module: str) -> bool:
    """Whether a module can be imported, by what a broken package says too."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return True


def processor() -> str:
    name = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return name or platform.machine()
