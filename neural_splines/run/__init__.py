"""The run: nodes of points, their cells, blocks of the lattice, one mesh; its workers, and what is kept of it."""
