"""Scenes in parts: bounded memory, results that are kept, workers."""
