"""Independent pieces of work, shared out to threads of our own."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
RUNS = 4  # of tasks, for each thread: enough to balance, few enough not to count
_here = threading.local()  # alone: whether this thread is one of the pool's
_setting = threading.Lock()  # held while a thread of the pool begins


def limit() -> int:
    """How many threads a computation of this thread may take: as many as torch has, and one within shared work."""
    return 1 if getattr(_here, "alone", False) else torch.get_num_threads()


def parallel(work: Callable[..., Any], tasks: int, *args: Any) -> None:
    """work(first, last, *args) for runs of the tasks that together are range(tasks), each once.

    `work` must release Python's lock to gain from it.
    """
    threads = limit()
    runs = min(tasks, RUNS * threads)
    if runs <= 1 or threads == 1:
        work(0, tasks, *args)
        return
    walls = [tasks * k // runs for k in range(runs + 1)]
    _done(threads, lambda wall: work(*wall, *args), list(itertools.pairwise(walls)))


def parallel_map(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """[work(item)] by several threads, each of which computes alone.

    Threads that join for every operation wait for each other at its end: two of them take as long for the Cholesky
    factors of a batch as one. And what one thread computes does not depend on how many there are, so that a single
    item has one thread too: the same bits on every machine.
    """
    threads = limit()
    if threads == 1 or not items:
        return [work(item) for item in items]
    return _done(threads, work, items)


def as_here(work: Callable[..., Result]) -> Callable[..., Result]:
    """The work as another thread does it in the name of this one: torch's inference mode belongs to a thread."""
    mode = torch.is_inference_mode_enabled()

    def run(*args: Any) -> Result:
        with torch.inference_mode(mode):
            return work(*args)

    return run


def _done(threads: int, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """[work(item)] by the pool; where one fails the rest is called off, and none runs on when this returns."""
    pool, run = _pool(threads), as_here(work)
    futures: list[Future[Result]] = []
    try:
        futures += [pool.submit(run, item) for item in items]
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()
        wait(futures)


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "work", _alone)


def _alone() -> None:
    """Let this thread, which begins, compute alone.

    What torch.set_num_threads says to one thread is also what threads that begin later find: another one takes that
    back, so that those of the program that called are as it wants them.
    """
    _here.alone = True
    with _setting:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        other = threading.Thread(target=torch.set_num_threads, args=(before,))
        other.start()
        other.join()


def _forked() -> None:
    """Threads do not follow into a child: not the pool's, and not OpenMP's, for which the child would wait for ever.

    Whether the parent has such cannot be asked, since other code may have used PyTorch; so a child always has one.
    """
    _setting.release()
    _pool.cache_clear()
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_setting.acquire, after_in_parent=_setting.release, after_in_child=_forked)
