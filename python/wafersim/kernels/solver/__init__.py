"""Iterative solvers on columns of z: CG, PCG, BiCGStab, power method."""
