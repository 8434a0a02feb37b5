"""The project as files: what the architecture tests read."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "artcafe"
TESTS = ROOT / "tests"

_MADE = {"__pycache__", "node_modules", "dist", "build", "reports"}
_HIDDEN_BUT_OURS = {".ci", ".github", ".gitignore", ".dockerignore"}


def modules() -> list[str]:
    """Every module of the package, as a path inside it: `server/store/sqlite.py`."""
    return sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


@cache
def syntax(module: str) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse((SOURCE / module).read_text())


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Every file people wrote, in the folder and below: no caches, no environments, nothing built."""
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") and path.name not in _HIDDEN_BUT_OURS
        if hidden or path.name in _MADE or path.name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def imports(module: str) -> set[str]:
    """The full names of the modules that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(syntax(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found
