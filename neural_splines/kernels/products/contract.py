"""What every backend of kernel-vector products does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..kernels import Kernel


@dataclass(frozen=True)
class Segments:
    """Problem p owns rows x_offsets[p]:x_offsets[p + 1] and columns y_offsets[p]:y_offsets[p + 1].

    Both are int64 tensors [problems + 1], on the device of the points, from 0 to the numbers of rows and columns. A
    problem may have no rows, no columns, or neither: rows that meet no column are 0.
    """

    x_offsets: Tensor
    y_offsets: Tensor

    @classmethod
    def single(cls, x: Tensor, y: Tensor) -> Segments:
        return cls(torch.tensor([0, len(x)]), torch.tensor([0, len(y)]))


class Products(Protocol):
    """Products with the matrix K [n, m] = k(x_i, y_j), which need not exist.

    Points x [n, 3] and y [m, 3] are model-space tensors of the dtype and on the device that the product is wanted in;
    `kernel` must cover them (`Kernel.covering`). K' w needs no method of its own: kernels are symmetric, so it is
    apply(kernel, y, x, w). With `segments`, x and y hold many small independent problems one after another, and the
    product is block diagonal: rows of problem p meet only columns of problem p.

    A backend knows devices and dtypes, and nothing of splines, cells or files. It has no state: it can be pickled.
    """

    @property
    def name(self) -> str:
        """Of the backend, as on the command line."""
        ...

    @property
    def storing_pays(self) -> bool:
        """Whether K', K from memory give K' (K w) sooner than `normal` does."""
        ...

    def apply(self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None = None) -> Tensor:
        """K w [n] for w [m]."""
        ...

    def gradient(
        self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor, segments: Segments | None = None
    ) -> tuple[Tensor, Tensor]:
        """K w [n] and its gradient in x [n, 3]."""
        ...

    def normal(self, kernel: Kernel, x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        """K' (K w) [m], in one pass over K where that is sooner."""
        ...

    def dense(self, kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
        """K [..., n, m], batched over leading dimensions."""
        ...

    def dense_gradient(self, kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
        """K and its gradient in x, [..., n, 4, m]: a row of values and three of slopes for each point."""
        ...

    def shares(self, x: Tensor) -> list[Tensor]:
        """The rows of x as they are dealt out to devices: all to one, but for `Sharded`."""
        return [x]
