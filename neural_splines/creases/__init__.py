"""Sharp edges: where the sides of a surface meet, and the surface of every side."""
