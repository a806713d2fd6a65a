"""How one spline is solved: our FALKON, or the FalkonML library behind the same call."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable

from ..errors import BackendError, first_line

MODULES = {"builtin": "falkon", "falkon": "falkon_library"}


def load(solver: str) -> Callable:
    """The `solve` of builtin or falkon. Raises BackendError where FalkonML is missing or broken."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FalkonML's, while it is imported
            return importlib.import_module(f".{MODULES[solver]}", __package__).solve
    except Exception as error:  # a broken optional package may raise anything on import
        raise BackendError(
            f"--solver {solver} cannot be used here: {first_line(error)}; install FalkonML as "
            "requirements/requirements-falkon.txt says, or use --solver builtin"
        ) from error
