"""Normals of clouds that have none, and a look at those that have: directions, signs, confidence."""
