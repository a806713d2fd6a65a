"""Diagrams as SVG: series of labelled points, both axes logarithmic."""

from __future__ import annotations

import html
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BASE = 720, 440, 60, 150, 30, 390
COLOURS = ("#c33", "#36c", "#083", "#a60", "#727", "#066", "#555")
TICKS = (1, 2, 5)


def diagram(series: dict[str, list[tuple[float, float, str]]], across: str, upwards: str) -> str:
    """An SVG of (x, y, label) by name, joined in the order given; x and y are positive."""
    points = [point for row in series.values() for point in row]
    x_axis, y_axis = _Axis([p[0] for p in points], LEFT, WIDTH - RIGHT), _Axis([p[1] for p in points], BASE, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        "<style>text { font-size: 12px } .label { font-size: 10px }</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<path d="M{LEFT} {TOP}V{BASE}H{WIDTH - RIGHT}" fill="none" stroke="#333"/>',
        f'<text x="{WIDTH - RIGHT}" y="{BASE + 38}" text-anchor="end">{html.escape(across)}</text>',
        f'<text x="10" y="16">{html.escape(upwards)}</text>',
    ]
    for value in x_axis.ticks():
        parts.append(f'<text x="{x_axis(value):.0f}" y="{BASE + 18}" text-anchor="middle">{value:,g}</text>')
    for value in y_axis.ticks():
        parts.append(f'<text x="{LEFT - 6}" y="{y_axis(value) + 4:.0f}" text-anchor="end">{value:,g}</text>')
    for k, (name, row) in enumerate(series.items()):
        colour, at = COLOURS[k % len(COLOURS)], [(x_axis(x), y_axis(y), label) for x, y, label in row]
        line = " L".join(f"{x:.0f} {y:.0f}" for x, y, _ in at)
        parts.append(f'<path d="M{line}" fill="none" stroke="{colour}"/>')
        for x, y, label in at:
            parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{colour}"/>')
            parts.append(
                f'<text class="label" x="{x + 6:.0f}" y="{y - 5:.0f}" fill="{colour}">{html.escape(label)}</text>'
            )
        place = f'x="{WIDTH - RIGHT + 12}" y="{TOP + 18 * k}"'
        parts.append(f'<text {place} fill="{colour}" font-weight="bold">{html.escape(name)}</text>')
    return "\n".join([*parts, "</svg>\n"])


class _Axis:
    """A place between `start` and `end` for each positive value."""

    def __init__(self, values: list[float], start: float, end: float):
        self.low, self.high = math.log10(min(values)) - 0.05, math.log10(max(values)) + 0.05
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        return self.start + (self.end - self.start) * (math.log10(value) - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        values = [tick * 10.0**power for power in powers for tick in TICKS]
        return [value for value in values if self.low <= math.log10(value) <= self.high]
