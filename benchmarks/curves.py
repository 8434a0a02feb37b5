"""How figures grow, as small panels of curves in SVG: both scales logarithmic, each panel on its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from benchmarks.plot import OURS_COLOUR, THEIRS_COLOUR, drawing, line, text

_WIDTH, _HEAD = 760, 58
_PANEL_WIDTH, _PANEL_HEIGHT = 350, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 30, 100, 40, 30
_COLUMNS = 2
_COLOURS = (OURS_COLOUR, THEIRS_COLOUR)


@dataclass(frozen=True, slots=True)
class Panel:
    """One thing that grows: its steps from the left to the right, and a curve of positive values by name."""

    title: str
    labels: Sequence[str]
    curves: dict[str, Sequence[float]]


def svg(title: str, panels: Sequence[Panel]) -> str:
    """The panels, two beside each other."""
    shapes: list[str] = []
    for number, panel in enumerate(panels):
        row, column = divmod(number, _COLUMNS)
        shapes += _panel(panel, 14 + column * (_PANEL_WIDTH + 20), _HEAD + row * _PANEL_HEIGHT)
    rows = -(-len(panels) // _COLUMNS)
    note = "logarithmic; each panel has its own scale"
    return drawing(title, note, _WIDTH, _HEAD + rows * _PANEL_HEIGHT, shapes)


def _panel(panel: Panel, x: float, y: float) -> list[str]:
    values = [value for curve in panel.curves.values() for value in curve]
    low, high = log10(min(values)), log10(max(values))
    width, height = _PANEL_WIDTH - _LEFT - _RIGHT, _PANEL_HEIGHT - _TOP - _BOTTOM
    base = y + _TOP + height

    def across(step: int) -> float:
        return x + _LEFT + width * step / max(len(panel.labels) - 1, 1)

    def up(value: float) -> float:
        return base - 10 - (height - 10) * (log10(value) - low) / ((high - low) or 1.0)

    shapes = [text(x, y + 14, panel.title, size=14, weight=600), line(x, x + _PANEL_WIDTH - 20, base)]
    for step, label in enumerate(panel.labels):
        shapes.append(text(across(step), base + 16, label, anchor="middle"))
    for number, (name, curve) in enumerate(panel.curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        end = across(len(curve) - 1)
        shapes.append(text(end + 22, up(curve[-1]) + 4, name, colour=colour))
        points = " ".join(f"{across(step):.1f},{up(value):.1f}" for step, value in enumerate(curve))
        shapes.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for step, value in enumerate(curve):
            place = f'cx="{across(step):.1f}" cy="{up(value):.1f}"'
            shapes.append(f'<circle {place} r="3" fill="{colour}"/>')
            shapes.append(text(across(step), up(value) - 8, _number(value), anchor="middle", colour=colour))
    return shapes


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
