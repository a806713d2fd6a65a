"""Independent pieces of work, shared out to threads of our own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
RUNS = 4  # of tasks, for each thread: enough to balance, few enough not to count


def parallel(work: Callable[..., Any], tasks: int, *args: Any) -> None:
    """work(first, last, *args) for runs of the tasks that together are range(tasks), each once.

    `work` must release Python's lock to gain from it. As many threads as torch has.
    """
    threads = torch.get_num_threads()
    runs = min(tasks, RUNS * threads)
    if runs <= 1 or threads == 1:
        work(0, tasks, *args)
        return
    walls = [tasks * k // runs for k in range(runs + 1)]
    futures = [_pool(threads).submit(work, a, b, *args) for a, b in itertools.pairwise(walls)]
    for future in futures:
        future.result()


def share_out(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """[work(item)] by as many threads as torch has, each of which computes alone.

    Threads that join for every operation wait for each other at its end: two of them take as long for the Cholesky
    factors of a batch as one. And what one thread computes does not depend on how many there are, so that a single
    item has one thread too: the same bits on every machine.
    """
    threads = torch.get_num_threads()
    if threads == 1 or not items:
        return [work(item) for item in items]
    pool = ThreadPoolExecutor(min(threads, len(items)), "work", partial(torch.set_num_threads, 1))
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # threads to come look at what was set last, in any of them


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="loops")


if hasattr(os, "register_at_fork"):  # threads do not follow into a child
    os.register_at_fork(after_in_child=_pool.cache_clear)
