"""Surfaces: the lattice, a field's values near its zero set, marching cubes, and what of a mesh to keep."""
