"""Series of numbers as pictures: blocks for the terminal, SVG for a page."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise

BLOCKS = " ▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _MARGIN = 640, 140, 6


def squeeze(values: Sequence[float], width: int) -> list[float]:
    """At most ``width`` values: the mean of each stretch."""
    if len(values) <= width:
        return list(values)
    edges = [round(position * len(values) / width) for position in range(width + 1)]
    return [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]


def blocks(values: Sequence[float], width: int) -> str:
    """One line of blocks, from zero to the largest value."""
    some = squeeze(values, width)
    top = max(some, default=0.0)
    if top <= 0:
        return BLOCKS[0] * len(some)
    return "".join(BLOCKS[round(value / top * (len(BLOCKS) - 1))] for value in some)


def number(value: float) -> str:
    """A number as short as it makes sense."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def chart(title: str, seconds: Sequence[float], values: Sequence[float]) -> str:
    """A line from zero to the largest value over time, as a figure of HTML with SVG in it."""
    points = list(zip(squeeze(seconds, _WIDTH), squeeze(values, _WIDTH), strict=True))
    longest = max((second for second, _ in points), default=1.0) or 1.0
    top = max((value for _, value in points), default=1.0) or 1.0
    line = " ".join(
        f"{_MARGIN + second / longest * (_WIDTH - 2 * _MARGIN):.1f},"
        f"{_HEIGHT - _MARGIN - value / top * (_HEIGHT - 2 * _MARGIN):.1f}"
        for second, value in points
    )
    return (
        f"<figure><figcaption>{escape(title)}: at most {number(top)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'<polyline fill="none" stroke="currentColor" stroke-width="1.5" points="{line}"/></svg>'
        f"<p>0 to {number(longest)} s</p></figure>"
    )
