"""The kernels: each is one formula, from which the fused loops' polynomials are derived.

For lifted points X = (x, 1), Y = (y, 1) in R^4 at angle t, let s = sin(t / 2) = |X/|X| - Y/|Y|| / 2.
Every kernel here is

    k(x, y) = (|X| |Y|)^p phi(s),        phi(s) = a(z) + s b(z),   z = s^2,

with phi analytic on (-1, 1): `a` is its even part and `b` its odd part over s. So a kernel is fixed
by `phi` and `p`; a backend needs one square root, two polynomials in z and no transcendental function.
`s` comes from the *difference* of unit vectors: arccos of a dot product loses half the digits for
neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..errors import SettingsError
from ..files import stored
from ..files.stored import State
from ..geometry import lift

# Upper ends of the polynomials' domain in z. A short ladder bounds the number of compiled variants:
# z < 0.5 holds in the default working box (a cube of side 1.1: z <= 0.48), larger boxes climb.
Z_LADDER = (0.5, 0.75, 0.91)
TOLERANCE = {torch.float64: 5e-14, torch.float32: 6e-8}
CLOSE = 0.1  # chords below which a relative error matters: the field bends most at a centre
MAX_DEGREE = 64


@dataclass(frozen=True)
class Kernel:
    """k(x, y) = (|X||Y|)^homogeneity * phi(sin(angle / 2)).

    z_max: the largest z = sin^2(angle / 2) that the polynomials are valid for.
    """

    z_max: float = Z_LADDER[0]
    homogeneity = 1
    name = ""

    @property
    def is_smooth(self) -> bool:
        """Whether k(x, y) has a gradient in x at x = y: no kink, so that slopes at the centres mean something."""
        return False

    def phi(self, s: Tensor) -> Tensor:
        """The formula, in method syntax: tensors and KeOps' lazy tensors both run it."""
        raise NotImplementedError

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The specification: K [n, m] of x [n, 3], y [m, 3], by plain tensor expressions."""
        (u, r), (v, q) = lift(x), lift(y)
        z = (u[..., :, None, :] - v[..., None, :, :]).square().sum(-1)
        s = z.clamp_min(torch.finfo(z.dtype).tiny).sqrt()  # a derivative of 0, not NaN, where x = y
        return (r[..., :, None] * q[..., None, :]) ** self.homogeneity * self.phi(s)

    def at_one_place(self, x: Tensor) -> Tensor:
        """k(x, x) [...] at points x [..., 3]."""
        most = self.phi(torch.zeros((), dtype=x.dtype, device=x.device))
        return most * (x.square().sum(-1) + 1.0) ** self.homogeneity

    def covering(self, x_radius: float, y_radius: float) -> Kernel:
        """This kernel with polynomials valid for all |x| <= x_radius, |y| <= y_radius.

        The largest angle between lifted points is atan(x_radius) + atan(y_radius).
        """
        z = math.sin(0.5 * (math.atan(x_radius) + math.atan(y_radius))) ** 2
        for z_max in Z_LADDER:
            if z <= z_max:
                return self if z_max == self.z_max else replace(self, z_max=z_max)
        raise _too_far(max(x_radius, y_radius))

    def serving(self, squares: Tensor, y_radius: float) -> list[tuple[Kernel, Tensor | slice]]:
        """As `covering`, for each of points x, |x|^2 = squares [n], by itself: kernels, and the rows of their points.

        A value then depends on its point alone, and not on those that it is computed with.
        """
        angles = [2.0 * math.asin(math.sqrt(z_max)) - math.atan(y_radius) for z_max in Z_LADDER]
        limits = [math.inf if a >= 0.5 * math.pi else math.copysign(math.tan(a) ** 2, a) for a in angles]
        rung = torch.bucketize(squares, torch.tensor(limits, dtype=squares.dtype, device=squares.device))
        rungs = rung.unique().tolist()
        if rungs[-1:] == [len(Z_LADDER)]:
            raise _too_far(max(float(squares.max()) ** 0.5, y_radius))
        kernels = [replace(self, z_max=Z_LADDER[k]) for k in rungs]
        if len(rungs) == 1:
            return [(kernels[0], slice(None))]
        return [(kernel, rung == k) for kernel, k in zip(kernels, rungs, strict=True)]

    def polynomials(self, dtype: torch.dtype) -> Polynomials:
        """a and b as polynomials in (z - z_max / 2), to the precision of `dtype`."""
        return _polynomials(self, dtype)


def _too_far(radius: float) -> SettingsError:
    return SettingsError(
        f"points lie up to {radius:.3g} box sides from the centre of the cloud, too far "
        "for the kernel; use a smaller --margin or remove outliers"
    )


@dataclass(frozen=True)
class NeuralSplineKernel(Kernel):
    """k = |X||Y| (sin t + (1 + v)(pi - t) cos t) / pi, the kernel of an infinitely wide ReLU network.

    v is the variance of the outer layer. Source: Williams, Trager, Bruna, Zorin, CVPR 2021.
    """

    variance: float = 1.0
    name = "neural-spline"

    @property
    def is_smooth(self) -> bool:
        return self.variance == 0.0  # sin t + (1 + v)(pi - t) cos t = (1 + v) pi - v t + O(t^2)

    def phi(self, s: Tensor) -> Tensor:
        t = 2.0 * s.asin()
        return (t.sin() + (1.0 + self.variance) * (math.pi - t) * t.cos()) / math.pi


@dataclass(frozen=True)
class SphericalLaplaceKernel(Kernel):
    """k = |X||Y| exp(-0.5 sqrt(1 - cos t)) = |X||Y| exp(-s / sqrt 2)."""

    name = "spherical-laplace"

    def phi(self, s: Tensor) -> Tensor:
        return (-s / math.sqrt(2.0)).exp()


@dataclass(frozen=True)
class LinearAngleKernel(Kernel):
    """k = (pi - t) / pi."""

    homogeneity = 0
    name = "linear-angle"

    def phi(self, s: Tensor) -> Tensor:
        return 1.0 - 2.0 * s.asin() / math.pi


KERNELS = {cls.name: cls for cls in (NeuralSplineKernel, SphericalLaplaceKernel, LinearAngleKernel)}


def make_kernel(name: str, variance: float) -> Kernel:
    """A kernel by its name on the command line; `variance` matters to neural-spline alone."""
    return NeuralSplineKernel(variance=variance) if name == NeuralSplineKernel.name else KERNELS[name]()


def kernel_state(kernel: Kernel) -> dict[str, object]:
    """What `kernel_from` makes the same kernel of."""
    return {"kernel": kernel.name, "variance": getattr(kernel, "variance", 0.0), "z_max": kernel.z_max}


def kernel_from(state: State) -> Kernel:
    """The kernel of a `kernel_state`; KeyError where there is none of that name, ValueError for other numbers."""
    z_max = stored.number(state, "z_max")
    if z_max not in Z_LADDER:
        raise ValueError(f"z_max is {z_max:g}")
    return replace(make_kernel(str(state["kernel"]), stored.number(state, "variance")), z_max=z_max)


@dataclass(frozen=True)
class Polynomials:
    """phi(s) = a(w) + s b(w) with w = z - shift; coefficients from low to high degree.

    `da` and `db` are the derivatives in z, for gradients. Powers of the centred variable keep the
    coefficients of the size of Taylor coefficients, so Horner's rule does not cancel.
    """

    shift: float
    a: tuple[float, ...]
    b: tuple[float, ...]
    da: tuple[float, ...]
    db: tuple[float, ...]


@lru_cache(maxsize=64)
def _polynomials(kernel: Kernel, dtype: torch.dtype) -> Polynomials:
    shift = 0.5 * kernel.z_max

    size = float(kernel.phi(torch.zeros((), dtype=torch.float64)))  # phi decreases from s = 0
    tolerance = TOLERANCE[dtype] * size
    a, error = _fit(lambda s: 0.5 * (kernel.phi(s) + kernel.phi(-s)), 0, shift, 0.5 * tolerance)
    b, _ = _fit(lambda s: 0.5 * (kernel.phi(s) - kernel.phi(-s)), 1, shift, tolerance - error)
    return Polynomials(shift, a, b, _derivative(a), _derivative(b))


def _fit(
    part: Callable[[Tensor], Tensor], power: int, shift: float, tolerance: float
) -> tuple[tuple[float, ...], float]:
    """part(s) = s^power * polynomial(z - shift) on z in [0, 2 shift], of the lowest degree that meets the tolerance.

    Returns its coefficients and its error. Interpolation of part(s), even or odd, at the Chebyshev points of
    [-s_max, s_max]: nearly the least error that a polynomial of that degree has in part(s) itself, where the
    division's loss of digits near s = 0 does not count, but for s < CLOSE, where gradients are close to part(s) / s.
    """
    cheb = np.polynomial.chebyshev

    def chord(t: np.ndarray) -> np.ndarray:  # t in [-1, 1] -> z = shift (1 + t), s = sqrt z
        return np.sqrt(shift * (1.0 + np.asarray(t)))

    def quotient(t: np.ndarray) -> np.ndarray:
        return part(torch.from_numpy(chord(t))).numpy() / chord(t) ** power

    check = np.cos(np.linspace(0.0, math.pi, 1001)[:-1])
    exact, weight = part(torch.from_numpy(chord(check))).numpy(), chord(check) ** power
    emphasis = np.maximum(1.0, (CLOSE / chord(check)) ** power)
    for degree in range(MAX_DEGREE + 1):
        points = 2 * (degree + 1) + power  # half of them are > 0, and where power = 1 one is 0
        t = np.cos(math.pi / points * np.arange(1, points - power, 2))  # 2 (s / s_max)^2 - 1
        series = cheb.chebfit(t, quotient(t), degree)
        error = float((np.abs(cheb.chebval(check, series) * weight - exact) * emphasis).max())
        if error <= tolerance:
            break
    monomials = cheb.cheb2poly(series) / shift ** np.arange(degree + 1)
    return tuple(float(c) for c in monomials), error


def _derivative(coefficients: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(k * c for k, c in enumerate(coefficients))[1:] or (0.0,)
