"""What is compiled: a `.pxd` beside a module says so, and opens no way that the module's imports do not."""

import ast
import importlib
import re
import shutil
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
TYPES = sorted(SOURCE.rglob("*.pxd"))
CIMPORT = re.compile(r"^from (artcafe[\w.]*) cimport ", re.MULTILINE)


def named(types: Path) -> str:
    """The module of a `.pxd`."""
    return ".".join(types.relative_to(SOURCE).with_suffix("").parts)


def imports(module: Path) -> set[str]:
    """The modules that a module imports names from."""
    tree = ast.parse(module.read_text())
    return {each.module for each in ast.walk(tree) if isinstance(each, ast.ImportFrom) and each.module}


@pytest.mark.parametrize("types", TYPES, ids=named)
def test_types_come_from_where_the_module_imports_from(types: Path) -> None:
    assert set(CIMPORT.findall(types.read_text())) <= imports(types.with_suffix(".py"))


@pytest.mark.parametrize("types", TYPES, ids=named)
def test_it_is_compiled_where_there_is_a_compiler(types: Path) -> None:
    found = importlib.import_module(named(types)).__file__
    assert found is not None
    assert found.endswith(".so") or shutil.which("cc") is None


def test_some_module_is() -> None:
    assert TYPES
