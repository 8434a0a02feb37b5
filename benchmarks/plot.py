"""The headline cases as bars, in SVG that needs nothing else."""

from html import escape

from benchmarks.cases import HEADLINES
from benchmarks.results import OURS, Results, cpu

_WIDTH, _LABEL, _BAR, _GAP, _HEAD = 760, 230, 16, 5, 34
_SPACE = 150
"""Right of the longest bar, for its number."""

_OURS, _THEIRS, _INK, _PALE = "#c2410c", "#64748b", "#1e293b", "#94a3b8"


def svg(results: Results) -> str:
    """One group of bars a case: server CPU per delivered message, each group on its own scale."""
    shapes: list[str] = []
    y = 58
    for case in HEADLINES:
        samples = results.cases.get(case.title)
        if not samples:
            continue
        spent = {name: cpu(samples[name]) for name in samples}
        scale = (_WIDTH - _LABEL - _SPACE) / max(each.high for each in spent.values())
        shapes.append(_text(14, y + 14, case.title, size=14, weight=600))
        y += _HEAD - 8
        for name, each in spent.items():
            colour = _OURS if name == OURS else _THEIRS
            middle = y + _BAR / 2
            shapes.append(_text(_LABEL - 8, y + 13, results.peers[name], anchor="end"))
            shapes.append(_box(_LABEL, y, each.median * scale, colour))
            shapes.append(_line(_LABEL + each.low * scale, _LABEL + each.high * scale, middle))
            shapes.append(_text(_LABEL + each.high * scale + 8, y + 13, f"{each.median:.2f} µs"))
            y += _BAR + _GAP
        y += 16
    title = "Server CPU per delivered message: shorter is better"
    note = "thin lines: lowest to highest run; scales differ from group to group"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">'
    )
    back = f'<rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>'
    texts = [_text(14, 26, title, size=16, weight=600), _text(14, 44, note, colour=_PALE)]
    return "\n".join([head, f"<title>{title}</title>", back, *texts, *shapes, "</svg>", ""])


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    weight: int = 400,
    anchor: str = "start",
    colour: str = _INK,
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _box(x: float, y: float, width: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{_BAR}" rx="2" fill="{colour}"/>'
    )


def _line(x1: float, x2: float, y: float) -> str:
    return f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_INK}" stroke-width="1"/>'
