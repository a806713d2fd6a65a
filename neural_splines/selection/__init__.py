"""Hyperparameters chosen by held-out points, of one spline and of cells."""
