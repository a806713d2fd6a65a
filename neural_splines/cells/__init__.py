"""Cells: a partition of space, a spline in each, how much these smooth, and their blend."""
