"""The solvers in NumPy: the device's order of operations, with dot products in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.kernels.stencil.column_code import expected as apply_stencil


def _dot(a: Any, b: Any) -> Any:
    return np.float32(np.sum(a.astype(np.float64) * b.astype(np.float64)))


def solve(method: str, x: Any, b: Any, coefficients: Any, iterations: int, square: float) -> tuple[Any, int]:
    """x after at most ``iterations`` steps, and how many were done; arrays are ``[height, width, depth]``."""
    return {"cg": _cg, "pcg": _pcg, "bicgstab": _bicgstab, "power": _power}[method](
        x, b, coefficients, iterations, square
    )


def _cg(x: Any, b: Any, coefficients: Any, iterations: int, square: float) -> tuple[Any, int]:
    r = b - apply_stencil(x, coefficients, 1)
    rho, rho_old, p, k = _dot(r, r), np.float32(1), r, 0
    while rho > square and k < iterations:
        k += 1
        p = r if k == 1 else r + rho / rho_old * p
        w = apply_stencil(p, coefficients, 1)
        alpha = rho / _dot(w, p)
        x, r = x + alpha * p, r - alpha * w
        rho_old, rho = rho, _dot(r, r)
    return x, k


def _pcg(x: Any, b: Any, coefficients: Any, iterations: int, square: float) -> tuple[Any, int]:
    r = b - apply_stencil(x, coefficients, 1)
    xi, rho_old, p, k = _dot(r, r), np.float32(1), r, 0
    inverse = np.float32(1) / coefficients[6]
    while xi > square and k < iterations:
        z = inverse * r
        rho = _dot(r, z)
        k += 1
        p = z if k == 1 else z + rho / rho_old * p
        w = apply_stencil(p, coefficients, 1)
        alpha = rho / _dot(w, p)
        x, r = x + alpha * p, r - alpha * w
        rho_old, xi = rho, _dot(r, r)
    return x, k


def _bicgstab(x: Any, b: Any, coefficients: Any, iterations: int, square: float) -> tuple[Any, int]:
    r0 = r = p = b - apply_stencil(x, coefficients, 1)
    xi = rho = _dot(r, r)
    k = 0
    while xi > square and k < iterations:
        k += 1
        v = apply_stencil(p, coefficients, 1)
        alpha = rho / _dot(r0, v)
        s = r - alpha * v
        t = apply_stencil(s, coefficients, 1)
        w = _dot(t, s) / _dot(t, t)
        x, r = x + alpha * p + w * s, s - w * t
        rho_old, rho = rho, _dot(r0, r)
        p = r + rho / rho_old * (alpha / w) * (p - w * v)
        xi = _dot(r, r)
    return x, k


def _power(x: Any, b: Any, coefficients: Any, iterations: int, square: float) -> tuple[Any, int]:
    for _ in range(iterations):
        y = apply_stencil(x, coefficients, 1)
        x = y / np.sqrt(_dot(y, y))
    return x, iterations
