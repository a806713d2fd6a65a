"""NumPy's linear algebra, one thread a call, where threads of ours share out the calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
    """While this lasts. OpenBLAS has one pool of threads for all that call it, and they wait for it in turn: a product
    of 20 matrices of 150 x 120 took 28 ms in place of 2.
    """
    with _libraries().limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController  # not before: a run on a GPU needs none of it

    return ThreadpoolController().select(internal_api="openblas")
