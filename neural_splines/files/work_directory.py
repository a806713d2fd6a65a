"""A folder that keeps what a long run has finished, so that the same command goes on where it was stopped.

Every result is an .npz file that is there as a whole or not at all (`atomic`), and whose checksums (CRC-32, of the
archive) are verified when it is read.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CloudError, OutputError, SettingsError
from .arrays import as_array, load_arrays
from .atomic import atomic, shown, unwritable

MANIFEST = "run.json"


class WorkDirectory:
    """Results by name in one folder. Can be pickled: other processes read and write there too."""

    def __init__(self, path: str):
        self.path = path

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def has(self, name: str) -> bool:
        return os.path.exists(self.file(f"{name}.npz"))

    def save(self, name: str, **arrays: Any) -> None:
        with atomic(self.file(f"{name}.npz"), result=False) as (stream,):
            found: dict[str, Any] = {key: as_array(values) for key, values in arrays.items()}
            np.savez(stream, **found)

    def load(self, name: str, *only: str) -> dict[str, np.ndarray]:
        """The arrays of a result, or those that are asked for; a damaged one is removed, and an OutputError says so."""
        path = self.file(f"{name}.npz")
        try:
            return load_arrays(path, only)
        except CloudError:
            if not os.path.exists(path):
                raise OutputError(f"{shown(path)}: is gone; leave the work directory alone while it is used") from None
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise OutputError(f"{shown(path)}: was damaged and is removed; run the same command again") from None

    def remove(self, name: str) -> None:
        """Forget a result, so that it is made again."""
        os.unlink(self.file(f"{name}.npz"))

    @contextlib.contextmanager
    def rows_into(self, name: str, width: int) -> Iterator[Callable[[int, np.ndarray], None]]:
        """put(first, rows) writes rows [n, width] of float64 to the places from `first` on in a new file of rows."""
        path = self.file(name)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            raise unwritable(path, error) from None

        def put(first: int, rows: np.ndarray) -> None:
            data, offset = rows.data.cast("B"), 8 * width * first
            while len(data):
                try:
                    done = os.pwrite(descriptor, data, offset)
                except OSError as error:
                    raise unwritable(path, error) from None
                data, offset = data[done:], offset + done

        try:
            yield put
        finally:
            os.close(descriptor)

    def rows(self, name: str, width: int, first: int, count: int) -> np.ndarray:
        """Rows [count, width] of such a file."""
        with open(self.file(name), "rb") as file:
            file.seek(8 * width * first)
            return np.fromfile(file, np.float64, width * count).reshape(-1, width)

    @contextlib.contextmanager
    def claimed(self, identity: Mapping[str, Any]) -> Iterator[None]:
        """A block in which this process alone leads a run of that identity here.

        The folder is made where there is none. SettingsError where it holds a run of another identity, with the first
        difference; OutputError where it cannot be used, or another process leads.
        """
        try:
            os.makedirs(self.path, exist_ok=True)
            self._refuse_files_of_others()
            lock = os.open(self.file("lock"), os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OutputError(
                f"{shown(self.path)}: cannot be a work directory ({error.strerror}); choose another --work-dir"
            ) from None
        try:
            if not _locked(lock):
                raise OutputError(f"{shown(self.path)}: another run is using it; wait for its end, or choose another")
            self._check(json.loads(json.dumps(identity)))
            for leftover in Path(self.path).glob(".neural-splines-*.tmp"):  # of a process that was killed
                leftover.unlink(missing_ok=True)
            yield
        finally:
            os.close(lock)

    def known(self) -> dict[str, Any]:
        """The identity of the run that is kept here; nothing where there is none."""
        try:
            with open(self.file(MANIFEST), encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _refuse_files_of_others(self) -> None:
        """Before a lock is made among them."""
        names = [name for name in os.listdir(self.path) if name != "lock" and not name.startswith(".neural-splines-")]
        if names and MANIFEST not in names:
            raise SettingsError(
                f"{shown(self.path)}: holds files of something else; give an empty folder to --work-dir"
            )

    def _check(self, identity: dict[str, Any]) -> None:
        manifest = self.file(MANIFEST)
        if not os.path.exists(manifest):
            with atomic(manifest, result=False) as (stream,):
                stream.write((json.dumps(identity, indent=1) + "\n").encode())
            return
        known = self.known()
        for name in [*identity, *known]:
            if known.get(name) != identity.get(name):
                raise SettingsError(
                    f"{shown(self.path)}: holds another run, with {name} {known.get(name)} where this one has "
                    f"{identity.get(name)}; choose another --work-dir, or repeat the first command"
                )


def _locked(descriptor: int) -> bool:
    """Whether an exclusive lock was to be had; systems without such locks have none."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
