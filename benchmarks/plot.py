"""The headline cases as bars, in SVG that needs nothing else."""

from html import escape

from benchmarks.cases import HEADLINES
from benchmarks.results import OURS, Results, cpu

_WIDTH, _LABEL, _BAR, _GAP, _HEAD = 760, 230, 16, 5, 34
_SPACE = 150
"""Right of the longest bar, for its number."""

OURS_COLOUR, THEIRS_COLOUR, INK, PALE = "#c2410c", "#64748b", "#1e293b", "#94a3b8"


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
        shapes.append(text(14, y + 14, case.title, size=14, weight=600))
        y += _HEAD - 8
        for name, each in spent.items():
            colour = OURS_COLOUR if name == OURS else THEIRS_COLOUR
            middle = y + _BAR / 2
            shapes.append(text(_LABEL - 8, y + 13, results.peers[name], anchor="end"))
            shapes.append(_box(_LABEL, y, each.median * scale, colour))
            shapes.append(line(_LABEL + each.low * scale, _LABEL + each.high * scale, middle))
            shapes.append(text(_LABEL + each.high * scale + 8, y + 13, f"{each.median:.2f} µs"))
            y += _BAR + _GAP
        y += 16
    title = "Server CPU per delivered message: shorter is better"
    note = "thin lines: lowest to highest run; scales differ from group to group"
    return drawing(title, note, _WIDTH, y, shapes)


def drawing(title: str, note: str, width: int, height: int, shapes: list[str]) -> str:
    """A whole picture: white, with its title and a note above the shapes."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="{INK}">'
    )
    back = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    texts = [text(14, 26, title, size=16, weight=600), text(14, 44, note, colour=PALE)]
    return "\n".join([head, f"<title>{escape(title)}</title>", back, *texts, *shapes, "</svg>", ""])


def text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 12,
    weight: int = 400,
    anchor: str = "start",
    colour: str = INK,
) -> str:
    """Words at a place; `anchor` is the end of them that the place is for."""
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def _box(x: float, y: float, width: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{_BAR}" rx="2" fill="{colour}"/>'
    )


def line(x1: float, x2: float, y: float) -> str:
    """A thin level line."""
    return f'<line x1="{x1:.1f}" x2="{x2:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{INK}" stroke-width="1"/>'
