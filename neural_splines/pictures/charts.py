"""Small charts as SVG, for a page."""

from __future__ import annotations

import html
import math

import numpy as np

WIDTH, HEIGHT, LEFT, BOTTOM = 340, 150, 46, 22
BINS = 40


def histogram(values: np.ndarray, label: str) -> str:
    """How many of values [n] >= 0 lie where; those beyond the 99th percentile are in the last bar."""
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    top = float(np.quantile(values, 0.99)) or 1.0
    counts = np.histogram(np.minimum(values, top), BINS, (0.0, top))[0]
    wide, most = (WIDTH - LEFT) / BINS, max(int(counts.max()), 1)
    bars = "".join(
        f'<rect x="{LEFT + k * wide:.1f}" y="{(HEIGHT - BOTTOM) * (1 - c / most):.1f}" width="{wide - 0.5:.1f}" '
        f'height="{(HEIGHT - BOTTOM) * c / most:.1f}"/>'
        for k, c in enumerate(counts)
    )
    return _figure(bars, label, (0.0, top), (f"{most}", "0"))


def curve(values: list[float], label: str) -> str:
    """Positive values against their number, on a logarithmic scale."""
    logs = [math.log10(v) for v in values if v > 0.0 and math.isfinite(v)]
    if len(logs) < 2:
        return ""
    low, high = min(logs), max(logs)
    x = [LEFT + (WIDTH - LEFT - 4) * k / (len(logs) - 1) for k in range(len(logs))]
    y = [4 + (HEIGHT - BOTTOM - 8) * (high - v) / ((high - low) or 1.0) for v in logs]
    line = "<polyline points='" + " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)) + "'/>"
    return _figure(line, label, (1, len(logs)), (f"{10**high:.0e}", f"{10**low:.0e}"))


def _figure(marks: str, label: str, across: tuple[float, float], upwards: tuple[str, str]) -> str:
    base = HEIGHT - BOTTOM
    texts = [(LEFT - 4, 12, "end", upwards[0]), (LEFT - 4, base, "end", upwards[1])]
    texts += [(LEFT, HEIGHT - 6, "start", f"{across[0]:g}"), (WIDTH, HEIGHT - 6, "end", f"{across[1]:.3g}")]
    words = "".join(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts)
    axes = f'<path d="M{LEFT} 0V{base}H{WIDTH}"/>'
    return (
        f"<figure><figcaption>{html.escape(label)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}">{marks}{axes}{words}</svg></figure>'
    )
