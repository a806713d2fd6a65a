"""How one spline is solved: our FALKON, or the FalkonML library behind the same contract."""

from __future__ import annotations

import importlib
import warnings

from ...errors import BackendError, first_line
from .contract import Solution, Solver

__all__ = ["SOLVERS", "Solution", "Solver", "load"]

# The file and the class of each solver; only the chosen one is imported.
SOLVERS = {"builtin": ("falkon", "Falkon"), "falkon": ("falkon_library", "FalkonLibrary")}


def load(solver: str) -> type:
    """The class of builtin or falkon: called with regularization, max_iterations and tolerance it is a Solver.

    Raises BackendError where FalkonML is missing or broken.
    """
    module, name = SOLVERS[solver]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FalkonML's, while it is imported
            return getattr(importlib.import_module(f".{module}", __package__), name)
    except Exception as error:  # a broken optional package may raise anything on import
        raise BackendError(
            f"--solver {solver} cannot be used here: {first_line(error)}; install FalkonML as "
            "requirements/requirements-falkon.txt says, or use --solver builtin"
        ) from error
