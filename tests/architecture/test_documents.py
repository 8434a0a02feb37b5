"""The documents' links and paths lead to files that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.tree import ROOT, SOURCE, files

LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")
PATH = re.compile(r"`((?:src|tests|docs|packaging|benchmarks|deploy)/[\w./-]+|[A-Z]+\.md)`")
MODULE = re.compile(r"`((?:server|wire|client|cli|store|bus|gateway|core|domain|api|edge)/[\w/]+\.py)`")

PAGES = [path for path in files() if path.suffix == ".md"]


def dead_links(page: str, folder: Path) -> Iterator[str]:
    """The relative links of a page in this folder that lead nowhere."""
    return (link for link in LINK.findall(page) if not (folder / link).exists())


def dead_paths(page: str) -> Iterator[str]:
    """The paths in backticks that name no file: from the root, or of a module below artcafe or server."""
    yield from (path for path in PATH.findall(page) if not (ROOT / path).exists())
    for path in MODULE.findall(page):
        if not (SOURCE / path).exists() and not (SOURCE / "server" / path).exists():
            yield path


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_links_of_a_page_lead_to_files(path: Path) -> None:
    assert list(dead_links(path.read_text(), path.parent)) == []


@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "CHANGELOG.md"], ids=name)
def test_the_paths_that_a_page_names_exist(path: Path) -> None:
    """But for the changelog, which tells of files as they were."""
    assert list(dead_paths(path.read_text())) == []


def test_what_leads_nowhere_is_found() -> None:
    page = "[a](docs/none.md#x) [b](https://x.example) [c](#here) [d](README.md) `src/none.py` `bus/none.py`"
    assert list(dead_links(page, ROOT)) == ["docs/none.md"]
    assert list(dead_paths(page)) == ["src/none.py", "bus/none.py"]
    assert not list(dead_paths("`src/artcafe` `server/app.py` `store/memory.py` `wire/codes.py` `README.md`"))
