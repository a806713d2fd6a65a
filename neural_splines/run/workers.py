"""Who does the tasks of a run: this process, processes of this machine, or a cluster's.

A task is task(shared, item, device): a function of a module that leaves its result on disk. What one worker loses,
another does again.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import Any, Protocol

from ..errors import BackendError, NeuralSplinesError, OutOfMemoryBudgetError, first_line
from ..runtime.monitor import Monitor
from .store import Store

logger = logging.getLogger(__name__)
Task = Callable[[Any, Any, str | None], None]
Done = Callable[[int], None]
LOST = 3  # times in a row that workers may be lost before anything was finished
CONNECT_SECONDS = 20
_device: str | None = None


class Workers(Protocol):
    def run(self, task: Task, shared: Any, items: Sequence[Any], done: Done) -> None:
        """Do the task for all items, in any order; done(count) after each."""


class Here:
    """This process, one task after another, each with all of its threads."""

    def run(self, task: Task, shared: Any, items: Sequence[Any], done: Done) -> None:
        for count, item in enumerate(items, 1):
            task(shared, item, None)
            done(count)


class Processes:
    """So many processes of this machine, which share its cores; on GPUs, one for each in turn."""

    def __init__(self, count: int, devices: Sequence[str] = ()):
        self.count, self.devices = count, devices
        self._pool: ProcessPoolExecutor | None = None

    def run(self, task: Task, shared: Any, items: Sequence[Any], done: Done) -> None:
        left, finished, lost = dict(enumerate(items)), 0, 0
        while left:
            pool = self._started()
            futures = {pool.submit(_call, task, shared, item): key for key, item in left.items()}
            try:
                for future in as_completed(futures):
                    future.result()
                    del left[futures[future]]
                    finished, lost = finished + 1, 0
                    done(finished)
            except BrokenProcessPool:
                lost, self._pool = lost + 1, None
                logger.warning("a worker process was lost; its tasks are done again")
                if lost >= LOST:
                    raise OutOfMemoryBudgetError(
                        f"worker processes were killed {LOST} times in a row, most likely for want of memory; "
                        "use fewer --workers or a smaller --max-memory"
                    ) from None
            except BaseException:
                self.close()
                raise

    def deal(self) -> list[str | None]:
        """The device of each process, by turns; none where there are none to choose from."""
        return [self.devices[k % len(self.devices)] if self.devices else None for k in range(self.count)]

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = get_context("spawn")
            queue = context.Queue()
            for device in self.deal():
                queue.put(device)
            threads = max(1, len(os.sched_getaffinity(0)) // self.count) if hasattr(os, "sched_getaffinity") else 1
            self._pool = ProcessPoolExecutor(self.count, context, _start, (threads, queue, os.getpid()))
        return self._pool

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


def _start(threads: int, devices: Any, parent: int) -> None:
    """Set up a worker: its threads, its device, and that it does not outlive the process that started it."""
    global _device
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(threads)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that leads says what an interrupt means
    import torch

    torch.set_num_threads(threads)
    _device = devices.get()


def _call(task: Task, shared: Any, item: Any) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        task(shared, item, _device)


class Cluster:
    """The workers of a dask.distributed scheduler, which must see the work directory under the same path."""

    def __init__(self, address: str, version: str):
        try:
            from distributed import Client
        except ImportError as error:
            raise BackendError(
                f"--scheduler needs dask.distributed ({first_line(error)}); pip install dask distributed"
            ) from None
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            self._client = Client(address, timeout=CONNECT_SECONDS)
        except (OSError, ValueError, TimeoutError) as error:
            raise BackendError(
                f"--scheduler {address}: no scheduler answers ({first_line(error)}); start one with: dask scheduler"
            ) from None
        with contextlib.suppress(Exception):
            logger.warning("dashboard: %s", self._client.dashboard_link)
        self._check(address, version)

    def _check(self, address: str, version: str) -> None:
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            found = self._client.run(_version, on_error="return")
        except Exception as error:
            self.close()
            raise BackendError(
                f"--scheduler {address}: no worker answers ({first_line(error)}); start some: dask worker {address}"
            ) from None
        for worker, theirs in found.items():
            if theirs != version:
                self.close()
                what = f"has neural-splines {theirs}" if isinstance(theirs, str) else "has no neural-splines"
                raise BackendError(f"the worker {worker} {what}, this is {version}; install the same on all of them")

    def run(self, task: Task, shared: Any, items: Sequence[Any], done: Done) -> None:
        from distributed import as_completed as finished
        from distributed.scheduler import KilledWorker

        common = self._client.scatter(shared, broadcast=True, hash=False)
        futures = [self._client.submit(_remote, task, common, item, pure=False, retries=LOST) for item in items]
        try:
            for count, future in enumerate(finished(futures), 1):
                future.result()
                done(count)
        except KilledWorker:
            raise OutOfMemoryBudgetError(
                "workers of the cluster were killed over one task, most likely for want of memory; give them more, or "
                "use a smaller --max-memory"
            ) from None
        except NeuralSplinesError:
            raise
        except Exception as error:
            if type(error).__name__ in ("CommClosedError", "FutureCancelledError", "CancelledError"):
                raise BackendError(
                    f"the scheduler was lost ({first_line(error)}); the same command goes on where this one stopped"
                ) from None
            raise
        finally:
            with contextlib.suppress(Exception):
                self._client.cancel(futures)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._client.close(timeout=2)


def _remote(task: Task, shared: Any, item: Any) -> None:
    _call(task, shared, item)


def _version() -> str:
    from .. import __version__

    return __version__


def each(
    team: Workers, task: Task, shared: Any, store: Store, result: str, items: Sequence[int], phase: str,
    monitor: Monitor,
) -> None:  # fmt: skip
    """Do a task for those items whose result, of that name and the item's number, is not in the store."""
    left = [item for item in items if not store.has(f"{result}-{item}")]
    monitor.phase(phase)
    known = len(items) - len(left)
    team.run(task, shared, left, partial(progress, monitor, known, len(items)))
    store.sync(f"{result}-{item}" for item in left)


def progress(monitor: Monitor, known: int, total: int, done: int) -> None:
    """Say that so many are done, beside those that were there."""
    monitor.progress(known + done, total)


@contextlib.contextmanager
def workers(count: int, scheduler: str | None, devices: Sequence[str], version: str) -> Iterator[Workers]:
    """The workers that were asked for, let go when the block ends."""
    if scheduler is not None:
        cluster = Cluster(scheduler, version)
        with contextlib.closing(cluster):
            yield cluster
    elif count > 1:
        with contextlib.closing(Processes(count, devices)) as processes:
            yield processes
    else:
        yield Here()
