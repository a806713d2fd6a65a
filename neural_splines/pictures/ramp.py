"""A colour ramp for numbers: viridis, which stays in order in grey and for colour-blind eyes."""

from __future__ import annotations

import numpy as np

ANCHORS = np.array(  # of Matplotlib's viridis (CC0), at equal distances
    [
        (68, 1, 84), (72, 40, 120), (62, 74, 137), (49, 104, 142), (38, 130, 142),
        (31, 158, 137), (53, 183, 121), (109, 205, 89), (180, 222, 44), (253, 231, 37),
    ]
)  # fmt: skip


def ramp(values: np.ndarray) -> np.ndarray:
    """Colours [n, 3] in [0, 1] of values [n] in [0, 1]."""
    place = np.clip(np.nan_to_num(values), 0.0, 1.0) * (len(ANCHORS) - 1)
    return np.stack([np.interp(place, np.arange(len(ANCHORS)), ANCHORS[:, k]) for k in range(3)], axis=1) / 255.0
