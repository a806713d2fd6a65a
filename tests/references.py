"""Slow float64 twins of the fast paths: numpy and plain loops, sharing no code with the package."""

import math

import numpy as np


def kernel_value(name: str, x, y, variance: float = 1.0) -> float:
    """k(x, y) of two points in R^3 from its textbook formula, with the angle by atan2."""
    X, Y = np.append(np.asarray(x, float), 1.0), np.append(np.asarray(y, float), 1.0)
    nx, ny = np.linalg.norm(X), np.linalg.norm(Y)
    t = 2.0 * math.atan2(np.linalg.norm(ny * X - nx * Y), np.linalg.norm(ny * X + nx * Y))
    if name == "neural-spline":
        return nx * ny * (math.sin(t) + (1.0 + variance) * (math.pi - t) * math.cos(t)) / math.pi
    if name == "spherical-laplace":
        # 0.5 sqrt(1 - cos t) = sin(t / 2) / sqrt 2, without the cancellation
        return nx * ny * math.exp(-math.sin(0.5 * t) / math.sqrt(2.0))
    if name == "linear-angle":
        return (math.pi - t) / math.pi
    raise KeyError(name)


def kernel_matrix(name: str, x, y, variance: float = 1.0) -> np.ndarray:
    return np.array([[kernel_value(name, p, q, variance) for q in y] for p in x])


def kernel_gradient(name: str, x, y, w, variance: float = 1.0, step: float = 1e-5) -> np.ndarray:
    """grad_x sum_j k(x, y_j) w_j by central differences: error O(step^2), some 1e-9 here."""
    result = np.zeros((len(x), 3))
    for i, p in enumerate(np.asarray(x, float)):
        for axis in range(3):
            shift = np.zeros(3)
            shift[axis] = step
            above = sum(kernel_value(name, p + shift, q, variance) * c for q, c in zip(y, w, strict=True))
            below = sum(kernel_value(name, p - shift, q, variance) * c for q, c in zip(y, w, strict=True))
            result[i, axis] = (above - below) / (2.0 * step)
    return result


def ridge_solution(K_nm, K_mm, y, regularization: float) -> np.ndarray:
    """argmin_a |K_nm a - y|^2 / n + regularization a' K_mm a, by the normal equations."""
    n = len(y)
    return np.linalg.solve(K_nm.T @ K_nm + regularization * n * K_mm, K_nm.T @ y)
