"""What can go wrong, by name. Commands catch `NeuralSplinesError` once, and exit with its one line."""

import importlib.util
import sys
import warnings

from .words import in_python


class NeuralSplinesError(Exception):
    """Base of every error that this package raises on purpose; its message is one line with a remedy.

    It is written in the words of the command line, which `said` gives; str() gives those of Python.
    """

    def __str__(self) -> str:
        return in_python(super().__str__())


class CloudError(NeuralSplinesError):
    """A file that cannot be read as an oriented point cloud, or a cloud that cannot be fitted."""


class SettingsError(NeuralSplinesError, ValueError):
    """An argument outside its range, or a combination that cannot work."""


class EmptySurfaceError(NeuralSplinesError):
    """A reconstruction without a single face."""


class OutputError(NeuralSplinesError):
    """A result that cannot be written."""


class DiskFullError(OutputError):
    """A result that cannot be written because the disk, or a quota of it, is full."""


class PrintError(NeuralSplinesError):
    """A mesh that cannot be made what a printer needs."""


class BackendError(NeuralSplinesError):
    """A device or a backend that is missing or broken on this machine."""


class NotPositiveDefiniteError(NeuralSplinesError):
    """A Gram matrix that stayed indefinite at the last step of the jitter ladder."""


class OutOfMemoryBudgetError(NeuralSplinesError):
    """A problem whose matrices cannot fit in the memory that is there."""


class LargeCloudError(CloudError, OutOfMemoryBudgetError):
    """A cloud that does not fit into memory while it is read."""


class ReconstructionWarning(UserWarning):
    """A result that is usable but not what was asked for; the message has the number and the remedy."""

    def __str__(self) -> str:
        return in_python(super().__str__())


def said(message: BaseException | str) -> str:
    """The message of an error or a warning as it was written: in the words of the command line."""
    if isinstance(message, (NeuralSplinesError, ReconstructionWarning)) and message.args:
        return str(message.args[0])
    return str(message)


def warn(message: str) -> None:
    """Issue a ReconstructionWarning that points at the line outside this package that asked for the result."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, ReconstructionWarning, stacklevel=level)


def require(module: str, needed: str) -> None:
    """BackendError with that line where a package, an extra, is not installed."""
    try:
        there = importlib.util.find_spec(module) is not None
    except ValueError:  # it is barred in sys.modules
        there = False
    if not there:
        raise BackendError(needed)


def first_line(error: BaseException) -> str:
    """Its message for use inside another one."""
    lines = said(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
