"""A folder that keeps what a long run has finished, so that the same command goes on where it was stopped.

Every result is an .npz file that is there as a whole or not at all (`atomic`), as long as the system runs. A power cut
may cut, empty or lose whatever was not synced: results are synced at the end of a stage (`sync`), together and not each
by itself, and what a run finds when it goes on is read and verified first (CRC-32), so that what is damaged is made
again.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import CloudError, EmptySurfaceError, OutputError, SettingsError
from ..runtime.threads import parallel_map
from .arrays import as_array, load_arrays
from .atomic import atomic, kind_of, shown, sync, sync_folder, unwritable

MANIFESTS = "run.json", "run.copy.json"  # the same twice: one damaged bit does not hide what the other files are of
LEFTOVERS = ".neural-splines-*.tmp"  # of a process that was killed


class WorkDirectory:
    """Results by name in one folder. Can be pickled: other processes read and write there too."""

    def __init__(self, path: str):
        self.path = path

    @property
    def scratch(self) -> str:
        """A folder on its disk that is there, for files that do not outlast a run."""
        return self.path if os.path.isdir(self.path) else os.path.dirname(self.path)

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def has(self, name: str) -> bool:
        return os.path.exists(self.file(f"{name}.npz"))

    def save(self, name: str, **arrays: Any) -> None:
        with atomic(self.file(f"{name}.npz"), result=False) as (stream,):
            found: dict[str, Any] = {key: as_array(values) for key, values in arrays.items()}
            np.savez(stream, **found)

    def load(self, name: str, *only: str) -> dict[str, Any]:
        """The tensors and texts of a result, or those that are asked for; a damaged one is removed, and an OutputError
        says so.
        """
        path = self.file(f"{name}.npz")
        try:
            found = load_arrays(path, only)
        except CloudError:
            if not os.path.exists(path):
                raise OutputError(f"{shown(path)}: is gone; leave the work directory alone while it is used") from None
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise OutputError(f"{shown(path)}: was damaged and is removed; run the same command again") from None
        return {key: str(v) if v.dtype.kind == "U" else torch.from_numpy(v) for key, v in found.items()}

    def hold(self, name: str, value: Any) -> None:
        """Other processes go on with what is in the folder: objects are made again."""

    def held(self, name: str) -> Any:
        return None

    def remove(self, name: str) -> None:
        """Forget a result, so that it is made again."""
        os.unlink(self.file(f"{name}.npz"))

    def sync(self, names: Iterable[str]) -> None:
        """Wait until these results outlast a power cut."""
        try:
            for name in names:
                sync(self.file(f"{name}.npz"))
            sync_folder(self.path)
        except OSError as error:
            raise unwritable(self.path, error) from None

    @contextlib.contextmanager
    def rows_into(self, name: str, type_: np.dtype) -> Iterator[Callable[[int, np.ndarray], None]]:
        """put(first, rows) writes rows [n] of a type to the places from `first` on in a new file of such rows.

        The file is synced when the block ends, so that a result may stand for it.
        """
        path = self.file(name)
        try:
            with open(path, "wb") as stream:

                def put(first: int, rows: np.ndarray) -> None:
                    stream.seek(type_.itemsize * first)
                    stream.write(rows.data)

                yield put
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise unwritable(path, error) from None

    def rows(self, name: str, type_: np.dtype, first: int, count: int, checksum: int) -> np.ndarray | None:
        """Rows [count] of such a file; None where they are not those of that CRC-32."""
        try:
            with open(self.file(name), "rb") as stream:
                stream.seek(type_.itemsize * first)
                data = np.fromfile(stream, type_, count)
        except OSError:
            return None
        return data if len(data) == count and zlib.crc32(data.view(np.uint8).data) == checksum else None

    @contextlib.contextmanager
    def claimed(self, identity: Mapping[str, Any]) -> Iterator[None]:
        """A block in which this process alone leads a run of that identity here.

        The folder is made where there is none. Where the cloud or the settings turn out to be of no use, what this
        block made is removed: a corrected run has another identity, and would be refused. SettingsError where it holds
        a run of another identity, with the first difference; OutputError where it cannot be used, or another process
        leads.
        """
        made = not os.path.isdir(self.path)
        try:
            os.makedirs(self.path, exist_ok=True)
            self._refuse_files_of_others()
            lock = os.open(self.file("lock"), os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise kind_of(error)(
                f"{shown(self.path)}: cannot be a work directory ({error.strerror}); choose another --work-dir"
            ) from None
        try:
            if not _locked(lock):
                raise OutputError(f"{shown(self.path)}: another run is using it; wait for its end, or choose another")
            for leftover in Path(self.path).glob(LEFTOVERS):
                leftover.unlink(missing_ok=True)
            known = self._check(json.loads(json.dumps(identity)))
            if known:
                self._verify()
            try:
                yield
            except (CloudError, EmptySurfaceError, SettingsError):
                if not known:
                    self._clear(made)
                raise
        finally:
            os.close(lock)

    def _clear(self, made: bool) -> None:
        """Remove every file of a run that cannot be continued, and the folder where the run made it."""
        with contextlib.suppress(OSError):
            for path in Path(self.path).iterdir():
                path.unlink()
            if made:
                os.rmdir(self.path)

    def known(self) -> dict[str, Any]:
        """The identity of the run that is kept here; nothing where there is none."""
        return next(filter(None, map(self._manifest, MANIFESTS)), {})

    def _refuse_files_of_others(self) -> None:
        """Before a lock is made among them."""
        names = [name for name in os.listdir(self.path) if name != "lock" and not name.startswith(".neural-splines-")]
        if names and not self.known():
            what = f"its {MANIFESTS[0]} is damaged" if MANIFESTS[0] in names else "holds files of something else"
            raise SettingsError(f"{shown(self.path)}: {what}; give an empty folder to --work-dir")

    def _manifest(self, name: str) -> dict[str, Any]:
        """The identity that a manifest states; nothing where it is missing or damaged."""
        try:
            with open(self.file(name), encoding="utf-8") as file:
                found = json.load(file)
            identity: dict[str, Any] = found["identity"]
            return identity if found["crc32"] == _checksum(identity) else {}
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def _check(self, identity: dict[str, Any]) -> bool:
        """Whether a run of that identity is kept here; an empty folder is marked as one's."""
        known = self.known()
        for name in [*identity, *known] if known else ():
            if known.get(name) != identity.get(name):
                raise SettingsError(
                    f"{shown(self.path)}: holds another run, with {name} {known.get(name)} where this one has "
                    f"{identity.get(name)}; choose another --work-dir, or repeat the first command"
                )
        stated = json.dumps({"identity": identity, "crc32": _checksum(identity)}, indent=1) + "\n"
        for name in MANIFESTS:
            if not self._manifest(name):
                with atomic(self.file(name), result=False, synced=True) as (stream,):
                    stream.write(stated.encode())
        return bool(known)

    def _verify(self) -> None:
        """Remove the results that are damaged, so that they are made again."""

        def look(path: Path) -> None:
            try:
                load_arrays(path)
            except CloudError:
                path.unlink()

        parallel_map(look, sorted(Path(self.path).glob("*.npz")))


def _checksum(identity: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(identity, sort_keys=True).encode())


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
