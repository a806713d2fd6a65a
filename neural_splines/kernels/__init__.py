"""Kernels of infinitely wide networks, and their products with vectors on every backend."""
