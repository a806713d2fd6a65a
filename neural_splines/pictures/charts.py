"""Small charts as SVG, for a page."""

from __future__ import annotations

import html
import math

import numpy as np

from ..quantities import counted, number, quantity

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 340, 150, 54, 22, 6
BINS = 40
SHARE = 0.99  # of the values lie before the last bar


def histogram(values: np.ndarray, label: str, unit: str = "", noun: tuple[str, str] = ("point", "points")) -> str:
    """How many of values [n] >= 0 lie where, in a unit; those beyond the 99th percentile are in the last bar."""
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    top = float(np.quantile(values, SHARE)) or 1.0
    counts = np.histogram(np.minimum(values, top), BINS, (0.0, top))[0]
    wide, tall, most = (WIDTH - LEFT) / BINS, HEIGHT - BOTTOM - TOP, max(int(counts.max()), 1)
    bars = "".join(
        f'<rect x="{LEFT + k * wide:.1f}" y="{TOP + tall * (1 - c / most):.1f}" width="{wide - 0.5:.1f}" '
        f'height="{tall * c / most:.1f}"/>'
        for k, c in enumerate(counts)
    )
    beyond = int((values > top).sum())
    if beyond:
        label += f"; the last bar has all {beyond:,} beyond"
    words = f"Half of {counted(len(values), *noun)}: within {quantity(float(np.median(values)), unit)}"
    return _figure(bars, label, ("0", quantity(top, unit)), (short(most), "0"), words)


def short(count: int) -> str:
    """A count in at most six letters: 12,345, 123 k, 12 M."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= max(size, 1e5):
            return f"{number(count / size, 2 if count < 10 * size else 3)}{letter}"
    return f"{count:,}"


def curve(values: list[float], label: str) -> str:
    """Positive values against their number, on a logarithmic scale."""
    logs = [math.log10(v) for v in values if v > 0.0 and math.isfinite(v)]
    if len(logs) < 2:
        return ""
    low, high = min(logs), max(logs)
    x = [LEFT + (WIDTH - LEFT - 4) * k / (len(logs) - 1) for k in range(len(logs))]
    y = [4 + (HEIGHT - BOTTOM - 8) * (high - v) / ((high - low) or 1.0) for v in logs]
    line = "<polyline points='" + " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)) + "'/>"
    return _figure(line, label, ("1", str(len(logs))), (_power(high), _power(low)))


def _power(exponent: float) -> str:
    value = 10.0**exponent
    return number(float(f"{value:.0e}"), 1)


def _figure(marks: str, label: str, across: tuple[str, str], upwards: tuple[str, str], words: str = "") -> str:
    base = HEIGHT - BOTTOM
    texts = [(LEFT - 4, TOP + 8, "end", upwards[0]), (LEFT - 4, base, "end", upwards[1])]
    texts += [(LEFT, HEIGHT - 6, "start", across[0]), (WIDTH, HEIGHT - 6, "end", across[1])]
    labels = "".join(f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>' for x, y, anchor, text in texts)
    axes = f'<path d="M{LEFT} {TOP}V{base}H{WIDTH}"/>'
    caption = html.escape(label)
    said = f"<figcaption>{html.escape(words)}</figcaption>" if words else ""
    return (
        f"<figure><figcaption>{caption}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{caption}">{marks}{axes}{labels}</svg>'
        f"{said}</figure>"
    )
