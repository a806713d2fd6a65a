"""SciPy's BLAS and LAPACK, called from compiled loops without Python's lock.

Numba reaches them for whole matrices, through copies that it checks for NaN; here the triangle of a symmetric matrix
is enough, and it stays where it is. A row-major lower triangle is what Fortran calls an upper one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.core.cgutils import ir
from numba.extending import get_cython_function_address, intrinsic

from ...runtime.compiled import compiled

_jit = compiled(nogil=True, error_model="numpy")


class Routines(NamedTuple):
    """Addresses: A += B' B, Cholesky factors, and solutions by these. Integers, so that loops can be cached."""

    syrk: int
    potrf: int
    potrs: int

    @classmethod
    def found(cls) -> Routines:
        blas, lapack = "scipy.linalg.cython_blas", "scipy.linalg.cython_lapack"  # imported by these names
        return cls(
            *(get_cython_function_address(*name) for name in ((blas, "dsyrk"), (lapack, "dpotrf"), (lapack, "dpotrs")))
        )


def _calling(typing_context, routine, arguments):
    """Call the routine at an address with pointers, given as a tuple of addresses."""

    def generate(context, builder, signature, values):
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer] * len(arguments))
        function = builder.inttoptr(values[0], kind.as_pointer())
        pointers = [builder.inttoptr(builder.extract_value(values[1], k), pointer) for k in range(len(arguments))]
        builder.call(function, pointers)
        return context.get_dummy_value()

    return types.void(routine, arguments), generate


_call: Any = intrinsic(_calling)


@_jit
def add_squares(syrk, B, A):
    """The lower triangle of A [m, m] += B' B for B [k, m]; both float64 and contiguous."""
    words = np.array([85, 78], np.uint8)  # U, N
    sizes = np.array([A.shape[0], B.shape[0]], np.int32)
    one = np.ones(1)
    m, words_at = sizes.ctypes.data, words.ctypes.data
    _call(
        syrk,
        (words_at, words_at + 1, m, m + 4, one.ctypes.data, B.ctypes.data, m, one.ctypes.data, A.ctypes.data, m),
    )


@_jit
def factored(potrf, A):
    """Whether A [m, m], of which the lower triangle is read, has a Cholesky factor, which takes its place."""
    words = np.array([85], np.uint8)
    sizes = np.array([A.shape[0], 0], np.int32)
    m = sizes.ctypes.data
    _call(potrf, (words.ctypes.data, m, A.ctypes.data, m, m + 4))
    return sizes[1] == 0


@_jit
def solve_by(potrs, L, b):
    """b [m] becomes the solution of L L' x = b."""
    words = np.array([85], np.uint8)
    sizes = np.array([L.shape[0], 1, 0], np.int32)
    m = sizes.ctypes.data
    _call(potrs, (words.ctypes.data, m, m + 4, L.ctypes.data, m, b.ctypes.data, m, m + 8))
