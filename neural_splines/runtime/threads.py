"""Compiled loops over independent tasks, shared out to threads."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch

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


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="loops")


if hasattr(os, "register_at_fork"):  # threads do not follow into a child
    os.register_at_fork(after_in_child=_pool.cache_clear)
