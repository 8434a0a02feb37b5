"""Figures as pages hold them: tables in Markdown, between marks that say how they are made."""

from pathlib import Path


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown, all columns but the first to the right.

    Raises ValueError for a row that has more cells than the head, or fewer.
    """
    if any(len(row) != len(head) for row in rows):
        raise ValueError(f"a row does not fit under {head}")
    marks = ["---", *(["--:"] * (len(head) - 1))]
    return "".join(f"| {' | '.join(row)} |\n" for row in [head, marks, *rows])


def publish(page: Path, verb: str, text: str) -> None:
    """Put what `make VERB` found into its place on the page. Raises ValueError when there is none."""
    page.write_text(between_marks(page.read_text(), verb, text))


def between_marks(page: str, verb: str, text: str) -> str:
    """The page with the text between the marks of this verb. Raises ValueError when it has none."""
    opening, closing = f"<!-- figures: make {verb} PUBLISH=1 -->", f"<!-- end of figures: make {verb} -->"
    before, begin, rest = page.partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise ValueError(f"the page has no place for the figures of make {verb}")
    return f"{before}{opening}\n\n{text}\n{closing}{after}"
